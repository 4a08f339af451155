//! What a look at a name tells of a file without opening it.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, StatxFlags};

/// An inode in one state of its content. Its number alone could be given to another file.
///
/// Cheaper than an [`crate::identity::Identity`], and less: it lacks the inode's generation, so it is of use only
/// as long as something keeps the inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The device, as in `st_dev`.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// When inode or content last changed, in nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Length in bytes.
    pub size: u64,
}

impl State {
    /// Of the plain file that `path` leads to from `dir`, links followed; `None` when it is no plain file. Opens
    /// nothing and asks no server for newer data.
    ///
    /// # Errors
    /// Those of looking up the path.
    pub fn at(dir: impl AsFd, path: impl rustix::path::Arg) -> io::Result<Option<Self>> {
        Self::look(dir, path, AtFlags::STATX_DONT_SYNC)
    }

    /// Of an open file, which may be open as a path only.
    ///
    /// # Errors
    /// None are known.
    pub fn of(file: impl AsFd) -> io::Result<Option<Self>> {
        Self::look(file, c"", AtFlags::STATX_DONT_SYNC | AtFlags::EMPTY_PATH)
    }

    fn look(dir: impl AsFd, path: impl rustix::path::Arg, flags: AtFlags) -> io::Result<Option<Self>> {
        let stat = rustix::fs::statx(dir, path, flags, StatxFlags::BASIC_STATS)?;
        let is_file = rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()).is_file();
        Ok(is_file.then(|| Self {
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            ctime_ns: stat.stx_ctime.tv_sec.saturating_mul(1_000_000_000) + i64::from(stat.stx_ctime.tv_nsec),
            size: stat.stx_size,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;

    #[test]
    fn a_state_changes_with_the_content_and_is_that_of_the_identity() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "one").unwrap();
        let before = State::at(CWD, file.path()).unwrap().unwrap();
        let stat = crate::identity::Identity::of(file.as_file().as_fd()).unwrap();
        let of_identity =
            State { device: stat.device, inode: stat.inode, ctime_ns: stat.ctime_ns, size: stat.size };
        assert_eq!(before, of_identity);
        assert_eq!(State::of(file.as_file()).unwrap(), Some(before));
        std::fs::write(file.path(), "three").unwrap();
        assert_ne!(State::at(CWD, file.path()).unwrap(), Some(before));
        assert_eq!(State::at(CWD, "/proc/self").unwrap(), None, "a directory is no file");
        assert!(State::at(CWD, "/nowhere").is_err());
    }
}
