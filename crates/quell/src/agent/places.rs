//! What `--watch` and `--guard` mean.

use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;

/// The word that guards nothing.
pub(crate) const NONE: &str = "none";

/// All local filesystems.
const ALL: &str = "/";

/// The filesystems of `--guard`: none for `none`.
pub(crate) fn guarded(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    match paths {
        [only] if only == Path::new(NONE) => Ok(Vec::new()),
        paths if paths.iter().any(|path| path == Path::new(NONE)) => {
            Err(Failure::usage("--guard none excludes every other --guard").hint("leave one of them out"))
        }
        paths => paths.iter().map(|path| local(path)).collect(),
    }
}

/// Whether that is every local filesystem, also those that appear later.
pub(crate) fn is_all(guarded: &[PathBuf]) -> bool {
    guarded.iter().any(|path| path == Path::new(ALL))
}

/// The filesystems of `--watch`; none of them means all.
pub(crate) fn watched(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if paths.iter().any(|path| path == Path::new(ALL)) {
        return Ok(Vec::new());
    }
    paths.iter().map(|path| local(path)).collect()
}

/// The same place without symbolic links, if the kernel itself keeps its files.
fn local(path: &Path) -> Result<PathBuf, Failure> {
    let name = path.display();
    let mount = sys::mounts::containing(path).map_err(|error| {
        Failure::new(Exit::NotFound, format!("cannot look at {name}: {error}"))
            .hint("name a mount point, or a directory on the filesystem that is meant")
    })?;
    if path != Path::new(ALL) && !sys::mounts::is_local(&mount) {
        return Err(Failure::new(
            Exit::Refused,
            format!(
                "{name} is on {}, and only local filesystems can be watched or guarded",
                mount.filesystem
            ),
        )
        .hint("elsewhere an answer may need somebody who waits for one; run Quell where the files are"));
    }
    path.canonicalize().map_err(|error| Failure::new(Exit::Failed, format!("cannot look at {name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_stands_alone() {
        assert!(guarded(&["none".into()]).unwrap().is_empty());
        assert_eq!(guarded(&["none".into(), "/".into()]).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn the_root_watches_all() {
        assert!(watched(&["/".into()]).unwrap().is_empty());
        assert!(watched(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_place_must_be_there_and_local() {
        assert_eq!(guarded(&["/no/such".into()]).unwrap_err().exit, Exit::NotFound);
        assert_eq!(guarded(&["/proc".into()]).unwrap_err().exit, Exit::Refused);
    }
}
