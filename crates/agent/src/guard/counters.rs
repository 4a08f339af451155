//! How often what happened. Written by the loop after its answers, read by whoever reports.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wire::link::v1::GuardCounters;

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn count(&self) {
        // A count orders nothing.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn set(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Execs that were asked about.
    pub(super) questions: Counter,
    /// Answered from digests that were known.
    pub(super) from_cache: Counter,
    /// Answered after the file was hashed.
    pub(super) hashed: Counter,
    /// Refused by a rule, in time.
    pub(super) denied: Counter,
    /// Permitted by the timer and then found to be denied.
    pub(super) denied_late: Counter,
    /// Refused because somebody was writing to the file.
    pub(super) busy: Counter,
    /// Answered by policy because the digests were not there in time, or no more could be waited for.
    pub(super) timed_out: Counter,
    /// Denied by a rule and permitted because the machine can't do without that copy.
    pub(super) spared: Counter,
    /// Denials that nobody was told of.
    pub(super) reports_lost: Counter,
    /// Answered by policy because the file could not be read.
    pub(super) failed: Counter,
    /// Openers that wait now.
    pub(super) waiting: Counter,
    /// Of the questions, those about opens.
    pub(super) opens: Counter,
    /// Permitted, and a rule wanted to hear of it.
    pub(super) watched: Counter,
    /// The n-th: openers that waited less than 2^n µs, and not less than half of that.
    pub(super) waits: Waits,
    /// What all of them waited.
    pub(super) waited_ns: Counter,
}

/// How many openers waited how long, by powers of two of a microsecond.
#[derive(Debug, Default)]
pub(super) struct Waits([Counter; 20]);

impl Waits {
    pub(super) fn count(&self, waited: Duration) {
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        self.0[bucket.min(self.0.len() - 1)].count();
    }
}

impl Counters {
    pub(super) fn message(&self) -> GuardCounters {
        GuardCounters {
            questions: self.questions.get(),
            from_cache: self.from_cache.get(),
            hashed: self.hashed.get(),
            denied: self.denied.get(),
            denied_late: self.denied_late.get(),
            busy: self.busy.get(),
            timed_out: self.timed_out.get(),
            spared: self.spared.get(),
            reports_lost: self.reports_lost.get(),
            failed: self.failed.get(),
            waiting: self.waiting.get(),
            opens: self.opens.get(),
            watched: self.watched.get(),
            waits: self.waits.0.iter().map(Counter::get).collect(),
            waited_us: self.waited_ns.get() / 1000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_counted_by_powers_of_two() {
        let counters = Counters::default();
        for us in [0, 1, 2, 3, 4, 1_000_000_000] {
            counters.waits.count(Duration::from_micros(us));
        }
        let waits = counters.message().waits;
        assert_eq!(waits[..4], [1, 1, 2, 1]);
        assert_eq!((waits.len(), waits[19]), (20, 1));
    }
}
