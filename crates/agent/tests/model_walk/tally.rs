//! What was seen on the walk.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wire::link::v1::GuardCounters;

use crate::processes::TIMER;

/// Enough to see what is wrong.
const MOST_WRONG: usize = 20;

#[derive(Default)]
pub(crate) struct Tally {
    steps: AtomicU64,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    wrong: Mutex<Vec<String>>,
}

impl Tally {
    /// Counts a step by what has become of it.
    pub(crate) fn step(&self, what: &'static str) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    pub(crate) fn note_wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// That something ran; what takes as long as the guard's timer was most likely permitted by it.
    pub(crate) fn note_permit(&self, what: &str, took: Duration) {
        let timer = if took >= TIMER { ": the timer was first" } else { "" };
        self.note_wrong(format!("{what}, ran after {took:?}{timer}"));
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// It makes no sense to go on.
    pub(crate) fn is_bad(&self) -> bool {
        self.wrong.lock().unwrap().len() >= MOST_WRONG
    }

    pub(crate) fn told(&self, took: Duration, counters: &GuardCounters) -> String {
        let steps = self.steps();
        let rate = steps as f64 * 60.0 / took.as_secs_f64();
        let counts = self.counts.lock().unwrap();
        let counts: Vec<_> = counts.iter().map(|(what, count)| format!("  {count:>8} {what}")).collect();
        format!(
            "{steps} steps in {took:.1?}, {rate:.0} a minute\n{}\n  {:>8} wrong permits\n  {:>8} answers by the timer\nthe guard: {counters:?}",
            counts.join("\n"),
            self.wrong().len(),
            counters.timed_out,
        )
    }
}
