//! Whether a child's beat still goes, judged without trusting the judge's own punctuality.

use std::time::{Duration, Instant};

/// How often one looks.
pub(super) const EACH: Duration = Duration::from_millis(50);
/// Who looks so late was not let run itself, and perhaps nobody was.
const LATE: Duration = EACH.saturating_mul(2);

/// How long a child may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until its first beat. It holds nobody up before that.
    birth: Duration,
    /// Afterwards.
    life: Duration,
}

/// It beats every 50 ms, and is silent for longer only when it stands still.
pub(super) const GUARD: Patience =
    Patience { birth: Duration::from_secs(20), life: Duration::from_millis(120) };
/// It waits for disks, and what a crash has left may take long to mend; nobody waits for it.
pub(super) const WORK: Patience =
    Patience { birth: Duration::from_secs(600), life: Duration::from_secs(30) };

/// One child's pulse, as far as it was felt. Times are of the monotonic clock, which stands still while the
/// machine sleeps.
#[derive(Debug)]
pub(super) struct Pulse {
    patience: Patience,
    beats: u64,
    moved: Instant,
    looked: Instant,
}

impl Pulse {
    /// Of a child that was started now.
    pub(super) fn new(patience: Patience, now: Instant) -> Self {
        Self { patience, beats: 0, moved: now, looked: now }
    }

    /// Whether the child stands still, now that it has beaten so often.
    pub(super) fn is_silent(&mut self, beats: u64, now: Instant) -> bool {
        let late = now.duration_since(self.looked) > LATE;
        self.looked = now;
        if beats != self.beats {
            self.beats = beats;
            self.moved = now;
            return false;
        }
        let patience = if beats == 0 { self.patience.birth } else { self.patience.life };
        // One more look then, at the usual time.
        !late && now.duration_since(self.moved) >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_guard_that_stands_still_is_found_in_time() {
        let start = Instant::now();
        let mut pulse = Pulse::new(GUARD, start);
        for look in 1..=20 {
            assert!(!pulse.is_silent(look, after(start, look * 50)));
        }
        // Its last beat was at the worst right behind the look at 950.
        let found = (21..).find(|look| pulse.is_silent(20, after(start, look * 50))).unwrap();
        assert_eq!(found * 50 - 1000, 150);
    }

    #[test]
    fn a_judge_who_is_late_looks_once_more() {
        let start = Instant::now();
        let mut pulse = Pulse::new(GUARD, start);
        assert!(!pulse.is_silent(1, after(start, 50)));
        assert!(!pulse.is_silent(1, after(start, 900)), "nobody was let run");
        assert!(!pulse.is_silent(2, after(start, 950)), "it goes on as the judge does");
        assert!(!pulse.is_silent(2, after(start, 1900)));
        assert!(pulse.is_silent(2, after(start, 1950)));
    }

    #[test]
    fn one_who_has_not_begun_is_given_time() {
        let start = Instant::now();
        let mut pulse = Pulse::new(GUARD, start);
        let found = (1..).find(|look| pulse.is_silent(0, after(start, look * 50))).unwrap();
        assert_eq!(Duration::from_millis(found * 50), GUARD.birth);
    }
}
