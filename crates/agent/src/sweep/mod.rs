//! Looking at everything: at the start, after notes were lost, and below a directory that was moved here.
//! In a thread that runs only when nobody else wants the processor or the disk.

mod errands;
mod lowest;
mod telling;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::inventory::Note;
use crate::looking::{Halt, Looker, Ours, Stopped};
use crate::pace::Pace;
use crate::places::{Place, Places};
use crate::recorder::{Noticed, wait_recorded};
use errands::Errand;
pub(crate) use errands::Errands;
use walk::{Part, device_of};

/// How far the sweep is, for people.
#[derive(Default)]
pub(crate) struct Progress {
    /// Files looked at since the agent started.
    pub(crate) seen: AtomicU64,
    /// Files of all kinds that the swept filesystems say they have; 0 when they don't.
    pub(crate) estimate: AtomicU64,
    /// Files looked at a second, lately.
    pub(crate) rate: AtomicU64,
    /// The directory it is in.
    pub(crate) at: Mutex<Option<PathBuf>>,
    /// Why it rests, if that is no ordinary rest.
    pub(crate) held_up: Arc<Mutex<Option<String>>>,
    /// How many wait for it to go on without rests.
    pub(crate) hurry: Arc<AtomicUsize>,
    /// Whether the server knows all that lies in the guarded places, as it was at the start.
    pub(crate) guarded_complete: AtomicBool,
    /// Whether it knows the programs in the usual directories, which people ask for first.
    pub(crate) programs_complete: AtomicBool,
    /// Whether it knows all that lies in every place, as it was when it was first looked through.
    pub(crate) first_complete: AtomicBool,
}

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
    pub(crate) pace: Pace,
    pub(crate) halt: Halt,
    pub(crate) meter: Mutex<Meter>,
    /// The inventory's turn for which moves were told.
    pub(crate) told: AtomicU64,
    pub(crate) errands: Errands,
}

/// How fast the sweep is, and how long ago it said where it is.
pub(crate) struct Meter {
    since: Instant,
    seen: u64,
    kept: Instant,
}

impl Default for Meter {
    fn default() -> Self {
        Self { since: Instant::now(), seen: 0, kept: Instant::now() }
    }
}

/// How often it is kept on the disk where the first sweep is.
const KEEP: Duration = Duration::from_secs(5);
/// Over what time its rate is counted.
const RATE: Duration = Duration::from_secs(2);

impl Sweep {
    /// Sweeps everything and tells how far it has come; then what is asked: below a directory, or everything
    /// again. A first sweep that was cut short goes on where it was, and looks at what comes before that afterwards.
    pub(crate) fn run(&self, reached: impl Fn(Milestone)) {
        sys::process::run_when_idle();
        let cut = self.looker.inventory.swept_to();
        self.count();
        let first = || {
            self.first(cut.as_deref(), |place| place.is_guarded)?;
            self.looker.flush()?;
            reached(Milestone::Guarded);
            self.programs()?;
            self.looker.flush()?;
            reached(Milestone::Programs);
            self.first(cut.as_deref(), |place| !place.is_guarded)
        };
        let is_done = first().is_ok();
        *self.progress.at.lock() = None;
        if !is_done || self.note(Note::SweptTo(None)).is_err() || self.looker.flush().is_err() {
            return;
        }
        self.errands.set_swept();
        reached(Milestone::Everything);
        while let Ok(errand) = self.errands.next(&self.halt) {
            if self.run_errand(errand).and_then(|()| self.tell_moves()).is_err() {
                return;
            }
        }
    }

    fn run_errand(&self, errand: Errand) -> Result<(), Stopped> {
        match errand {
            Errand::Below(directory) => self.root(&directory)?,
            // Acts, which wait for it, act nowhere else.
            Errand::Everything => self.roots(|place| place.is_guarded)?,
            Errand::Unguarded => self.roots(|place| !place.is_guarded)?,
            Errand::Nothing => {}
        }
        self.looker.flush()?;
        self.errands.done();
        Ok(())
    }

