//! What may never be denied or quarantined here: the copies without which nobody could repair the machine,
//! while their bytes are the recorded ones.
//!
//! Which these are is found out by a process of its own ([`helper`]): it reads databases that others have written, and
//! every file of the set.

mod asking;
mod due;
mod helper;
mod keeping;
mod linked;
mod names;
mod packages;
mod roots;
mod scripts;
mod shape;
mod survey;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use model::spared::{Record, Spared};
use model::{Digests, Sha256};

use crate::guard::SparedInode;

pub use asking::Surveyor;
pub(crate) use helper::confine;
pub use helper::run as survey_for_parent;
pub(crate) use keeping::Keeper;
pub use packages::Database;
pub(crate) use packages::{Brought, Digest, Installed, Packages, Stamp};
pub(crate) use shape::told;

/// A path of the spared set, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// Where it lies; canonical.
    pub path: PathBuf,
    /// What it holds.
    pub digests: Digests,
    /// The database that knows it.
    pub database: Option<Database>,
    /// Its package there.
    pub package: String,
    /// Whether it is what it must be.
    pub state: State,
    /// Why the machine could not be repaired without it.
    pub why: String,
}

/// Whether a file at a spared path is what it must be. Only one that is, is spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It holds what was recorded.
    Matches,
    /// It holds something else.
    Differs,
    /// No package knows it, and it was not there at enrolment.
    Unrecorded,
}

impl State {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Matches => "matches",
            Self::Differs => "differs",
            Self::Unrecorded => "unrecorded",
        }
    }

    /// The state that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Matches, Self::Differs, Self::Unrecorded].into_iter().find(|state| state.word() == word)
    }
}

impl Surveyed {
    fn record(&self) -> Record {
        match self.database {
            Some(_) => Record::Package(self.package.clone()),
            None => Record::Baseline,
        }
    }

    /// As others are told of it.
    fn as_spared(&self) -> Spared {
        Spared { path: self.path.clone(), digests: self.digests, recorded_by: self.record() }
    }
}

/// The spared set, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparedSet {
    by_path: BTreeMap<PathBuf, Surveyed>,
    /// What keeps it from being that of now; empty if nothing does.
    pub(crate) notice: String,
}

impl SparedSet {
    /// Of what was surveyed.
    pub(crate) fn new(surveyed: Vec<Surveyed>) -> Self {
        let by_path = surveyed.into_iter().map(|one| (one.path.clone(), one)).collect();
        Self { by_path, notice: String::new() }
    }

    /// Of what was recorded before this start: all of it is spared until it is looked at again.
    pub(crate) fn remembered(spared: &[Spared]) -> Self {
        let surveyed = spared.iter().map(|spared| {
            let (database, package) = match &spared.recorded_by {
                Record::Package(package) => (Some(packages::Database::Dpkg), package.clone()),
                Record::Baseline => (None, String::new()),
            };
            Surveyed {
                path: spared.path.clone(),
                digests: spared.digests,
                database,
                package,
                state: State::Matches,
                why: "spared before the agent's last start".to_owned(),
            }
        });
        let notice = "not looked at since the agent's start".to_owned();
        Self { notice, ..Self::new(surveyed.collect()) }
    }

    /// Who vouches for the copy at `path` with this content; nobody, if it is not spared.
    pub(crate) fn record(&self, path: &Path, sha256: &Sha256) -> Option<String> {
        let path = path.canonicalize().ok()?;
        let known = self.by_path.get(&path)?;
        let is_spared = known.state == State::Matches && known.digests.sha256 == *sha256;
        is_spared.then(|| known.record().to_string())
    }

    /// Every path of the set, whatever lies there.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Surveyed> {
        self.by_path.values()
    }

    /// What is spared.
    pub(crate) fn spared(&self) -> Vec<Spared> {
        self.all().filter(|one| one.state == State::Matches).map(Surveyed::as_spared).collect()
    }

    /// What lies at spared paths, and is not what was recorded.
    pub(crate) fn strange(&self) -> Vec<Spared> {
        self.all().filter(|one| one.state != State::Matches).map(Surveyed::as_spared).collect()
    }

    /// How many copies are spared.
    pub(crate) fn len(&self) -> usize {
        self.all().filter(|one| one.state == State::Matches).count()
    }

    /// The inodes that now lie at the spared paths, for the guard.
    pub(crate) fn inodes(&self) -> Vec<SparedInode> {
        let inode = |one: &Surveyed| {
            let stat = fs::symlink_metadata(&one.path).ok()?;
            Some(SparedInode { device: stat.dev(), inode: stat.ino(), sha256: one.digests.sha256 })
        };
        self.all().filter(|one| one.state == State::Matches).filter_map(inode).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surveyed(path: &Path, byte: u8, state: State) -> Surveyed {
        Surveyed {
            path: path.to_owned(),
            digests: Digests {
                sha256: Sha256([byte; 32]),
                sha1: model::Sha1([byte; 20]),
                md5: model::Md5([byte; 16]),
            },
            database: Some(Database::Rpm),
            package: "bash".to_owned(),
            state,
            why: "login shell".to_owned(),
        }
    }

    #[test]
    fn only_what_matches_is_spared() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let [good, bad, new] = ["good", "bad", "new"].map(|name| dir.join(name));
        for path in [&good, &bad, &new] {
            fs::write(path, "x").unwrap();
        }
        let states = [(&good, State::Matches), (&bad, State::Differs), (&new, State::Unrecorded)];
        let set = SparedSet::new(states.map(|(path, state)| surveyed(path, 1, state)).to_vec());
        assert_eq!(set.len(), 1);
        assert_eq!(set.record(&good, &Sha256([1; 32])), Some("package bash".to_owned()));
        assert_eq!(set.record(&good, &Sha256([2; 32])), None, "another content at its path is not spared");
        assert_eq!(set.record(&bad, &Sha256([1; 32])), None);
        assert_eq!(set.inodes().len(), 1);
        let paths = |spared: Vec<Spared>| spared.into_iter().map(|spared| spared.path).collect::<Vec<_>>();
        assert_eq!(paths(set.spared()), [good]);
        assert_eq!(paths(set.strange()), [bad, new]);
    }

    #[test]
    fn after_a_start_what_was_spared_is_spared() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("sh");
        fs::write(&path, "x").unwrap();
        let before = SparedSet::new(vec![surveyed(&path, 1, State::Matches)]);
        let after = SparedSet::remembered(&before.spared());
        assert_eq!(after.record(&path, &Sha256([1; 32])), Some("package bash".to_owned()));
        assert!(!after.notice.is_empty());
    }
}
