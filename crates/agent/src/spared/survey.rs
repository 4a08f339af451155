//! Finds out what is spared: the paths, what lies there, and what the packages say of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use model::Digests;

use super::packages::{Database, Packages};
use super::roots;
use crate::digest;

/// A path of the set as it is, before anybody has looked at the baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) path: PathBuf,
    pub(super) digests: Digests,
    /// The package that has it, and whether it is what that brought.
    pub(super) package: Option<(Database, String, bool)>,
    pub(super) why: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) findings: Vec<Finding>,
    /// Package databases whose records are missing, and why.
    pub(super) unreadable: Vec<String>,
    /// Files that are there and could not be read.
    pub(super) unread: Vec<Unread>,
}

/// A file that is there and could not be read: nobody knows what it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) path: PathBuf,
    pub(super) why: String,
}

/// Looks. `own` is this program's own path.
pub(super) fn survey(own: Option<&Path>) -> Findings {
    let packages = Packages::read();
    let wanted = roots::wanted(&packages, own);
    let paths: BTreeSet<PathBuf> = wanted.keys().cloned().collect();
    let mut recorded = packages.recorded(&paths);
    let mut findings = Vec::new();
    let mut unread = Vec::new();
    for (path, why) in wanted {
        match read(&path) {
            Ok(Some(digests)) => {
                let records = recorded.remove(&path).unwrap_or_default();
                let matching = records.iter().find(|record| record.is_of(&digests));
                let package = matching
                    .or(records.first())
                    .map(|record| (record.database, record.package.clone(), matching.is_some()));
                findings.push(Finding { path, digests, package, why });
            }
            Ok(None) => {}
            Err(error) => unread.push(Unread { path, why: error.to_string() }),
        }
    }
    Findings { findings, unreadable: packages.unreadable, unread }
}

/// What a file holds; nothing if it is gone.
fn read(path: &Path) -> io::Result<Option<Digests>> {
    let file = match File::open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        opened => opened?,
    };
    digest::hash_plainly(file.as_fd()).map(|(digests, _)| Some(digests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_told_apart_from_what_can_not_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "x").unwrap();
        assert!(read(&path).unwrap().is_some());
        for gone in [path.join("below a file"), dir.path().join("nowhere")] {
            assert_eq!(read(&gone).unwrap(), None);
        }
        // As a disk that fails: it opens, and reading fails.
        read(dir.path()).unwrap_err();
    }

    #[test]
    fn this_machine_can_be_repaired() {
        let own = std::env::current_exe().unwrap().canonicalize().unwrap();
        let found = survey(Some(&own));
        assert_eq!(found.unreadable, Vec::<String>::new());
        let at = |path: &Path| found.findings.iter().find(|finding| finding.path == path);
        let has = |part: &str| found.findings.iter().any(|one| one.path.to_string_lossy().contains(part));
        assert!(has("libc.so") || has("libc-") || has("ld-musl"), "a C library is spared: {found:?}");
        let shell = at(&Path::new("/bin/sh").canonicalize().unwrap()).expect("the shell is spared");
        assert!(!shell.why.is_empty());
        assert_eq!(at(&own).expect("this program is").package, None, "no package has it");
        if Path::new("/var/lib/dpkg/status").exists() {
            let dpkg = at(&Path::new("/usr/bin/dpkg").canonicalize().unwrap()).expect("so is dpkg");
            assert_eq!(dpkg.package, Some((Database::Dpkg, "dpkg".to_owned(), true)));
        }
    }
}
