//! Finds out what is spared: the paths, what lies there, and what the packages say of it.

use std::collections::BTreeSet;
use std::fs::File;
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
}

/// Looks. `own` is this program's own path.
pub(super) fn survey(own: Option<&Path>) -> Findings {
    let packages = Packages::read();
    let wanted = roots::wanted(&packages, own);
    let paths: BTreeSet<PathBuf> = wanted.keys().cloned().collect();
    let mut recorded = packages.recorded(&paths);
    let look = |(path, why): (PathBuf, String)| {
        let (digests, _) = digest::hash_plainly(File::open(&path).ok()?.as_fd()).ok()?;
        let records = recorded.remove(&path).unwrap_or_default();
        let matching = records.iter().find(|record| record.is_of(&digests));
        let package = matching
            .or(records.first())
            .map(|record| (record.database, record.package.clone(), matching.is_some()));
        Some(Finding { path, digests, package, why })
    };
    Findings { findings: wanted.into_iter().filter_map(look).collect(), unreadable: packages.unreadable }
}

#[cfg(test)]
mod tests {
    use super::*;

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
