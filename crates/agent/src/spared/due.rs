//! When the spared set is to be looked at again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::SparedSet;
use super::packages::Stamp;

/// A transaction that takes longer is looked into while it goes on.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(60);
/// How often it is asked whether something else lies at a spared path.
const FILES: Duration = Duration::from_secs(30);
/// After this a survey that failed is tried again; each time it waits longer,
const RETRY: Duration = Duration::from_secs(30);
/// up to this.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// Packages and files as they were before a look.
#[derive(Clone, Debug)]
pub(super) struct Before {
    packages: Stamp,
    files: BTreeMap<PathBuf, FileStamp>,
}

/// How the file at a spared path is.
type FileStamp = Option<(u64, u64, i64, i64)>;

impl Before {
    /// Now, of the paths that are known.
    pub(super) fn now(set: &SparedSet) -> Self {
        let files = set.all().map(|one| (one.path.clone(), stamp(&one.path)));
        Self { packages: Stamp::now(), files: files.collect() }
    }
}

/// When to look.
#[derive(Debug, Default)]
pub(super) struct Due {
    seen: Option<Before>,
    /// Packages that have changed since: how they were last, and since when they do.
    changing: Option<(Stamp, Instant)>,
    /// When it was asked last whether files have.
    asked: Option<Instant>,
    /// Not before that, after so long a time.
    retry: Option<(Instant, Duration)>,
    /// No later than that, after so long a time: some files could not be read.
    again: Option<(Instant, Duration)>,
}

impl Due {
    /// Whether that is now. Changed packages must have rested since it was asked last: in the middle of a transaction
    /// files and records differ.
    pub(super) fn is_now(&mut self, set: &SparedSet) -> bool {
        if let Some((at, _)) = self.retry {
            return Instant::now() >= at;
        }
        if self.again.is_some_and(|(at, _)| Instant::now() >= at) {
            return true;
        }
        let Some(seen) = &self.seen else { return true };
        let packages = Stamp::now();
        if packages != seen.packages {
            let since = self.changing.as_ref().map_or_else(Instant::now, |(_, since)| *since);
            let rests = self.changing.as_ref().is_some_and(|(last, _)| *last == packages);
            self.changing = Some((packages, since));
            return rests || since.elapsed() > LONGEST_TRANSACTION;
        }
        self.changing = None;
        if self.asked.is_some_and(|asked| asked.elapsed() < FILES) {
            return false;
        }
        self.asked = Some(Instant::now());
        set.all().any(|one| seen.files.get(&one.path) != Some(&stamp(&one.path)))
    }

    /// A look has begun at `before`, and found `set`. What has changed meanwhile is looked at again; so is all, ever more
    /// seldom, while not `is_whole`.
    pub(super) fn looked(&mut self, before: Before, set: &SparedSet, is_whole: bool) {
        let mut before = before;
        for one in set.all() {
            before.files.entry(one.path.clone()).or_insert_with(|| stamp(&one.path));
        }
        let again = (!is_whole).then(|| longer(self.again));
        *self = Self { seen: Some(before), asked: Some(Instant::now()), again, ..Self::default() };
    }

    /// A look has failed.
    pub(super) fn failed(&mut self) {
        self.retry = Some(longer(self.retry));
    }
}

/// When it is tried again, and after how long.
fn longer(last: Option<(Instant, Duration)>) -> (Instant, Duration) {
    let wait = last.map_or(RETRY, |(_, wait)| (wait * 2).min(LONGEST_RETRY));
    (Instant::now() + wait, wait)
}

fn stamp(path: &Path) -> FileStamp {
    let stat = fs::symlink_metadata(path).ok()?;
    Some((stat.ino(), stat.size(), stat.ctime(), stat.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spared::{State, Surveyed};
    use model::{Digests, Md5, Sha1, Sha256};

    #[test]
    fn a_changed_file_is_a_reason_and_a_failure_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sh");
        fs::write(&path, "x").unwrap();
        let digests = Digests { sha256: Sha256([1; 32]), sha1: Sha1([1; 20]), md5: Md5([1; 16]) };
        let (database, package, state, why) = (None, String::new(), State::Matches, String::new());
        let set =
            SparedSet::new(vec![Surveyed { path: path.clone(), digests, database, package, state, why }]);

        let mut due = Due::default();
        assert!(due.is_now(&SparedSet::default()), "nobody has looked yet");
        due.failed();
        assert!(!due.is_now(&set));
        due.looked(Before::now(&SparedSet::default()), &set, true);
        assert!(!due.is_now(&set));
        due.asked = None;
        assert!(!due.is_now(&set), "it is as it was");

        // While it was looked at.
        let before = Before::now(&set);
        fs::write(&path, "y").unwrap();
        due.looked(before, &set, true);
        due.asked = None;
        assert!(due.is_now(&set));
        due.looked(Before::now(&set), &set, true);
        fs::remove_file(&path).unwrap();
        assert!(!due.is_now(&set), "files are not asked about all the time");
        due.asked = None;
        assert!(due.is_now(&set));
    }

    #[test]
    fn what_could_not_be_read_is_looked_at_again_ever_more_seldom() {
        let (set, mut due) = (SparedSet::default(), Due::default());
        let mut waits = Vec::new();
        for _ in 0..9 {
            due.looked(Before::now(&set), &set, false);
            assert!(!due.is_now(&set));
            let (at, wait) = due.again.unwrap();
            waits.push(wait.as_secs());
            due.again = at.checked_sub(wait).map(|at| (at, wait));
            assert!(due.again.is_none() || due.is_now(&set));
        }
        assert_eq!(waits[..3], [30, 60, 120]);
        assert_eq!(waits.last(), Some(&3600));
        due.looked(Before::now(&set), &set, true);
        assert_eq!(due.again, None);
    }

    #[test]
    fn changed_packages_must_rest() {
        let set = SparedSet::default();
        let mut due = Due::default();
        due.looked(Before { packages: Stamp::default(), files: BTreeMap::new() }, &set, true);
        if Stamp::now() == Stamp::default() {
            return;
        }
        assert!(!due.is_now(&set), "they have just changed");
        assert!(due.is_now(&set), "they rest");
    }
}