    /// Looks through what is guarded and was asked for while something else is looked through, which may take hours: acts
    /// wait for it.
    fn run_guarded_errands(&self) -> Result<(), Stopped> {
        if let Some(everything) = self.errands.next_everything() {
            self.run_errand(everything)?;
        }
        while let Some(directory) = self.errands.next_below(|path| self.places.guards(path)) {
            self.run_errand(Errand::Below(directory))?;
        }
        Ok(())
    }

    fn programs(&self) -> Result<(), Stopped> {
        let watched = self.places.roots(|place| !place.is_guarded);
        let watched: Vec<u64> = watched.iter().filter_map(|root| device_of(root)).collect();
        let is_watched = |directory: &&Path| device_of(directory).is_some_and(|on| watched.contains(&on));
        let mut programs = PROGRAMS.iter().map(Path::new).filter(is_watched);
        programs.try_for_each(|directory| self.walk(directory, Part::Whole))
    }

    fn roots(&self, which: impl Fn(&Place) -> bool) -> Result<(), Stopped> {
        self.places.roots(which).iter().try_for_each(|root| self.root(root))
    }

    /// The one in which the sweep before was cut short comes first.
    fn first(&self, cut: Option<&Path>, which: impl Fn(&Place) -> bool) -> Result<(), Stopped> {
        let mut roots = self.places.roots(which);
        let deepest = |cut: &Path| {
            let all = self.places.roots(|_| true).into_iter();
            all.filter(|root| cut.starts_with(root)).max_by_key(|root| root.components().count())
        };
        if let Some(cut) = cut
            && let Some(at) = roots.iter().position(|root| Some(root) == deepest(cut).as_ref())
        {
            let root = roots.remove(at);
            self.walk(&root, Part::From(cut))?;
            self.walk(&root, Part::To(cut))?;
        }
        roots.iter().try_for_each(|root| self.walk(root, Part::Kept))
    }

    fn root(&self, root: &Path) -> Result<(), Stopped> {
        let swept = self.walk(root, Part::Whole);
        *self.progress.at.lock() = None;
        swept
    }

    /// How many files there are to be looked at, as far as their filesystems tell.
    fn count(&self) {
        let files = |place: &Place| {
            let stat = rustix::fs::fstatvfs(place.open().ok()?).ok()?;
            Some(stat.f_files.saturating_sub(stat.f_ffree))
        };
        let all = self.places.now().iter().filter_map(files).sum();
        self.progress.estimate.store(all, Ordering::Relaxed);
    }

    fn note(&self, note: Note) -> Result<(), Stopped> {
        self.looker.tell(Noticed::Note(note))
    }

    /// Rests if that is due.
    fn rest(&self) -> Result<(), Stopped> {
        if self.pace.is_due() {
            self.looker.flush()?;
        }
        self.pace.rest(&self.halt)
    }

    /// Waits until the inventory has what was noticed so far.
    fn recorded(&self) -> Result<(), Stopped> {
        self.looker.flush()?;
        while !wait_recorded(&self.looker.noticed, Duration::from_secs(1)) {
            if self.halt.is_asked() {
                return Err(Stopped);
            }
        }
        Ok(())
    }

    /// Counts, and keeps where the first sweep is.
    fn tick(&self, directory: &Path, is_first: bool) -> Result<(), Stopped> {
        let mut meter = self.meter.lock();
        let seen = self.progress.seen.load(Ordering::Relaxed);
        let took = meter.since.elapsed();
        if took >= RATE {
            let rate = (seen - meter.seen) as f64 / took.as_secs_f64();
            self.progress.rate.store(rate as u64, Ordering::Relaxed);
            (meter.since, meter.seen) = (Instant::now(), seen);
        }
        if is_first && meter.kept.elapsed() >= KEEP {
            meter.kept = Instant::now();
            self.note(Note::SweptTo(Some(directory.to_owned())))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
