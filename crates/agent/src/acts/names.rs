//! The names of an inode. The kernel keeps no list of them, so this is a walk.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Dir, FileType, OFlags};
use sys::place::open_on_mount;
use sys::state::State;

use crate::elsewhere;
use crate::vault::is_holding;

/// In other mount namespaces no longer is looked for, and no more entries of one directory are read.
const LONGEST: Duration = Duration::from_secs(10);
const MOST: usize = 1_000_000;

/// Names of `inodes` (device and number) below `roots`, without entering other mounts, vaults, or the data
/// directory; no more than `enough`. What is found is to be looked at again before it is touched.
pub(super) fn of(
    inodes: &HashSet<(u64, u64)>,
    roots: &[&Path],
    data_dir: &Path,
    enough: usize,
) -> Vec<PathBuf> {
    let mounts: HashSet<PathBuf> =
        sys::mounts::current().unwrap_or_default().into_iter().map(|mount| mount.point).collect();
    let numbers: HashSet<u64> = inodes.iter().map(|(_, number)| *number).collect();
    let mut found = Vec::new();
    let mut rest: Vec<PathBuf> = roots.iter().map(|root| root.to_path_buf()).collect();
    let until = Instant::now() + LONGEST;
    while let Some(directory) = rest.pop() {
        if elsewhere::is_elsewhere(&directory) {
            // Whoever rules there could make directories for ever.
            if Instant::now() > until {
                tracing::warn!(path = %directory.display(), "not all is looked through for other names of a copy");
                rest.retain(|directory| !elsewhere::is_elsewhere(directory));
                continue;
            }
            let _ = look_elsewhere(&directory, &numbers, inodes, &mut found, &mut rest);
            if found.len() >= enough {
                return found;
            }
            continue;
        }
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let is_closed = is_holding(&path) || path == data_dir || mounts.contains(&path);
                if !is_closed {
                    rest.push(path);
                }
            } else if numbers.contains(&entry.ino())
                && entry.metadata().is_ok_and(|stat| inodes.contains(&(stat.dev(), stat.ino())))
            {
                found.push(path);
                if found.len() >= enough {
                    return found;
                }
            }
        }
    }
    found
}

/// As much as one directory holds, in a mount namespace of others. No other mount is entered.
fn look_elsewhere(
    directory: &Path,
    numbers: &HashSet<u64>,
    inodes: &HashSet<(u64, u64)>,
    found: &mut Vec<PathBuf>,
    rest: &mut Vec<PathBuf>,
) -> std::io::Result<()> {
    let opened = crate::vault::directory(directory)?;
    for entry in Dir::read_from(&opened)?.take(MOST) {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        match entry.file_type() {
            FileType::Directory if name != "." && name != ".." => rest.push(directory.join(name)),
            FileType::RegularFile if numbers.contains(&entry.ino()) => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW;
                let place = open_on_mount(opened.as_fd(), Path::new(name), flags);
                let state = place.ok().and_then(|place| State::of(place).ok()?);
                if state.is_some_and(|state| inodes.contains(&(state.device, state.inode))) {
                    found.push(directory.join(name));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_but_those_in_vault_and_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["a/b", ".quell-vault", "data"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(path(".quell-vault"), closed).unwrap();
        std::fs::write(path("a/one"), "x").unwrap();
        std::fs::write(path("a/other"), "x").unwrap();
        for name in ["a/b/two", ".quell-vault/three", "data/four", "five"] {
            std::fs::hard_link(path("a/one"), path(name)).unwrap();
        }
        let stat = std::fs::metadata(path("five")).unwrap();
        let inodes = HashSet::from([(stat.dev(), stat.ino())]);
        let mut found = of(&inodes, &[dir.path()], &path("data"), 9);
        found.sort();
        assert_eq!(found, [path("a/b/two"), path("a/one"), path("five")]);
        assert_eq!(of(&inodes, &[dir.path()], &path("data"), 2).len(), 2);
    }
}
