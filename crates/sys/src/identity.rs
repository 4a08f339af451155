//! When two descriptors show the same bytes: the key under which a verdict may be remembered.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::FileType;

use crate::handle::FileHandle;

/// A file in one state of its content.
///
/// Equal identities are the same content *if* nobody could have written between the two looks: take a
/// [`crate::lease`] first, and never keep an identity whose ctime is younger than a clock tick, because two
/// changes within one tick look alike. The inode's generation is in the handle, so that a reused inode
/// number is another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    ctime_ns: i64,
    size: u64,
    handle_kind: i32,
    handle_length: u8,
    /// Zero behind `handle_length`, so that the derived comparison is right.
    handle: [u8; Self::HANDLE],
}

/// What the kernel says of an open file. Times are nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// `None` when the filesystem tells too little to know a file again: its verdicts are not cacheable.
    pub identity: Option<Identity>,
    /// Names that the inode has; 0 when it was deleted, or never had one.
    pub links: u32,
    /// The inode number, unique on the device at one time.
    pub inode: u64,
    /// The device, as in [`crate::mounts::Mount::device`] (btrfs differs there).
    pub device: u64,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// When inode or content last changed. Cannot be set by anyone.
    pub ctime_ns: i64,
    /// When the content last changed, as its owner says.
    pub mtime_ns: i64,
    /// A plain file: no directory, device, pipe or socket.
    pub is_regular: bool,
}

impl Stat {
    /// Looks at an open file by one system call, and does not ask how to know it again.
    ///
    /// # Errors
    /// Those of `fstat`.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = rustix::fs::fstat(fd)?;
        let mode = stat.st_mode;
        Ok(Self {
            identity: None,
            links: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
            inode: stat.st_ino,
            device: stat.st_dev,
            mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            is_regular: FileType::from_raw_mode(mode).is_file(),
        })
    }
}

impl Identity {
    /// Room for the handles of all local filesystems; the longest, of overlayfs on btrfs, is not cached.
    const HANDLE: usize = 40;

    /// Looks at an open file: two system calls, no allocation.
    ///
    /// # Errors
    /// Those of `fstat`; that a filesystem has no handles is no error.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Stat> {
        let mut seen = Stat::of(fd)?;
        if seen.is_regular {
            seen.identity = FileHandle::of(fd).ok().and_then(|handle| Self::new(&seen, &handle));
        }
        Ok(seen)
    }

    /// The file's name within its filesystem, whatever its content: form and bytes of its handle.
    pub fn handle(&self) -> (i32, &[u8]) {
        (self.handle_kind, &self.handle[..usize::from(self.handle_length)])
    }

    /// The device of the file.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// When inode or content last changed, in nanoseconds since 1970.
    pub fn ctime_ns(&self) -> i64 {
        self.ctime_ns
    }

    /// Length of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn new(stat: &Stat, handle: &FileHandle) -> Option<Self> {
        if lacks_generation(handle) {
            return None;
        }
        let mut bytes = [0; Self::HANDLE];
        bytes.get_mut(..handle.as_bytes().len())?.copy_from_slice(handle.as_bytes());
        Some(Self {
            device: stat.device,
            ctime_ns: stat.ctime_ns,
            size: stat.size,
            handle_kind: handle.kind(),
            handle_length: u8::try_from(handle.as_bytes().len()).ok()?,
            handle: bytes,
        })
    }
}

/// Whether the handle is the kernel's makeshift for filesystems without handles of their own, and the
/// filesystem keeps no generation either: inode numbers are reused, and then this one is.
fn lacks_generation(handle: &FileHandle) -> bool {
    /// Eight bytes of inode number, four of generation.
    const FILEID_INO64_GEN: i32 = 0x81;
    handle.kind() == FILEID_INO64_GEN && handle.as_bytes().get(8..12).is_none_or(|bytes| bytes == [0; 4])
}

fn nanoseconds(seconds: i64, rest: impl TryInto<i64>) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat() -> Stat {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        Identity::of(std::os::fd::AsFd::as_fd(&file)).unwrap()
    }

    fn identity(kind: i32, handle: &[u8]) -> Option<Identity> {
        Identity::new(&stat(), &FileHandle::from_parts(kind, handle).unwrap())
    }

    #[test]
    fn a_handle_too_long_or_without_generation_is_not_cacheable() {
        assert!(identity(1, &[7; 40]).is_some());
        assert!(identity(1, &[7; 41]).is_none());
        assert!(identity(0x81, b"\x07\0\0\0\0\0\0\0\x01\0\0\0").is_some());
        assert!(identity(0x81, b"\x07\0\0\0\0\0\0\0\0\0\0\0").is_none());
    }

    #[test]
    fn zeroes_at_the_end_of_a_handle_count() {
        assert_ne!(identity(1, b"a"), identity(1, b"a\0"));
    }

    #[test]
    fn only_plain_files_have_an_identity() {
        assert!(stat().is_regular);
        let directory = std::fs::File::open("/").unwrap();
        let stat = Identity::of(std::os::fd::AsFd::as_fd(&directory)).unwrap();
        assert_eq!((stat.is_regular, stat.identity), (false, None));
    }

    #[test]
    fn times_before_1970_and_beyond_reason_do_not_overflow() {
        assert_eq!(nanoseconds(-1, 1_u64), -999_999_999);
        assert_eq!(nanoseconds(i64::MAX, 5_u64), i64::MAX);
    }
}
