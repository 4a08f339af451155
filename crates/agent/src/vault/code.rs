//! A refusal as a number for machines: the compatible API's `errorHResult`.

use std::io::ErrorKind;

use rustix::io::Errno;

use super::refusal::Refusal;

/// The HRESULT of a Windows error: those who read it know no errno.
const fn of_windows(error: u16) -> i32 {
    (0x8007_0000_u32 | error as u32).cast_signed()
}

const FILE_NOT_FOUND: u16 = 2;
const PATH_NOT_FOUND: u16 = 3;
const TOO_MANY_OPEN_FILES: u16 = 4;
const ACCESS_DENIED: u16 = 5;
const OUT_OF_MEMORY: u16 = 14;
const WRITE_PROTECT: u16 = 19;
const SHARING_VIOLATION: u16 = 32;
const NOT_SUPPORTED: u16 = 50;
const FILE_EXISTS: u16 = 80;
const DISK_FULL: u16 = 112;
const BUSY: u16 = 170;
const NAME_TOO_LONG: u16 = 206;
const FILE_TOO_LARGE: u16 = 223;
const IO_DEVICE: u16 = 1117;
const NOT_FOUND: u16 = 1168;
const RETRY: u16 = 1237;
const FILE_CORRUPT: u16 = 1392;
const DISK_CORRUPT: u16 = 1393;
const DISK_QUOTA_EXCEEDED: u16 = 1295;
/// `E_FAIL`.
const FAIL: i32 = 0x8000_4005_u32.cast_signed();

impl Refusal {
    /// The HRESULT.
    pub fn code(&self) -> i32 {
        match self {
            Self::Gone { .. } => of_windows(FILE_NOT_FOUND),
            Self::Busy { .. } => of_windows(SHARING_VIOLATION),
            Self::Swapped { .. } => of_windows(RETRY),
            Self::Immutable { .. } | Self::Shared { .. } => of_windows(ACCESS_DENIED),
            Self::Taken { .. } => of_windows(FILE_EXISTS),
            Self::Parent { .. } | Self::Away { .. } => of_windows(PATH_NOT_FOUND),
            Self::Unmapped { .. } => of_windows(NOT_SUPPORTED),
            Self::NotResting { .. } | Self::Removed { .. } => of_windows(NOT_FOUND),
            Self::Changed { .. } => of_windows(FILE_CORRUPT),
            Self::Stranded { error, .. } | Self::Uncertain { error, .. } | Self::Io { error, .. } => {
                of_errno(error)
            }
        }
    }
}

fn of_errno(error: &std::io::Error) -> i32 {
    let Some(errno) = Errno::from_io_error(error) else {
        return if error.kind() == ErrorKind::OutOfMemory { of_windows(OUT_OF_MEMORY) } else { FAIL };
    };
    of_windows(match errno {
        Errno::NOENT => FILE_NOT_FOUND,
        Errno::NOTDIR | Errno::LOOP => PATH_NOT_FOUND,
        Errno::MFILE | Errno::NFILE => TOO_MANY_OPEN_FILES,
        Errno::PERM | Errno::ACCESS => ACCESS_DENIED,
        Errno::NOMEM => OUT_OF_MEMORY,
        Errno::ROFS => WRITE_PROTECT,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::XDEV => NOT_SUPPORTED,
        Errno::EXIST => FILE_EXISTS,
        Errno::NOSPC | Errno::MLINK => DISK_FULL,
        Errno::DQUOT => DISK_QUOTA_EXCEEDED,
        Errno::BUSY | Errno::TXTBSY | Errno::AGAIN => BUSY,
        Errno::NAMETOOLONG => NAME_TOO_LONG,
        Errno::FBIG => FILE_TOO_LARGE,
        Errno::IO => IO_DEVICE,
        // How filesystems say that what they find there makes no sense.
        Errno::UCLEAN | Errno::BADMSG => DISK_CORRUPT,
        _ => return FAIL,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_and_a_read_only_one() {
        let code = |errno: Errno| {
            Refusal::Io { doing: "moved", path: "/a".into(), error: errno.into() }.code().cast_unsigned()
        };
        let codes = [Errno::NOSPC, Errno::IO, Errno::ROFS, Errno::NOMEM, Errno::PERM].map(code);
        assert_eq!(codes, [0x8007_0070, 0x8007_045d, 0x8007_0013, 0x8007_000e, 0x8007_0005]);
        assert_eq!(code(Errno::PIPE), 0x8000_4005);
        assert_eq!(of_errno(&std::io::Error::other("no errno")), FAIL);
        assert_eq!(of_errno(&ErrorKind::OutOfMemory.into()), of_errno(&Errno::NOMEM.into()));
    }
}
