//! The data directory: made, and closed to others.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;

use super::lock;

/// Creates the directory, or makes sure that the one there is ours and closed to others. Returns its path
/// without symbolic links.
pub(super) fn prepare(dir: &Path) -> Result<PathBuf, Failure> {
    let cannot = |error: io::Error| {
        Failure::new(Exit::Failed, format!("cannot use the data directory {}: {error}", dir.display()))
            .hint("name another one with --data-dir DIR, or run as its owner")
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(cannot)?;
    let dir = dir.canonicalize().map_err(cannot)?;
    let found = fs::metadata(&dir).map_err(cannot)?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(cannot(io::Error::other(format!("it belongs to user {}", found.uid()))));
    }
    if found.mode() & 0o077 != 0 {
        // Never close a directory that somebody named by mistake: /srv must stay open.
        if !is_ours(&dir).map_err(cannot)? {
            return Err(cannot(io::Error::other("it is open to others and has files that are not Quell's")));
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).map_err(cannot)?;
    }
    Ok(dir)
}

/// Whether the directory is empty, or an earlier start has left its lock there.
fn is_ours(dir: &Path) -> io::Result<bool> {
    Ok(dir.join(lock::NAME).exists() || fs::read_dir(dir)?.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_new_directory_is_closed_to_others() {
        let home = tempfile::tempdir().unwrap();
        let dir = prepare(&home.path().join("a/b")).unwrap();
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(prepare(&dir).unwrap(), dir);
    }

    #[test]
    fn an_open_directory_is_closed_only_if_it_is_ours() {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(home.path().join("thesis"), "").unwrap();
        let refused = prepare(home.path()).unwrap_err().to_string();
        assert!(refused.contains("not Quell's") && refused.contains("--data-dir"), "{refused}");
        assert_eq!(mode(home.path()), 0o755);

        fs::write(home.path().join(lock::NAME), "").unwrap();
        prepare(home.path()).unwrap();
        assert_eq!(mode(home.path()), 0o700);
    }
}
