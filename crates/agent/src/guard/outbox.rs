//! Reports on their way to the agent, kept while there is none.
//!
//! Who executes a denied file in a loop makes one report now and one every [`WINDOW`], which says how often.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wire::link::v1;

use super::counters::Counters;
use super::shared::{bell, ring};

/// The last ones that are kept.
const ROOM: usize = 1024;
/// The same is told once in so long.
const WINDOW: Duration = Duration::from_secs(10);
/// Things of which the repetitions are counted; those beyond are told each time.
const COUNTED: usize = 1024;

pub(super) struct Outbox<'g> {
    state: Mutex<State>,
    counters: &'g Counters,
    /// Rung when there is something new.
    pub(super) bell: OwnedFd,
}

#[derive(Default)]
struct State {
    reports: VecDeque<v1::Denial>,
    told: HashMap<Key, Told>,
}

/// What makes two reports the same: all but the process.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    sha256: Vec<u8>,
    path: Vec<u8>,
    rule: u64,
    user: u32,
    /// Who was let run is to be stopped, so each is told by itself.
    late: Option<i32>,
    spared: bool,
}

struct Told {
    since: Instant,
    /// The last that was not told, and how many there were.
    held: Option<v1::Denial>,
}

impl<'g> Outbox<'g> {
    /// # Errors
    /// EMFILE.
    pub(super) fn new(counters: &'g Counters) -> std::io::Result<Self> {
        Ok(Self { state: Mutex::default(), counters, bell: bell()? })
    }

    /// Adds one at the end, or to the count of its like; the oldest goes when there is no room.
    pub(super) fn put(&self, report: v1::Denial) {
        self.put_at(report, Instant::now());
    }

    fn put_at(&self, report: v1::Denial, now: Instant) {
        let mut state = self.state.lock();
        let key = Key::of(&report);
        if let Some(told) = state.told.get_mut(&key) {
            let times = told.held.as_ref().map_or(0, |held| held.times) + report.times;
            told.held = Some(v1::Denial { times, ..report });
            return;
        }
        if state.told.len() < COUNTED {
            state.told.insert(key, Told { since: now, held: None });
        }
        self.push(&mut state, report);
        drop(state);
        ring(&self.bell);
    }

    /// Tells what was counted long enough.
    pub(super) fn settle(&self) {
        self.settle_at(Instant::now());
    }

    fn settle_at(&self, now: Instant) {
        let mut state = self.state.lock();
        let mut due = Vec::new();
        state.told.retain(|_, told| {
            if now.saturating_duration_since(told.since) < WINDOW {
                return true;
            }
            told.since = now;
            let held = told.held.take();
            let goes_on = held.is_some();
            due.extend(held);
            goes_on
        });
        for report in due {
            self.push(&mut state, report);
        }
    }

    /// Takes the oldest.
    pub(super) fn take(&self) -> Option<v1::Denial> {
        self.state.lock().reports.pop_front()
    }

    /// Puts one back that could not be sent.
    pub(super) fn put_back(&self, report: v1::Denial) {
        let mut state = self.state.lock();
        if state.reports.len() == ROOM {
            self.counters.reports_lost.count();
        } else {
            state.reports.push_front(report);
        }
    }

    fn push(&self, state: &mut State, report: v1::Denial) {
        if state.reports.len() == ROOM {
            state.reports.pop_front();
            self.counters.reports_lost.count();
        }
        state.reports.push_back(report);
    }
}

impl Key {
    fn of(report: &v1::Denial) -> Self {
        Self {
            sha256: report.digests.as_ref().map(|digests| digests.sha256.clone()).unwrap_or_default(),
            path: report.path.clone(),
            rule: report.rule,
            user: report.user,
            late: report.late.then_some(report.pid),
            spared: report.spared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rule: u64, pid: i32) -> v1::Denial {
        v1::Denial { rule, pid, times: 1, ..Default::default() }
    }

    fn taken(outbox: &Outbox<'_>) -> Vec<(i32, u64)> {
        std::iter::from_fn(|| outbox.take()).map(|report| (report.pid, report.times)).collect()
    }

    #[test]
    fn the_last_are_kept_and_the_lost_are_counted() {
        let counters = Counters::default();
        let outbox = Outbox::new(&counters).unwrap();
        for pid in 0..i32::try_from(ROOM).unwrap() + 3 {
            outbox.put(report(u64::from(pid.cast_unsigned()), pid));
        }
        assert_eq!(counters.message().reports_lost, 3);
        let oldest = outbox.take().unwrap();
        assert_eq!(oldest.pid, 3);
        outbox.put_back(oldest);
        assert_eq!(outbox.take().unwrap().pid, 3);
        assert_eq!(outbox.take().unwrap().pid, 4);
    }

    #[test]
    fn a_loop_is_told_once_and_then_counted() {
        let counters = Counters::default();
        let outbox = Outbox::new(&counters).unwrap();
        let start = Instant::now();
        for pid in 1..=100 {
            outbox.put_at(report(1, pid), start);
        }
        outbox.put_at(report(2, 200), start);
        assert_eq!(taken(&outbox), [(1, 1), (200, 1)]);
        outbox.settle_at(start + WINDOW / 2);
        assert_eq!(taken(&outbox), []);
        outbox.settle_at(start + WINDOW);
        assert_eq!(taken(&outbox), [(100, 99)]);
        // Quiet for a window: the next is news again.
        outbox.settle_at(start + WINDOW * 2);
        outbox.put_at(report(1, 101), start + WINDOW * 2);
        assert_eq!(taken(&outbox), [(101, 1)]);
        assert_eq!(counters.message().reports_lost, 0);
    }
}
