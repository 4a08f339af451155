//! Room on the disk: lists leave some for the store, which could not take another order without.

use std::io;
use std::path::{Path, PathBuf};

/// So many bytes stay free.
const SPARE: u64 = 256 << 20;

/// The disk that lists are kept on.
#[derive(Clone, Debug)]
pub(super) struct Room(PathBuf);

impl Room {
    /// That of a directory.
    pub(super) fn of(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// Fails when there is no more room for lists.
    pub(super) fn check(&self) -> io::Result<()> {
        let disk = rustix::fs::statvfs(&self.0)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < SPARE {
            let why = "the data directory's disk has less than 256 MiB left, which are kept for the store";
            return Err(io::Error::new(io::ErrorKind::StorageFull, why));
        }
        Ok(())
    }
}
