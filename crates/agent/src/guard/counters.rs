//! How often what happened. Written by the loop after its answers, read by whoever reports.

use std::sync::atomic::{AtomicU64, Ordering};

use wire::link::v1::GuardCounters;

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn count(&self) {
        // A count orders nothing.
        self.0.fetch_add(1, Ordering::Relaxed);
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
        }
    }
}
