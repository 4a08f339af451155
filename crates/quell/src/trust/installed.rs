//! The list of roots in the data directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;

/// Where the list lies.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(inspect::List::FILE)
}

/// The list, if there is one.
pub(super) fn read(data_dir: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let path = path(data_dir);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot read {}: {error}", path.display()))),
    }
}

/// Puts the list there, whole or not at all; durable when it returns.
pub(super) fn write(data_dir: &Path, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let unfinished = data_dir.join(format!("{}.{}", inspect::List::FILE, std::process::id()));
    let written = write_new(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path(data_dir)));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written?;
    File::open(data_dir)?.sync_all()
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nothing in it is secret: any user may inspect files with it, where the directory lets them.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
