//! A file on this host, as inspection reads it.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use inspect::Source;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// An open regular file, and what it was when it was opened.
pub(super) struct LocalFile {
    file: File,
    opened: Metadata,
}

impl LocalFile {
    /// Opens what `path` leads to, if that is a regular file. Nothing else is opened: a pipe would make us wait, and a
    /// device may do something.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        regular(&std::fs::metadata(path)?)?;
        // Between the two it may have become something else; without waiting that does no harm.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match rustix::fs::open(path, flags | OFlags::NONBLOCK, Mode::empty()) {
            // Somebody holds a lease on it, and lets go within the kernel's time.
            Err(Errno::AGAIN) => rustix::fs::open(path, flags, Mode::empty())?,
            opened => opened?,
        };
        let file = File::from(file);
        let opened = file.metadata()?;
        regular(&opened)?;
        if opened.len() == 0 && file.read_at(&mut [0], 0)? > 0 {
            return Err(io::Error::other("it has no length of its own"));
        }
        Ok(Self { file, opened })
    }

    /// Whether nobody has changed it since it was opened, as far as the filesystem tells.
    pub(super) fn held_still(&self) -> io::Result<bool> {
        let now = self.file.metadata()?;
        let state = |it: &Metadata| (it.len(), it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec());
        Ok(state(&now) == state(&self.opened))
    }
}

fn regular(found: &Metadata) -> io::Result<()> {
    match found.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

impl Source for LocalFile {
    fn size(&self) -> u64 {
        self.opened.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match self.file.read_at(&mut into[done..], offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(length) => done += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        let file = LocalFile::open(&path).unwrap();
        assert!(file.held_still().unwrap());
        std::fs::write(&path, "abcd").unwrap();
        assert!(!file.held_still().unwrap());
        assert_eq!(file.piece(0, 99).unwrap(), b"abc", "no more than it had");
    }
}
