//! Looking at everything: at the start, after notes were lost, and below a directory that was moved here.
//! In a thread that runs only when nobody else wants the processor or the disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::looking::{Halt, Looker, Ours, Stopped};
use crate::places::{Place, Places};

/// How far the sweep is, for people.
#[derive(Default)]
pub(crate) struct Progress {
    /// Files looked at since the agent started.
    pub(crate) seen: AtomicU64,
    /// The directory it is in.
    pub(crate) at: Mutex<Option<PathBuf>>,
    /// Whether the server knows all that lies in the guarded places, as it was at the start.
    pub(crate) guarded_complete: AtomicBool,
    /// Whether it knows the programs in the usual directories, which people ask for first.
    pub(crate) programs_complete: AtomicBool,
    /// Whether it knows all that lies in every place, as it was when it was first looked through.
    pub(crate) first_complete: AtomicBool,
}

/// What is to be looked through once more. The same is asked for once, however often: renaming a directory costs
/// nothing, and looking through it does.
#[derive(Clone, Default)]
pub(crate) struct Errands(Arc<(Mutex<Wanted>, Condvar)>);

#[derive(Default)]
struct Wanted {
    everything: bool,
    below: BTreeSet<PathBuf>,
}

impl Errands {
    /// Beyond so many directories everything is looked through instead.
    const MOST: usize = 1000;

    /// Asks for all that is watched.
    pub(crate) fn everything(&self) {
        let mut wanted = self.0.0.lock();
        wanted.everything = true;
        wanted.below.clear();
        self.0.1.notify_all();
    }

    /// Asks for all below a directory, and all that was known there.
    pub(crate) fn below(&self, directory: PathBuf) {
        let mut wanted = self.0.0.lock();
        if wanted.everything {
            return;
        }
        wanted.below.insert(directory);
        if wanted.below.len() > Self::MOST {
            wanted.everything = true;
            wanted.below.clear();
        }
        self.0.1.notify_all();
    }

    /// The next directory, or everything (`None`).
    fn next(&self, halt: &Halt) -> Result<Option<PathBuf>, Stopped> {
        let mut wanted = self.0.0.lock();
        loop {
            if halt.is_asked() {
                return Err(Stopped);
            }
            if std::mem::take(&mut wanted.everything) {
                return Ok(None);
            }
            if let Some(directory) = wanted.below.pop_first() {
                return Ok(Some(directory));
            }
            self.0.1.wait_for(&mut wanted, REST);
        }
    }
}

/// How often one who has no errand looks whether the agent stops.
const REST: Duration = Duration::from_secs(60);
/// Where a machine keeps its programs.
const PROGRAMS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// How far a first sweep has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Milestone {
    /// All that is guarded.
    Guarded,
    /// The programs in the usual directories.
    Programs,
    /// Everything.
    Everything,
}

/// The sweeping thread's state.
pub(crate) struct Sweep {
    pub(crate) looker: Looker,
    /// The guarded ones come first.
    pub(crate) places: Arc<Places>,
    /// What is passed over.
    pub(crate) ours: Ours,
    pub(crate) progress: Arc<Progress>,
    pub(crate) halt: Halt,
}

impl Sweep {
    /// Sweeps everything and tells how far it has come; then what is asked: below a directory, or everything
    /// again.
    pub(crate) fn run(&self, errands: &Errands, reached: impl Fn(Milestone)) {
        sys::process::run_when_idle();
        let first = || {
            self.roots(|place| place.is_guarded)?;
            reached(Milestone::Guarded);
            self.programs()?;
            reached(Milestone::Programs);
            self.roots(|place| !place.is_guarded)
        };
        if first().is_err() {
            return;
        }
        reached(Milestone::Everything);
        while let Ok(errand) = errands.next(&self.halt) {
            let swept = match errand {
                Some(directory) => self.root(&directory),
                None => {
                    self.roots(|place| place.is_guarded).and_then(|()| self.roots(|place| !place.is_guarded))
                }
            };
            if swept.is_err() {
                return;
            }
        }
    }

    fn programs(&self) -> Result<(), Stopped> {
        let watched = self.places.roots(|place| !place.is_guarded);
        let watched: Vec<u64> = watched.iter().filter_map(|root| device_of(root)).collect();
        let is_watched = |directory: &&Path| device_of(directory).is_some_and(|on| watched.contains(&on));
        PROGRAMS.iter().map(Path::new).filter(is_watched).try_for_each(|directory| self.below(directory))
    }

    fn roots(&self, which: impl Fn(&Place) -> bool) -> Result<(), Stopped> {
        self.places.roots(which).iter().try_for_each(|root| self.root(root))
    }

    fn root(&self, root: &Path) -> Result<(), Stopped> {
        let swept = self.below(root).and_then(|()| {
            // What was known and went away while nobody watched was not met on the way.
            self.looker.inventory.below(root).into_iter().try_for_each(|path| self.looker.look(path))
        });
        *self.progress.at.lock() = None;
        swept
    }

    /// Looks at all regular files below a directory, without leaving its filesystem.
    fn below(&self, directory: &Path) -> Result<(), Stopped> {
        let closed = foreign();
        let is_closed = |path: &Path| closed.iter().any(|closed| closed == path);
        if closed.iter().any(|closed| directory.starts_with(closed)) {
            return Ok(());
        }
        let Some(device) = device_of(directory) else { return Ok(()) };
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            if self.ours.holds(&directory) || device_of(&directory) != Some(device) {
                continue;
            }
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            *self.progress.at.lock() = Some(directory);
            for entry in entries.flatten().filter(|entry| !is_closed(&entry.path())) {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                    Ok(kind) if kind.is_file() => self.one(entry.path())?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn one(&self, path: PathBuf) -> Result<(), Stopped> {
        if self.halt.is_asked() {
            return Err(Stopped);
        }
        self.progress.seen.fetch_add(1, Ordering::Relaxed);
        self.looker.look(path)
    }
}

/// Where filesystems are mounted that may never answer: even a look there could last for ever.
fn foreign() -> Vec<PathBuf> {
    use sys::mounts::{Kind, Tree, Way, kind};
    let tree = Tree::new(sys::mounts::current().unwrap_or_default());
    let is_met = |mount: &&sys::mounts::Mount| kind(mount) == Kind::Foreign && tree.way(mount) == Way::Clear;
    tree.mounts().iter().filter(is_met).map(|mount| mount.point.clone()).collect()
}

/// The device of a directory. Who keeps it is not asked.
fn device_of(directory: &Path) -> Option<u64> {
    use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty()).ok()?;
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(&directory, c"", flags, StatxFlags::INO).ok()?;
    Some(rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_often_is_done_once() {
        let (errands, halt) = (Errands::default(), Halt::default());
        for _ in 0..100_000 {
            errands.below("/a".into());
        }
        errands.below("/b".into());
        assert_eq!(errands.next(&halt).unwrap(), Some("/a".into()));
        assert_eq!(errands.next(&halt).unwrap(), Some("/b".into()));
        for number in 0..=Errands::MOST {
            errands.below(number.to_string().into());
        }
        errands.everything();
        assert_eq!(errands.next(&halt).unwrap(), None);
        halt.now();
        assert!(errands.next(&halt).is_err(), "that was all");
    }
}
