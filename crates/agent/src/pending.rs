//! What has changed and was not looked at since, from the kernel's note on. Shared with acts, which must not miss a copy
//! that was made, or moved, a moment ago.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, Timespec};
use sys::fanotify::watch::WatchGroup;

/// A file is looked at when nothing has happened to it for so long.
const SETTLED: Duration = Duration::from_millis(100);

/// All of it.
#[derive(Clone, Default)]
pub(crate) struct Pending(Arc<Noted>);

#[derive(Default)]
struct Noted {
    /// Paths that have not settled yet, or have not been looked at since.
    paths: Mutex<HashMap<PathBuf, Unsettled>>,
    intake: Mutex<Intake>,
    /// Where the kernel's notes come from, once somebody watches.
    notes: OnceLock<Arc<WatchGroup>>,
    /// Looks at directories: how many were handed on, and how many of these are done. They are done in turn.
    handed_on: AtomicU64,
    done: AtomicU64,
}

/// How far the kernel's notes were taken in.
#[derive(Debug, Default)]
struct Intake {
    is_busy: bool,
    /// What was noted before is here.
    until: Option<Instant>,
}

/// A path that changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsettled {
    /// When it will have settled; none when it was handed on to be looked at.
    due: Option<Instant>,
    executed: bool,
    written: bool,
}

/// A path that has settled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) path: PathBuf,
    pub(crate) executed: bool,
    pub(crate) written: bool,
}

impl Pending {
    /// The paths.
    pub(crate) fn paths(&self) -> MutexGuard<'_, HashMap<PathBuf, Unsettled>> {
        self.0.paths.lock()
    }

    /// Something happened to a file, which is to settle.
    pub(crate) fn add(&self, path: PathBuf, executed: bool, written: bool) {
        let mut paths = self.paths();
        // What was handed on carries its own.
        let before = paths.get(&path).filter(|before| before.due.is_some());
        let executed = executed || before.is_some_and(|before| before.executed);
        let written = written || before.is_some_and(|before| before.written);
        paths.insert(path, Unsettled { due: Some(Instant::now() + SETTLED), executed, written });
    }

    /// How long until the next has settled.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let now = Instant::now();
        let dues = self.paths();
        dues.values().filter_map(|path| path.due).map(|due| due.saturating_duration_since(now)).min()
    }

    /// What has settled, to be handed on.
    pub(crate) fn settled(&self) -> Vec<Settled> {
        let now = Instant::now();
        let mut settled = Vec::new();
        for (path, unsettled) in self.paths().iter_mut() {
            if unsettled.due.is_some_and(|due| due <= now) {
                unsettled.due = None;
                let Unsettled { executed, written, .. } = *unsettled;
                settled.push(Settled { path: path.clone(), executed, written });
            }
        }
        settled
    }

    /// A path was looked at, and what was seen is on its way to the inventory. It stays if it changed again.
    pub(crate) fn looked(&self, path: &Path) {
        let mut paths = self.paths();
        if paths.get(path).is_some_and(|unsettled| unsettled.due.is_none()) {
            paths.remove(path);
        }
    }

    /// A directory was moved: what waits below it waits under its new path as well.
    pub(crate) fn moved(&self, moved: impl Fn(&Path) -> Option<PathBuf>) {
        let mut paths = self.paths();
        let due = Some(Instant::now());
        let also: Vec<(PathBuf, Unsettled)> = paths
            .iter()
            .filter_map(|(path, before)| Some((moved(path)?, Unsettled { due, ..*before })))
            .collect();
        paths.extend(also);
    }

    /// Says where the kernel's notes come from.
    pub(crate) fn watch(&self, notes: &Arc<WatchGroup>) {
        let _ = self.0.notes.set(notes.clone());
    }

    /// Notes are read from now on, until [`Self::end_intake`].
    pub(crate) fn begin_intake(&self) {
        self.0.intake.lock().is_busy = true;
    }

    /// What was read is here, or handed on; all that was noted before `until`, if that is known.
    pub(crate) fn end_intake(&self, until: Option<Instant>) {
        let mut intake = self.0.intake.lock();
        intake.is_busy = false;
        intake.until = until.or(intake.until);
    }

    /// Whether all that the kernel noted before a moment is here, or was handed on.
    pub(crate) fn has_taken_in(&self, before: Instant) -> bool {
        let Some(notes) = self.0.notes.get() else { return true };
        // In this order: while notes are being read there may be none left to be read.
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let is_empty = rustix::event::poll(&mut [PollFd::new(notes, PollFlags::IN)], Some(&none)) == Ok(0);
        let intake = self.0.intake.lock();
        (is_empty && !intake.is_busy) || intake.until.is_some_and(|until| until >= before)
    }

    /// A look at a directory is handed on.
    pub(crate) fn hand_on_directory(&self) {
        self.0.handed_on.fetch_add(1, Ordering::SeqCst);
    }

    /// The next of these looks is done.
    pub(crate) fn directory_done(&self) {
        self.0.done.fetch_add(1, Ordering::SeqCst);
    }

    /// How many looks at directories were handed on.
    pub(crate) fn directories(&self) -> u64 {
        self.0.handed_on.load(Ordering::SeqCst)
    }

    /// Whether so many of them are done.
    pub(crate) fn has_done(&self, directories: u64) -> bool {
        self.0.done.load(Ordering::SeqCst) >= directories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(pending: &Pending) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = pending.paths().keys().cloned().collect();
        paths.sort();
        paths
    }

    /// Makes all that waits settle at once.
    fn settle(pending: &Pending) -> Vec<Settled> {
        pending.paths().values_mut().for_each(|path| path.due = path.due.map(|_| Instant::now()));
        pending.settled()
    }

    #[test]
    fn what_waits_in_a_directory_that_is_moved_waits_under_both_paths() {
        let pending = Pending::default();
        for path in ["/a/x", "/ab/y"] {
            pending.add(path.into(), true, true);
        }
        settle(&pending);
        pending.moved(|path| Some(Path::new("/b").join(path.strip_prefix("/a").ok()?)));
        assert_eq!(paths(&pending), [PathBuf::from("/a/x"), "/ab/y".into(), "/b/x".into()]);
        let settled = Settled { path: "/b/x".into(), executed: true, written: true };
        assert_eq!(settle(&pending), [settled], "it was written there");
    }

    #[test]
    fn a_path_is_pending_until_it_was_looked_at() {
        let pending = Pending::default();
        let path = Path::new("/a");
        pending.add(path.to_owned(), false, true);
        pending.add(path.to_owned(), true, false);
        pending.looked(path);
        assert_eq!(paths(&pending), [path], "it changed after it was handed on");
        let settled = Settled { path: path.to_owned(), executed: true, written: true };
        assert_eq!(settle(&pending), [settled], "both, whichever came first");
        pending.looked(path);
        assert!(paths(&pending).is_empty());
    }

    #[test]
    fn looks_at_directories_are_done_in_turn() {
        let pending = Pending::default();
        pending.hand_on_directory();
        let first = pending.directories();
        pending.hand_on_directory();
        assert!(!pending.has_done(first));
        pending.directory_done();
        assert!(pending.has_done(first) && !pending.has_done(pending.directories()));
    }
}
