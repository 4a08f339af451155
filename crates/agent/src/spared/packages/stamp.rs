//! Whether packages have changed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{dpkg, rpm};

/// How the databases' files are, so that another state of them is another value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<(u64, u64, i64, i64)>);

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
}
