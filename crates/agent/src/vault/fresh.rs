//! A new file that has its name only once it is whole.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use model::Digests;
use rustix::fs::{Advice, AtFlags, OFlags};
use rustix::io::Errno;
use sys::place::{create_unnamed, link_unnamed, open_beneath, rename_no_replace};

/// A file that is being made in a directory. Dropped without [`Fresh::name`], it is gone.
#[derive(Debug)]
pub(super) struct Fresh<'a> {
    dir: BorrowedFd<'a>,
    pub(super) file: File,
    /// Its name until then, where the filesystem has no files without one.
    part: Option<OsString>,
}

impl<'a> Fresh<'a> {
    /// With all bytes of `from`, durable. `part` is its name where it must have one.
    pub(super) fn copy(dir: BorrowedFd<'a>, part: OsString, mut from: &File) -> io::Result<Self> {
        let mut fresh = match create_unnamed(dir) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => {
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
                let file = open_beneath(dir, Path::new(&part), flags)?.into();
                Self { dir, file, part: Some(part) }
            }
            outcome => Self { dir, file: outcome?.into(), part: None },
        };
        from.rewind()?;
        io::copy(&mut from, &mut fresh.file)?;
        fresh.file.sync_all()?;
        Ok(fresh)
    }

    /// Gives it its name, unless that is taken. What others do with the name from then on is no failure.
    pub(super) fn name(mut self, name: &OsStr) -> io::Result<()> {
        let Some(part) = &self.part else {
            return link_unnamed(self.file.as_fd(), self.dir, name);
        };
        let part_is = rustix::fs::statat(self.dir, part, AtFlags::SYMLINK_NOFOLLOW)?;
        let meant = rustix::fs::fstat(&self.file)?;
        if (part_is.st_dev, part_is.st_ino) != (meant.st_dev, meant.st_ino) {
            return Err(io::Error::other("another file was put in its place"));
        }
        rename_no_replace(self.dir, part, self.dir, name)?;
        self.part = None;
        Ok(())
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            let _ = rustix::fs::unlinkat(self.dir, part, AtFlags::empty());
        }
    }
}

/// Whether a file has exactly this content.
pub(super) fn holds(file: &File, digests: &Digests) -> io::Result<bool> {
    Ok(crate::digest::hash_plainly(file.as_fd())?.0 == *digests)
}

/// Makes sure that a file that was just written has this content: on its disk, not only in the memory that it
/// was written from.
pub(super) fn read_back(file: &File, digests: &Digests) -> io::Result<()> {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    if holds(file, digests)? {
        Ok(())
    } else {
        Err(io::Error::other("what was written is not what is read back"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_gets_a_name_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("from"), "content").unwrap();
        let (from, fd) = (File::open(path("from")).unwrap(), File::open(dir.path()).unwrap());
        let digests = crate::digest::hash_plainly(from.as_fd()).unwrap().0;
        let fresh = || Fresh::copy(fd.as_fd(), "part".into(), &File::open(path("from")).unwrap());
        let taken = fresh().unwrap().name(OsStr::new("from")).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        let other = Digests { md5: model::Md5([0; 16]), ..digests };
        assert!(read_back(&fresh().unwrap().file, &digests).is_ok());
        assert!(read_back(&fresh().unwrap().file, &other).is_err());
        fresh().unwrap().name(OsStr::new("to")).unwrap();
        assert_eq!(std::fs::read(path("to")).unwrap(), b"content");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
