//! Which file it is that a process runs: remembered, known from the inventory, or read.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use model::facts::Facts;
use model::{Kinds, Names, Time};
use rustix::fs::{Mode, OFlags};
use sys::identity::{Identity, Stat};
use sys::lease::Lease;
use sys::state::State;

use crate::digest::Hasher;
use crate::guard::is_young;
use crate::inventory::Inventory;

/// Files that are remembered: more than a machine runs at one time, and less than 3 MB.
const MOST: usize = 10_000;

/// No larger file is read: anybody can make one without end, out of nothing but a hole.
const LARGEST: u64 = 4 << 30;

/// A file and what its bytes say.
pub(super) type Described = (Names, Facts);

/// Files that were read, by identity.
pub(crate) struct Known {
    inventory: Option<Arc<Inventory>>,
    read: HashMap<Identity, Remembered>,
    most: usize,
    sweep: u64,
}

struct Remembered {
    file: Described,
    /// The last sweep that met it.
    met: u64,
}

impl Known {
    /// With what the inventory knows, if there is one.
    pub(crate) fn new(inventory: Option<Arc<Inventory>>) -> Self {
        Self { inventory, read: HashMap::new(), most: MOST, sweep: 0 }
    }

    /// Another sweep begins.
    pub(super) fn begin(&mut self) {
        self.sweep += 1;
    }

    /// The file that is held, if as many of its names are known without reading it.
    pub(super) fn recall(&mut self, held: &OwnedFd, kinds: Kinds) -> Option<Described> {
        let stat = Identity::of(held.as_fd()).ok()?;
        if let Some(remembered) = stat.identity.and_then(|identity| self.read.get_mut(&identity)) {
            remembered.met = self.sweep;
            if remembered.file.0.has(kinds) {
                return Some(remembered.file.clone());
            }
        }
        let path = sys::place::path_of(held.as_fd()).ok()?;
        let known = self.inventory.as_ref()?.at(&path).filter(|known| known.is_unchanged(&stat))?;
        Some((known.digests.into(), known.facts))
    }

    /// Reads the file that is held. Its filesystem must be one that answers.
    ///
    /// # Errors
    /// When it can't be read, or is none that was looked at any more.
    pub(super) fn read(
        &mut self,
        held: &OwnedFd,
        state: State,
        kinds: Kinds,
        hides_writes: bool,
        now: Time,
    ) -> io::Result<Described> {
        let (read, stat) = Self::look_into(held, state, kinds, hides_writes, now)?;
        if let Some(stat) = stat {
            self.remember(&stat, &read);
        }
        Ok(read)
    }

    /// Reads the file that is held, as [`Self::read`] does, and says what it may be remembered by: that can be done later.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn look_into(
        held: &OwnedFd,
        state: State,
        kinds: Kinds,
        hides_writes: bool,
        now: Time,
    ) -> io::Result<(Described, Option<Stat>)> {
        let file = reopen(held)?;
        // Nobody can write to a program that runs, so that the lease delays nobody there. It proves that what is read
        // is the content of this identity, now and later; filesystems without leases prove nothing.
        let is_steady = matches!(sys::lease::take_read(file.as_fd()), Ok(Lease::Held));
        let read = names(&file, kinds)?;
        if State::of(&file)? != Some(state) {
            return Err(rustix::io::Errno::STALE.into());
        }
        let stat = Identity::of(file.as_fd())?;
        let lasts = is_steady && !hides_writes && !is_young(stat.ctime_ns, now);
        Ok((read, lasts.then_some(stat)))
    }

    pub(super) fn remember(&mut self, stat: &Stat, file: &Described) {
        let Some(identity) = stat.identity else { return };
        if self.read.len() >= self.most {
            let sweep = self.sweep;
            self.read.retain(|_, remembered| remembered.met == sweep);
        }
        if self.read.len() < self.most {
            self.read.insert(identity, Remembered { file: file.clone(), met: self.sweep });
        }
    }
}

