//! Whether packages have changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{dpkg, rpm};

/// How the databases' files are, so that another state of them is another value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<(u64, u64, i64, i64)>);

/// dpkg has this while it unpacks a package, whose records it writes afterwards.
const UNPACKING: &str = "tmp.ci";

impl Stamp {
    /// Now.
    pub(crate) fn now() -> Self {
        let dpkg = Path::new(dpkg::PLACE);
        let mut files = vec![dpkg.join("status"), dpkg.join("info"), dpkg.join("diversions")];
        for database in rpm::databases() {
            // What is written to sqlite's stands there first.
            let mut log = database.clone().into_os_string();
            log.push("-wal");
            files.extend([database, log.into()]);
        }
        let stat = |path| {
            let stat = fs::metadata(path).ok()?;
            Some((stat.ino(), stat.size(), stat.mtime(), stat.mtime_nsec()))
        };
        Self(files.into_iter().map(|file| stat(file).unwrap_or_default()).collect())
    }

    /// Whether a package is being unpacked, as far as that is to be seen: its files may be there, and not its records.
    pub(crate) fn is_unpacking() -> bool {
        Path::new(dpkg::PLACE).join(UNPACKING).exists()
    }

    /// In so many bytes, to be kept.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for (inode, size, seconds, nanoseconds) in &self.0 {
            digest.update(inode.to_le_bytes());
            digest.update(size.to_le_bytes());
            digest.update(seconds.to_le_bytes());
            digest.update(nanoseconds.to_le_bytes());
        }
        digest.finalize().into()
    }
}
