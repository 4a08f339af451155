//! Names of files that survive renames, and never name another file later.

use std::cmp::Ordering;
use std::ffi::CStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::OFlags;

/// A file within its filesystem: for most, inode number and generation. It says nothing of *which*
/// filesystem; keep it with the [`fsid`] or the device.
#[derive(Clone, Copy)]
pub struct FileHandle {
    kind: i32,
    length: u8,
    bytes: [u8; Self::MAX],
}

impl FileHandle {
    /// The most bytes a handle has (the kernel's `MAX_HANDLE_SZ`).
    pub const MAX: usize = 128;

    /// The handle of an open file.
    ///
    /// Where a filesystem cannot open files by handle (overlayfs, mostly), it is one that can only be
    /// compared (since Linux 6.5).
    ///
    /// # Errors
    /// EOPNOTSUPP where the filesystem has neither.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Self::of_at(fd, c"", libc::AT_EMPTY_PATH)
    }

    /// The handle of `name` in `dir`; `flags` are those of `name_to_handle_at`. A symbolic link is followed
    /// only with `AT_SYMLINK_FOLLOW`.
    ///
    /// # Errors
    /// As [`FileHandle::of`], and those of looking up the name.
    pub fn of_at(dir: BorrowedFd<'_>, name: &CStr, flags: i32) -> io::Result<Self> {
        match encode(dir, name, flags) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                encode(dir, name, flags | AT_HANDLE_FID)
            }
            outcome => outcome,
        }
    }

    /// A handle from what was stored of it; `None` when there are too many bytes.
    pub fn from_parts(kind: i32, bytes: &[u8]) -> Option<Self> {
        let mut handle = Self { kind, length: u8::try_from(bytes.len()).ok()?, bytes: [0; Self::MAX] };
        handle.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(handle)
    }

    /// The filesystem's own number for the form of the bytes. Belongs to the handle as much as they do.
    pub fn kind(&self) -> i32 {
        self.kind
    }

    /// The bytes, for storage; at most [`Self::MAX`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Opens the file on the filesystem of `mount`, an ordinary descriptor (not O_PATH) of anything there.
    /// The descriptor is always close-on-exec.
    ///
    /// # Errors
    /// ESTALE when the file is gone; EPERM without CAP_DAC_READ_SEARCH.
    pub fn open(&self, mount: BorrowedFd<'_>, flags: OFlags) -> io::Result<OwnedFd> {
        let mut raw = RawHandle { length: u32::from(self.length), kind: self.kind, bytes: self.bytes };
        let flags = (flags | OFlags::CLOEXEC).bits();
        // SAFETY: `raw` has the layout of struct file_handle with room for MAX bytes, of which `length` are
        // valid; the kernel only reads it, during the call. `mount` is borrowed, so open.
        let fd =
            unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut raw, flags) };
        match i32::try_from(fd) {
            // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else knows.
            Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// The id of the filesystem of `fd`: the bytes that fanotify reports for it.
///
/// # Errors
/// Those of `fstatfs`; none are known for a descriptor that is open.
pub fn fsid(fd: BorrowedFd<'_>) -> io::Result<[u8; 8]> {
    // rustix keeps the bytes of its Fsid to itself.
    // SAFETY: all bytes zero is a valid statfs, which is nothing but integers.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `fd` is borrowed, so open, and `stat` is the structure that the kernel fills in.
    if unsafe { libc::fstatfs(fd.as_raw_fd(), &raw mut stat) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fsid_t is two ints without padding, so that each of its eight bytes is initialized.
    Ok(unsafe { std::mem::transmute::<libc::fsid_t, [u8; 8]>(stat.f_fsid) })
}

/// Asks for a handle that serves to compare, not to open (absent from libc).
const AT_HANDLE_FID: i32 = 0x200;

/// `struct file_handle` with room for the longest.
#[repr(C)]
struct RawHandle {
    length: u32,
    kind: i32,
    bytes: [u8; FileHandle::MAX],
}

fn encode(dir: BorrowedFd<'_>, name: &CStr, flags: i32) -> io::Result<FileHandle> {
    let mut raw = RawHandle { length: FileHandle::MAX as u32, kind: 0, bytes: [0; FileHandle::MAX] };
    let mut mount_id = 0_i32;
    // SAFETY: `raw` has the layout of struct file_handle and says truthfully how many bytes it has room for;
    // `name` ends with a zero; `mount_id` is the int the kernel writes; all outlive the call.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            dir.as_raw_fd(),
            name.as_ptr(),
            &raw mut raw,
            &raw mut mount_id,
            flags,
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    raw.bytes
        .get(..raw.length as usize)
        .and_then(|bytes| FileHandle::from_parts(raw.kind, bytes))
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl FileHandle {
    fn parts(&self) -> (i32, &[u8]) {
        (self.kind, self.as_bytes())
    }
}

impl PartialEq for FileHandle {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for FileHandle {}

impl Hash for FileHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Ord for FileHandle {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for FileHandle {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for FileHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileHandle({}:", self.kind)?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_in_and_come_out() {
        let handle = FileHandle::from_parts(-5, b"some bytes").unwrap();
        assert_eq!((handle.kind(), handle.as_bytes()), (-5, &b"some bytes"[..]));
        assert_eq!(format!("{handle:?}"), "FileHandle(-5:736f6d65206279746573)");
        assert!(FileHandle::from_parts(1, &[0; 128]).is_some());
        assert!(FileHandle::from_parts(1, &[0; 129]).is_none());
        assert!(FileHandle::from_parts(1, &[0; 256]).is_none());
    }

    #[test]
    fn kind_and_length_tell_handles_apart() {
        let handle = |kind, bytes: &[u8]| FileHandle::from_parts(kind, bytes).unwrap();
        assert_eq!(handle(1, b"a"), handle(1, b"a"));
        assert_ne!(handle(1, b"a"), handle(2, b"a"));
        assert_ne!(handle(1, b"a"), handle(1, b"a\0"));
        assert!(handle(1, b"z") < handle(2, b"a"));
    }
}
