//! What is to be looked through once more. The same is asked for once, however often: renaming a directory costs
//! nothing, and looking through it does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::looking::{Halt, Stopped};

/// What is asked for a moment later is done first: that a directory was moved away is told before where it is now.
const SETTLED: Duration = Duration::from_millis(200);
/// What is asked for waits no longer for that than this.
const LONGEST: Duration = Duration::from_secs(2);
/// How often it is looked whether there are moves to be told.
const TELL: Duration = Duration::from_secs(1);

/// Shared by who asks, who does it, and who waits for it.
#[derive(Clone, Default)]
pub(crate) struct Errands(Arc<(Mutex<Wanted>, Condvar, AtomicBool)>);

#[derive(Default)]
struct Wanted {
    everything: Option<Asked>,
    /// What is not guarded is still to be looked through, of everything.
    unguarded: bool,
    below: BTreeMap<PathBuf, Asked>,
    /// When the last directory was asked for.
    last: Option<Instant>,
    /// When the first of those that wait was.
    first: Option<Instant>,
    /// How often something was asked for.
    turn: u64,
    /// What is being done, and nothing that waits stands for; no directory for everything.
    now: Option<(Option<PathBuf>, Asked)>,
    /// Mount points below which not everything could be looked at, and how often that was tried again.
    left_out: BTreeMap<PathBuf, u32>,
}

/// When something was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    turn: u64,
    at: Instant,
}

/// What there is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// All that is guarded; the rest follows as an errand of its own.
    Everything,
    /// All that is not guarded. No act waits for it.
    Unguarded,
    Below(PathBuf),
    /// Nothing but what is done now and then.
    Nothing,
}

impl Wanted {
    fn ask(&mut self) -> Asked {
        self.turn += 1;
        Asked { turn: self.turn, at: Instant::now() }
    }

    /// Everything, in place of what waits: for as long as the first of that.
    fn want_everything(&mut self, asked: Asked) {
        let waits = std::mem::take(&mut self.below).into_values().chain(self.everything);
        self.everything = Some(waits.fold(asked, Asked::min));
    }

    fn take_everything(&mut self) -> Option<Errand> {
        let asked = self.everything.take()?;
        self.now = Some((None, asked));
        self.unguarded = true;
        Some(Errand::Everything)
    }

    /// What has waited longest comes first: nobody puts off what was asked for before.
    fn take_below(&mut self, is_meant: impl Fn(&Path) -> bool) -> Option<PathBuf> {
        let meant = self.below.iter().filter(|(path, _)| is_meant(path));
        let (directory, asked) =
            meant.min_by_key(|(_, asked)| **asked).map(|(path, at)| (path.clone(), *at))?;
        self.below.remove(&directory);
        self.now = Some((Some(directory.clone()), asked));
        Some(directory)
    }
}

impl Errands {
    /// Beyond so many directories everything is looked through instead.
    pub(super) const MOST: usize = 1000;
    /// So often what was left out is tried again by itself: who keeps us from looking could do so for ever.
    const TRIES: u32 = 8;

    /// Asks for all that is watched.
    pub(crate) fn everything(&self) {
        let mut wanted = self.0.0.lock();
        let asked = wanted.ask();
        wanted.want_everything(asked);
        self.0.1.notify_all();
    }

    /// Asks for all below a directory, and all that was known there.
    pub(crate) fn below(&self, directory: PathBuf) {
        let mut wanted = self.0.0.lock();
        let asked = wanted.ask();
        if wanted.everything.is_some() {
            return;
        }
        wanted.below.entry(directory).or_insert(asked);
        wanted.last = Some(asked.at);
        wanted.first.get_or_insert(asked.at);
        if wanted.below.len() > Self::MOST {
            wanted.want_everything(asked);
        }
        self.0.1.notify_all();
    }

    /// Below this mount point not everything could be looked at.
    pub(super) fn leave_out(&self, point: PathBuf) {
        self.0.0.lock().left_out.entry(point).or_insert(0);
    }

    /// Now it was, or nothing is mounted there any more.
    pub(crate) fn no_more_left_out(&self, point: &Path) {
        self.0.0.lock().left_out.remove(point);
    }

    /// A mount point, of those that are meant, below which not everything could be looked at.
    pub(crate) fn left_out(&self, is_meant: impl Fn(&Path) -> bool) -> Option<PathBuf> {
        self.0.0.lock().left_out.keys().find(|point| is_meant(point)).cloned()
    }

    /// Asks once more for what was left out, a few times.
    pub(crate) fn try_again(&self) {
        let again: Vec<PathBuf> = {
            let mut wanted = self.0.0.lock();
            let tried = wanted.left_out.iter_mut().filter(|(_, times)| **times < Self::TRIES);
            tried.map(|(point, times)| (*times += 1, point.clone()).1).collect()
        };
        again.into_iter().for_each(|point| self.below(point));
    }

    /// How often something was asked for.
    pub(crate) fn turn(&self) -> u64 {
        self.0.0.lock().turn
    }

    /// Since when the first of what was asked for up to a turn, and is not done, waits: of directories that are meant, and
    /// of everything.
    pub(crate) fn oldest(&self, turn: u64, is_meant: impl Fn(&Path) -> bool) -> Option<Instant> {
        let wanted = self.0.0.lock();
        let below = wanted.below.iter().map(|(path, asked)| (Some(path), *asked));
        let all = below
            .chain(wanted.everything.map(|asked| (None, asked)))
            .chain(wanted.now.as_ref().map(|(path, asked)| (path.as_ref(), *asked)));
        all.filter(|(path, asked)| asked.turn <= turn && path.is_none_or(|path| is_meant(path)))
            .map(|(_, asked)| asked.at)
            .min()
    }

