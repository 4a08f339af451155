//! How fast what nobody waits for may be done: at a share of a processor, and not while the machine is short of
//! something.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::looking::{Halt, Stopped};
use crate::pressure::Pressure;

/// The first of the work goes unpaced: a small machine is known at once.
const FREE: Duration = Duration::from_secs(1);
/// No rest between two looks is longer, whatever other threads of this process had to do.
const LONGEST: Duration = Duration::from_secs(2);
/// How often it is asked whether somebody is in a hurry by now.
const STEP: Duration = Duration::from_millis(50);
/// No rest is shorter.
const LEAST: Duration = Duration::from_millis(5);
/// While so many sightings wait for the server no more are made: they lie in this process's memory.
const BACKLOG: u64 = 6000;

/// Keeps the sweeping thread's pace.
pub(crate) struct Pace {
    /// Percent of one processor that this process may use while it sweeps; 0 for all there is.
    percent: u32,
    /// Sightings that wait for the server.
    backlog: Arc<AtomicU64>,
    hurry: Arc<AtomicUsize>,
    turn: Mutex<Turn>,
    /// Why it rests, for people, if that is no ordinary rest.
    pub(crate) held_up: Arc<Mutex<Option<String>>>,
}

struct Turn {
    used: Duration,
    since: Instant,
    at_first: Duration,
    pressure: Pressure,
}

/// Somebody waits for what is done, until this is dropped.
pub(crate) struct Hurry(Arc<AtomicUsize>);

impl Hurry {
    pub(crate) fn new(hurry: &Arc<AtomicUsize>) -> Self {
        hurry.fetch_add(1, Ordering::Relaxed);
        Self(hurry.clone())
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pace {
    pub(crate) fn new(
        percent: u32,
        backlog: Arc<AtomicU64>,
        hurry: Arc<AtomicUsize>,
        held_up: Arc<Mutex<Option<String>>>,
    ) -> Self {
        let used = sys::process::process_time();
        let turn = Turn { used, since: Instant::now(), at_first: used, pressure: Pressure::default() };
        Self { percent, backlog, hurry, turn: Mutex::new(turn), held_up }
    }

    /// Whether [`Self::rest`] would be more than a moment: let go of what is held open first.
    pub(crate) fn is_due(&self) -> bool {
        let mut turn = self.turn.lock();
        self.owed(&turn) > STEP || self.trouble(&mut turn).is_some()
    }

    /// Rests for as long as the work before was too much.
    pub(crate) fn rest(&self, halt: &Halt) -> Result<(), Stopped> {
        let mut turn = self.turn.lock();
        let (owed, used) = (self.owed(&turn), sys::process::process_time());
        let until = Instant::now() + owed;
        let mut was_held_up = false;
        loop {
            if halt.is_asked() {
                return Err(Stopped);
            }
            let trouble = self.trouble(&mut turn);
            let is_over =
                trouble.is_none() && (owed < LEAST || Instant::now() >= until || self.is_free(&turn));
            was_held_up |= trouble.is_some();
            *self.held_up.lock() = trouble;
            if is_over {
                break;
            }
            std::thread::sleep(until.saturating_duration_since(Instant::now()).clamp(STEP / 10, STEP));
        }
        // A rest that was too short to take is owed with the next.
        if owed >= LEAST {
            // What other threads of this process do meanwhile is owed with the next, too.
            turn.used = used;
            turn.since = if was_held_up { Instant::now() } else { until.min(Instant::now()) };
        }
        Ok(())
    }

    fn is_free(&self, turn: &Turn) -> bool {
        let used = sys::process::process_time().saturating_sub(turn.at_first);
        used < FREE || self.hurry.load(Ordering::Relaxed) > 0
    }

    fn owed(&self, turn: &Turn) -> Duration {
        if self.percent == 0 || self.is_free(turn) {
            return Duration::ZERO;
        }
        let used = sys::process::process_time().saturating_sub(turn.used);
        (used * 100 / self.percent).saturating_sub(turn.since.elapsed()).min(LONGEST)
    }

    fn trouble(&self, turn: &mut Turn) -> Option<String> {
        if self.backlog.load(Ordering::Relaxed) > BACKLOG {
            return Some("until the server has taken what was found".to_owned());
        }
        if self.percent == 0 || self.is_free(turn) {
            return None;
        }
        turn.pressure.now().map(|what| format!("while there is pressure on the {what}"))
    }
}
