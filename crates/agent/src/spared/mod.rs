//! What may never be denied or quarantined here: the copies without which nobody could repair the machine,
//! while their bytes are the recorded ones.

mod linked;
mod packages;
mod roots;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use model::Sha256;
use model::spared::{Record, Spared};
use sys::identity::Identity;

use crate::digest;
use crate::guard::SparedInode;

pub(crate) use packages::changed as packages_changed;

/// The spared set, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparedSet {
    by_path: BTreeMap<PathBuf, Spared>,
}

impl SparedSet {
    /// Of what was recorded.
    pub(crate) fn new(spared: Vec<Spared>) -> Self {
        Self { by_path: spared.into_iter().map(|spared| (spared.path.clone(), spared)).collect() }
    }

    /// Who vouches for the copy at `path` with this content; nobody, if it is not spared.
    pub(crate) fn record(&self, path: &Path, sha256: &Sha256) -> Option<String> {
        let path = path.canonicalize().ok()?;
        let spared = self.by_path.get(&path)?;
        (spared.digests.sha256 == *sha256).then(|| spared.recorded_by.to_string())
    }

    /// All of it.
    pub(crate) fn all(&self) -> Vec<Spared> {
        self.by_path.values().cloned().collect()
    }

    /// How many copies it holds.
    pub(crate) fn len(&self) -> usize {
        self.by_path.len()
    }

    /// The inodes that now lie at the spared paths, for the guard.
    pub(crate) fn inodes(&self) -> Vec<SparedInode> {
        let inode = |spared: &Spared| {
            let stat = Identity::of(File::open(&spared.path).ok()?.as_fd()).ok()?;
            Some(SparedInode { device: stat.device, inode: stat.inode, sha256: spared.digests.sha256 })
        };
        self.by_path.values().filter_map(inode).collect()
    }
}

/// What is spared on this machine now. `baseline` is what was recorded at enrolment of copies that no package
/// vouches for; what is not in it is not spared. Without a baseline this is the enrolment, and every one of
/// them is.
pub(crate) fn survey(baseline: Option<&[Spared]>) -> Vec<Spared> {
    let own = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let paths = linked::closure(roots::roots().into_iter().chain(own.clone()));
    let recorded = packages::recorded(&paths);
    let spare = |path: PathBuf| {
        let (digests, _) = digest::hash_plainly(File::open(&path).ok()?.as_fd()).ok()?;
        let recorded_by = match recorded.get(&path) {
            Some((package, md5)) if *md5 == digests.md5 => Record::Package(package.clone()),
            // Its package says otherwise: somebody has replaced it.
            Some(_) => return None,
            // This very program vouches for itself, over its own upgrades too.
            None if own.as_ref() == Some(&path) => Record::Baseline,
            None => match baseline {
                Some(baseline)
                    if !baseline.iter().any(|known| known.path == path && known.digests == digests) =>
                {
                    return None;
                }
                _ => Record::Baseline,
            },
        };
        Some(Spared { path, digests, recorded_by })
    };
    paths.into_iter().filter_map(spare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_repaired() {
        let spared = survey(None);
        let has = |part: &str| spared.iter().any(|spared| spared.path.to_string_lossy().contains(part));
        assert!(has("libc.so") || has("libc-") || has("ld-musl"), "a C library is spared: {spared:?}");
        let shell = Path::new("/bin/sh").canonicalize().unwrap();
        let shell = spared.iter().find(|spared| spared.path == shell).expect("the shell is spared");
        let set = SparedSet::new(spared.clone());
        assert!(set.record(Path::new("/bin/sh"), &shell.digests.sha256).is_some());
        assert!(
            set.record(Path::new("/bin/sh"), &Sha256([0; 32])).is_none(),
            "another content at its path is not spared"
        );
    }

    #[test]
    fn what_no_package_vouches_for_is_spared_only_as_it_was_at_enrolment() {
        let own = std::env::current_exe().unwrap().canonicalize().unwrap();
        let enrolled = survey(None);
        assert!(enrolled.iter().any(|spared| spared.path == own && spared.recorded_by == Record::Baseline));
        let later = survey(Some(&[]));
        assert!(later.iter().all(|spared| spared.path == own || spared.recorded_by != Record::Baseline));
    }
}
