//! Where the agent finds the guard: a name in the data directory, which one guard takes over from another.
//!
//! A guard that is to relieve another one listens under a name of its own until it is told that it has the seat. So the
//! agent stays with the one that has it, and finds the next one as soon as that one lets go of it.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sys::socket::Kind;

use super::protocol;

/// What a guard listens under that has no seat yet.
const RELIEF: &str = "relief.sock";

/// The name under which a guard listens.
#[derive(Debug)]
pub(super) struct Address {
    /// Where it is found.
    meant: PathBuf,
    /// Where it is now.
    now: PathBuf,
    /// The socket's file, by device and inode.
    file: (u64, u64),
}

impl Address {
    /// Listens in the data directory; `relieves` another that listens there, and is not found before it
    /// [takes](Self::take) its name.
    ///
    /// # Errors
    /// EADDRINUSE when another listens there and is not to be relieved.
    pub(super) fn listen(data_dir: &Path, relieves: bool) -> io::Result<(Self, OwnedFd)> {
        let meant = data_dir.join(protocol::SOCKET);
        let now = if relieves { data_dir.join(RELIEF) } else { meant.clone() };
        let listener = sys::socket::listen(&now, Kind::Packets)?;
        let file = inode(&now)?;
        Ok((Self { meant, now, file }, listener))
    }

    /// Is found from now on, in the place of whoever was. There is no moment at which nobody is.
    ///
    /// # Errors
    /// Those of renaming.
    pub(super) fn take(&mut self) -> io::Result<()> {
        if self.now != self.meant {
            fs::rename(&self.now, &self.meant)?;
            self.now.clone_from(&self.meant);
        }
        Ok(())
    }

    /// Is found no more. The name stays if it is another's by now.
    pub(super) fn leave(self) {
        if inode(&self.now).is_ok_and(|file| file == self.file) {
            // It fails only when somebody has removed it.
            let _ = fs::remove_file(&self.now);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    /// Whether one who connects reaches this listener.
    fn reaches(dir: &Path, listener: &OwnedFd) -> bool {
        rustix::io::ioctl_fionbio(listener, true).unwrap();
        // Others may have come before.
        while sys::socket::accept(listener.as_fd()).is_ok() {}
        let connected = sys::socket::connect(&dir.join(protocol::SOCKET), Kind::Packets);
        connected.is_ok() && sys::socket::accept(listener.as_fd()).is_ok()
    }

    #[test]
    fn a_name_passes_from_one_to_the_next_and_only_its_owner_removes_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let (first, listener) = Address::listen(dir, false).unwrap();
        assert!(Address::listen(dir, false).is_err(), "somebody listens there");
        let (mut relief, next) = Address::listen(dir, true).unwrap();
        assert!(reaches(dir, &listener) && !reaches(dir, &next));
        relief.take().unwrap();
        assert!(reaches(dir, &next) && !reaches(dir, &listener));
        first.leave();
        assert!(reaches(dir, &next));
        relief.leave();
        assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
    }

    #[test]
    fn a_relief_that_never_takes_the_name_leaves_the_other_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (_first, listener) = Address::listen(dir.path(), false).unwrap();
        let (relief, next) = Address::listen(dir.path(), true).unwrap();
        drop(next);
        relief.leave();
        assert!(reaches(dir.path(), &listener));
        assert!(!dir.path().join(RELIEF).exists());
    }
}