/// Reads a file for its names.
///
/// # Errors
/// Those of reading; EFBIG when it is too large.
pub(super) fn names(file: &File, kinds: Kinds) -> io::Result<Described> {
    let mut hasher = Hasher::new(kinds);
    let is_larger = rustix::fs::fstat(file)?.st_size.cast_unsigned() > LARGEST;
    if is_larger || !hasher.read_on(file.as_fd(), LARGEST)? {
        return Err(rustix::io::Errno::FBIG.into());
    }
    Ok(hasher.finish())
}

/// Opens for reading what is held: a plain file, so that nobody is waited for.
pub(crate) fn reopen(held: &OwnedFd) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", held.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(match rustix::fs::open(&path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(rustix::io::Errno::PERM) => rustix::fs::open(&path, flags, Mode::empty())?,
        outcome => outcome?,
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(path: &std::path::Path) -> (OwnedFd, State) {
        let file = rustix::fs::open(path, OFlags::PATH, Mode::empty()).unwrap();
        let state = State::of(&file).unwrap().unwrap();
        (file, state)
    }

    #[test]
    fn what_was_read_is_known_again_until_it_changes() {
        sys::lease::ignore_break_signals().unwrap();
        // On the disk: on a tmpfs nothing tells every change.
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let (file, state) = held(&path);
        let later = Time::from_nanoseconds(i128::from(state.ctime_ns) + 3_000_000_000);
        let mut known = Known::new(None);
        let few = Kinds::NONE;
        assert_eq!(known.recall(&file, few), None);
        let young = Time::from_nanoseconds(state.ctime_ns.into());
        let read = known.read(&file, state, few, false, young).unwrap();
        assert_eq!(known.recall(&file, few), None, "a young file may change without a trace");
        known.read(&file, state, few, true, later).unwrap();
        assert_eq!(known.recall(&file, few), None, "and so may one whose filesystem hides writes");
        assert_eq!(known.read(&file, state, few, false, later).unwrap(), read);
        assert_eq!(known.recall(&file, few), Some(read));
        assert_eq!(known.recall(&file, Kinds::ALL), None, "not all names were asked for");
        let whole = known.read(&file, state, Kinds::ALL, false, later).unwrap();
        assert_eq!(known.recall(&file, Kinds::ALL), Some(whole));
        std::fs::write(&path, "two").unwrap();
        assert_eq!(known.recall(&file, few), None);
    }

    #[test]
    fn who_writes_proves_that_nothing_is_proven() {
        sys::lease::ignore_break_signals().unwrap();
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        let writer = File::create(&path).unwrap();
        let (file, state) = held(&path);
        let later = Time::from_nanoseconds(i128::from(state.ctime_ns) + 3_000_000_000);
        let mut known = Known::new(None);
        known.read(&file, state, Kinds::NONE, false, later).unwrap();
        assert_eq!(known.recall(&file, Kinds::NONE), None);
        drop(writer);
        known.read(&file, state, Kinds::NONE, false, later).unwrap();
        assert!(known.recall(&file, Kinds::NONE).is_some());
    }

    #[test]
    fn who_was_met_last_is_kept_when_there_is_no_room() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let files: Vec<_> = (0..4)
            .map(|name| {
                let path = dir.path().join(name.to_string());
                std::fs::write(&path, name.to_string()).unwrap();
                held(&path)
            })
            .collect();
        let later = Time::from_nanoseconds(i128::from(files[3].1.ctime_ns) + 3_000_000_000);
        let mut known = Known { most: 3, ..Known::new(None) };
        let read = |known: &mut Known, which: usize| {
            known.read(&files[which].0, files[which].1, Kinds::NONE, false, later).unwrap();
        };
        for which in 0..3 {
            read(&mut known, which);
        }
        known.begin();
        assert!(known.recall(&files[1].0, Kinds::NONE).is_some());
        read(&mut known, 3);
        let kept: Vec<_> = files.iter().map(|(file, _)| known.recall(file, Kinds::NONE).is_some()).collect();
        assert_eq!(kept, [false, true, false, true]);
    }
}
