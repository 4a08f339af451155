//! A name in a directory that is held open, so that nobody can swap the way to it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use sys::handle::FileHandle;
use sys::mounts::Mount;
use sys::place::open_beneath;

use super::refusal::Refusal;
use super::resting::Parent;
use crate::elsewhere;

/// Where a file lies, or is to lie.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) dir: OwnedFd,
    pub(super) name: OsString,
    /// The mount that the directory is on.
    pub(super) mount: Mount,
}

impl Place {
    /// Follows no symbolic link on the way.
    pub(super) fn of(path: &Path) -> Result<Self, Refusal> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Refusal::Gone { path: path.to_owned(), reason: "it is no path of a file" });
        };
        let dir = directory(parent).map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR) => {
                Refusal::Parent { path: parent.to_owned(), reason: "it is not there" }
            }
            Some(Errno::LOOP) => {
                Refusal::Parent { path: parent.to_owned(), reason: "a symbolic link leads to it" }
            }
            _ => Refusal::Io { doing: "opened", path: parent.to_owned(), error },
        })?;
        let mount = mount_of(dir.as_fd()).map_err(Refusal::when("looked up", parent))?;
        Ok(Self { path: path.to_owned(), dir, name: name.to_owned(), mount })
    }

    /// The file of that name, for reading.
    pub(super) fn open(&self) -> io::Result<File> {
        open_regular(self.dir.as_fd(), Path::new(&self.name))
    }

    /// Whether anything has the name.
    pub(super) fn is_taken(&self) -> io::Result<bool> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
        match rustix::fs::statx(&self.dir, &self.name, flags, StatxFlags::TYPE) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `file`, which was opened by this name, is on the directory's mount: one that is mounted by
    /// itself can't be moved.
    pub(super) fn has_on_its_mount(&self, file: BorrowedFd<'_>) -> io::Result<bool> {
        Ok(mount_id(file)? == self.mount.id)
    }

    pub(super) fn parent(&self) -> io::Result<Parent> {
        let stat = rustix::fs::fstat(&self.dir)?;
        Ok(Parent {
            device: stat.st_dev,
            inode: stat.st_ino,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mode: stat.st_mode,
            handle: handle(self.dir.as_fd()),
        })
    }
}

/// What tells a directory from a later one of the same inode number.
fn handle(dir: BorrowedFd<'_>) -> Vec<u8> {
    let handle = FileHandle::of(dir);
    handle.map(|handle| [&handle.kind().to_le_bytes(), handle.as_bytes()].concat()).unwrap_or_default()
}

/// Opens a directory by its path from the root, through no symbolic link; also one that is mounted elsewhere only.
pub(crate) fn directory(path: &Path) -> io::Result<OwnedFd> {
    if let Some(there) = elsewhere::directory(path, OFlags::RDONLY) {
        return there;
    }
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let below = match path.strip_prefix("/") {
        Ok(below) if below.as_os_str().is_empty() => Path::new("."),
        Ok(below) => below,
        Err(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not an absolute path")),
    };
    open_beneath(root.as_fd(), below, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a plain file for reading, without a trace in its time of access. Nothing else is opened, whatever takes the
/// name meanwhile: opening a device can do something. Nor is it asked for on a mount that may never answer.
pub(crate) fn open_regular(dir: BorrowedFd<'_>, name: &Path) -> io::Result<File> {
    let place = open_beneath(dir, name, OFlags::PATH | OFlags::NOFOLLOW)?;
    let look = |file: BorrowedFd<'_>| {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        rustix::fs::statx(file, c"", flags, StatxFlags::TYPE | StatxFlags::MNT_ID)
    };
    let stat = look(place.as_fd())?;
    if !FileType::from_raw_mode(stat.stx_mode.into()).is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
    }
    // Another mount counts only where it is one of ours: in a container somebody may mount over a copy's name at any moment
    // what never answers. While it is held here no other mount gets its number.
    if stat.stx_mnt_id != look(dir)?.stx_mnt_id {
        let is_it = |mount: &Mount| mount.id == stat.stx_mnt_id && sys::mounts::is_local(mount);
        if !sys::mounts::current()?.iter().any(is_it) {
            return Err(Errno::XDEV.into());
        }
    }
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::open(&again, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::open(&again, flags, Mode::empty())?,
        outcome => outcome?,
    };
    Ok(file.into())
}

/// The mount through which `fd` was opened.
pub(crate) fn mount_of(fd: BorrowedFd<'_>) -> io::Result<Mount> {
    let id = mount_id(fd)?;
    let here = sys::mounts::current()?.into_iter().find(|mount| mount.id == id);
    here.or_else(|| elsewhere::mount_numbered(id)).ok_or_else(|| io::ErrorKind::NotFound.into())
}

pub(crate) fn mount_id(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    Ok(rustix::fs::statx(fd, c"", flags, StatxFlags::MNT_ID)?.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_on_the_way_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::write(root.join("real/file"), "x").unwrap();
        symlink("real", root.join("link")).unwrap();
        symlink("file", root.join("real/last")).unwrap();
        assert!(Place::of(&root.join("real/file")).unwrap().open().is_ok());
        assert!(matches!(Place::of(&root.join("link/file")), Err(Refusal::Parent { .. })));
        assert!(matches!(Place::of(&root.join("none/file")), Err(Refusal::Parent { .. })));
        assert!(Place::of(&root.join("real/last")).unwrap().open().is_err());
        assert!(Place::of(Path::new("/")).is_err());
        assert!(Place::of(Path::new("relative/file")).is_err());
    }

    #[test]
    fn what_is_no_plain_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let place = Place::of(&root.join("name")).unwrap();
        assert!(!place.is_taken().unwrap());
        std::fs::create_dir(root.join("name")).unwrap();
        assert!(place.is_taken().unwrap());
        assert_eq!(place.open().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