    /// What was taken last is done.
    pub(super) fn done(&self) {
        self.0.0.lock().now = None;
    }

    /// Whether everything has been looked through since the start, so that what is not known is not there.
    pub(crate) fn has_swept(&self) -> bool {
        self.0.2.load(Ordering::Relaxed)
    }

    /// Everything has.
    pub(super) fn set_swept(&self) {
        self.0.2.store(true, Ordering::Relaxed);
    }

    /// The directory below those that are meant that has waited longest, without waiting.
    pub(super) fn next_below(&self, is_meant: impl Fn(&Path) -> bool) -> Option<PathBuf> {
        self.0.0.lock().take_below(is_meant)
    }

    /// Everything, if that was asked for, without waiting.
    pub(super) fn next_everything(&self) -> Option<Errand> {
        self.0.0.lock().take_everything()
    }

    pub(super) fn next(&self, halt: &Halt) -> Result<Errand, Stopped> {
        let mut wanted = self.0.0.lock();
        let until = Instant::now() + TELL;
        loop {
            if halt.is_asked() {
                return Err(Stopped);
            }
            if let Some(everything) = wanted.take_everything() {
                return Ok(everything);
            }
            if std::mem::take(&mut wanted.unguarded) {
                return Ok(Errand::Unguarded);
            }
            let wait = match wanted.last {
                // Who goes on asking does not put it off for ever.
                Some(last)
                    if last.elapsed() >= SETTLED
                        || wanted.first.is_some_and(|first| first.elapsed() >= LONGEST) =>
                {
                    match wanted.take_below(|_| true) {
                        Some(directory) => return Ok(Errand::Below(directory)),
                        None => {
                            (wanted.last, wanted.first) = (None, None);
                            continue;
                        }
                    }
                }
                Some(last) => SETTLED.saturating_sub(last.elapsed()),
                None => TELL,
            };
            if Instant::now() >= until {
                return Ok(Errand::Nothing);
            }
            self.0.1.wait_for(&mut wanted, wait);
        }
    }
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
        assert_eq!(errands.next(&halt).unwrap(), Errand::Below("/a".into()));
        assert_eq!(errands.next(&halt).unwrap(), Errand::Below("/b".into()));
        for number in 0..=Errands::MOST {
            errands.below(number.to_string().into());
        }
        errands.everything();
        assert_eq!(errands.next(&halt).unwrap(), Errand::Everything);
        assert_eq!(errands.next(&halt).unwrap(), Errand::Unguarded);
        assert_eq!(errands.next(&halt).unwrap(), Errand::Nothing);
        halt.now();
        assert!(errands.next(&halt).is_err(), "that was all");
    }

    #[test]
    fn who_waits_for_what_was_asked_before_waits_for_nothing_else() {
        let (errands, halt) = (Errands::default(), Halt::default());
        let waits = |turn| errands.oldest(turn, |path| path != Path::new("/not meant")).is_some();
        errands.below("/not meant".into());
        assert!(!waits(errands.turn()));
        errands.below("/z".into());
        let turn = errands.turn();
        // By who renames directories without end.
        errands.below("/a".into());
        assert_eq!(errands.next_below(|path| path.starts_with("/z")), Some("/z".into()));
        assert!(waits(turn), "it is being done");
        errands.below("/z".into());
        errands.done();
        assert!(!waits(turn) && waits(errands.turn()), "done, and asked for once more");

        // What everything stands for has waited for as long.
        let turn = errands.turn();
        errands.everything();
        assert!(waits(turn));
        assert_eq!(errands.next(&halt).unwrap(), Errand::Everything);
        assert!(waits(turn));
        errands.done();
        assert!(!waits(errands.turn()));

        // Nor is what is not guarded waited for, and it is put off by what is.
        assert_eq!(errands.next(&halt).unwrap(), Errand::Unguarded);
        assert!(!waits(errands.turn()));
        errands.everything();
        assert_eq!(errands.next_everything(), Some(Errand::Everything));
        assert_eq!(errands.next_everything(), None);
        errands.done();
        assert!(!waits(errands.turn()));
        assert_eq!(errands.next(&halt).unwrap(), Errand::Unguarded, "once more, after what was asked for");
    }

    #[test]
    fn what_was_left_out_is_tried_again_and_told_until_it_was_looked_at() {
        let (errands, halt) = (Errands::default(), Halt::default());
        errands.leave_out("/container:x/tmp".into());
        assert_eq!(errands.left_out(|_| false), None);
        for _ in 0..Errands::TRIES {
            errands.try_again();
            assert_eq!(errands.next(&halt).unwrap(), Errand::Below("/container:x/tmp".into()));
            errands.leave_out("/container:x/tmp".into());
            errands.done();
        }
        errands.try_again();
        assert_eq!(errands.next(&halt).unwrap(), Errand::Nothing, "not for ever");
        assert_eq!(errands.left_out(|_| true), Some("/container:x/tmp".into()));
        errands.no_more_left_out(Path::new("/container:x/tmp"));
        assert_eq!(errands.left_out(|_| true), None);
    }

    #[test]
    fn nobody_puts_off_what_was_asked_for_before() {
        let (errands, halt) = (Errands::default(), Halt::default());
        errands.below("/z".into());
        for number in 0..10 {
            errands.below(format!("/a{number}").into());
        }
        assert_eq!(errands.next(&halt).unwrap(), Errand::Below("/z".into()));
    }
}
