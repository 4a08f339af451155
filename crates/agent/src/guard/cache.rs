//! Digests of files that were hashed, kept for as long as the file is the same.
//!
//! **It holds digests, never verdicts.** A verdict is made anew for each question, from the rules in force at
//! that moment, so a change of rules has nothing to flush here.

use std::hash::{BuildHasher, RandomState};

use model::Names;
use sys::handle::FileHandle;
use sys::identity::Identity;

/// Entries that compete for the same place.
const WAYS: usize = 8;
/// Places. Together 32,768 files, in 5 MiB when all of it is used.
const SETS: usize = 4096;

/// A table of fixed size. Looking up neither allocates nor waits; a place gets its memory with its first entry.
///
/// The place depends on the file and not on its state, so that a changed file displaces its older self and can
/// be forgotten by its handle alone. Which place that is can't be foreseen from outside: nobody can crowd out
/// the entries of others at will.
pub(super) struct Cache {
    sets: Box<[Vec<Entry>]>,
    hasher: RandomState,
    uses: u64,
}

struct Entry {
    identity: Identity,
    names: Names,
    trust: Trust,
    used: u64,
}

/// Whether the identity tells every change of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It does.
    Identity,
    /// Only together with the news of who closed the file after writing (tmpfs).
    IdentityAndNews,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self::with_places(SETS)
    }

    fn with_places(places: usize) -> Self {
        Self { sets: (0..places).map(|_| Vec::new()).collect(), hasher: RandomState::new(), uses: 0 }
    }

    /// What is known of a file in this state.
    pub(super) fn get(&mut self, identity: &Identity) -> Option<(Names, Trust)> {
        let set = self.place(identity.handle());
        let entry = self.sets[set].iter_mut().find(|entry| entry.identity == *identity)?;
        self.uses += 1;
        entry.used = self.uses;
        Some((entry.names, entry.trust))
    }

    /// Keeps what was learnt, in place of what was known of the file before, or of the entry of its place that
    /// was not used for the longest time.
    pub(super) fn insert(&mut self, identity: Identity, names: Names, trust: Trust) {
        let place = self.place(identity.handle());
        self.uses += 1;
        let entry = Entry { identity, names, trust, used: self.uses };
        let set = &mut self.sets[place];
        if let Some(older) = set.iter_mut().find(|older| same_file(&older.identity, &identity)) {
            *older = entry;
        } else if set.len() < WAYS {
            if set.capacity() == 0 {
                set.reserve_exact(WAYS);
            }
            set.push(entry);
        } else if let Some(oldest) = set.iter_mut().min_by_key(|older| older.used) {
            *oldest = entry;
        }
    }

    /// Forgets the files of that handle that need news to be trusted, on whichever filesystem.
    pub(super) fn forget(&mut self, handle: &FileHandle) {
        let name = (handle.kind(), handle.as_bytes());
        let set = self.place(name);
        self.sets[set].retain(|entry| entry.trust == Trust::Identity || entry.identity.handle() != name);
    }

    /// Forgets all files that need news to be trusted.
    pub(super) fn forget_all(&mut self) {
        for set in &mut self.sets {
            set.retain(|entry| entry.trust == Trust::Identity);
        }
    }

    /// Forgets the files of one device, or all.
    pub(super) fn forget_device(&mut self, device: Option<u64>) {
        for set in &mut self.sets {
            set.retain(|entry| device.is_some_and(|device| entry.identity.device() != device));
        }
    }

    fn place(&self, handle: (i32, &[u8])) -> usize {
        usize::try_from(self.hasher.hash_one(handle)).unwrap_or_default() % self.sets.len()
    }
}

fn same_file(one: &Identity, other: &Identity) -> bool {
    one.device() == other.device() && one.handle() == other.handle()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    fn names(byte: u8) -> Names {
        Names { sha256: model::Sha256([byte; 32]), sha1: Some(model::Sha1([byte; 20])), md5: None }
    }

    /// Identities of real files; those of the same index are of the same file.
    fn identities(count: usize) -> (tempfile::TempDir, Vec<File>, Vec<Identity>) {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..count)
            .map(|n| {
                File::options().create_new(true).read(true).write(true).open(dir.path().join(n.to_string()))
            })
            .collect::<Result<_, _>>()
            .unwrap();
        let identities = files.iter().map(identity).collect();
        (dir, files, identities)
    }

    fn identity(file: &File) -> Identity {
        Identity::of(file.as_fd())
            .unwrap()
            .identity
            .expect("temporary files are on a filesystem with handles")
    }

    #[test]
    fn a_file_is_known_in_one_state_only() {
        let (_dir, mut files, identities) = identities(2);
        let mut cache = Cache::new();
        cache.insert(identities[0], names(1), Trust::Identity);
        assert_eq!(cache.get(&identities[0]), Some((names(1), Trust::Identity)));
        assert_eq!(cache.get(&identities[1]), None);

        files[0].write_all(b"more").unwrap();
        let now = identity(&files[0]);
        assert_eq!(cache.get(&now), None);
        cache.insert(now, names(2), Trust::Identity);
        assert_eq!(cache.get(&now), Some((names(2), Trust::Identity)));
        assert_eq!(cache.get(&identities[0]), None, "its older self is displaced");
    }

    #[test]
    fn a_full_place_loses_what_was_not_used_for_longest() {
        let (_dir, _files, identities) = identities(WAYS + 1);
        let mut cache = Cache::with_places(1);
        for identity in &identities[..WAYS] {
            cache.insert(*identity, names(0), Trust::Identity);
        }
        assert!(cache.get(&identities[0]).is_some());
        cache.insert(identities[WAYS], names(1), Trust::Identity);
        let lost: Vec<_> = (0..=WAYS).filter(|&n| cache.get(&identities[n]).is_none()).collect();
        assert_eq!(lost, [1]);
    }

    #[test]
    fn news_forget_only_what_depends_on_them() {
        let (_dir, files, identities) = identities(3);
        let mut cache = Cache::new();
        cache.insert(identities[0], names(0), Trust::IdentityAndNews);
        cache.insert(identities[1], names(1), Trust::IdentityAndNews);
        cache.insert(identities[2], names(2), Trust::Identity);
        for file in [&files[0], &files[2]] {
            cache.forget(&FileHandle::of(file.as_fd()).unwrap());
        }
        let known = |cache: &mut Cache| {
            identities.iter().map(|identity| cache.get(identity).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(known(&mut cache), [false, true, true]);
        cache.forget_all();
        assert_eq!(known(&mut cache), [false, false, true]);
        cache.forget_device(Some(identities[2].device() + 1));
        assert_eq!(known(&mut cache), [false, false, true]);
        cache.forget_device(Some(identities[2].device()));
        assert_eq!(known(&mut cache), [false, false, false]);
    }
}
