//! How a child that ends is started again: at once, then with pauses, and a guard that goes on crashing only to
//! observe.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Who has lived so long and ends is started again at once.
const SOUND: Duration = Duration::from_secs(10);
/// The first pause otherwise; each further one is twice as long, up to the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// So many crashes in such a time are too many; and so long without any, it is tried again.
const MOST: usize = 3;
const QUIET: Duration = Duration::from_secs(600);

/// Said while the guard only observes.
pub(crate) const NOTICE: &str = "crashed three times in ten minutes";

/// The pause before a child is started again that has lived so long; `last` is the one before, if it ended before.
pub(super) fn pause_after(last: Option<Duration>, lived: Duration) -> Duration {
    match last {
        Some(last) if lived < SOUND => (last * 2).clamp(FIRST, LONGEST),
        _ => Duration::ZERO,
    }
}

/// The last crashes of the guard.
#[derive(Debug, Default)]
pub(super) struct Crashes {
    last: VecDeque<Instant>,
    observes: bool,
}

impl Crashes {
    pub(super) fn note(&mut self, now: Instant) {
        self.last.push_back(now);
        if self.last.len() > MOST {
            self.last.pop_front();
        }
        let first = self.last.front().filter(|_| self.last.len() == MOST);
        self.observes |= first.is_some_and(|first| now.duration_since(*first) < QUIET);
    }

    /// Whether the guard is only to observe.
    pub(super) fn observes(&mut self, now: Instant) -> bool {
        if self.last.back().is_none_or(|last| now.duration_since(*last) >= QUIET) {
            self.forget();
        }
        self.observes
    }

    /// Root wants it tried again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_it_is_sound_again() {
        let mut pause = None;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let next = pause_after(pause, Duration::from_millis(3));
            pauses.push(next.as_millis());
            pause = Some(next);
        }
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause_after(pause, SOUND), Duration::ZERO);
    }

    #[test]
    fn three_crashes_in_ten_minutes_and_it_observes_for_ten_quiet_ones() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut crashes = Crashes::default();
        for second in [0, 400, 700, 1100] {
            assert!(!crashes.observes(at(second)));
            crashes.note(at(second));
        }
        assert!(!crashes.observes(at(1100)), "never three in ten minutes");
        crashes.note(at(1200));
        assert!(crashes.observes(at(1200)) && crashes.observes(at(1799)));
        crashes.note(at(1700));
        assert!(crashes.observes(at(2299)), "it goes on crashing");
        assert!(!crashes.observes(at(2300)));
        for second in [2301, 2302] {
            crashes.note(at(second));
            assert!(!crashes.observes(at(second)));
        }
        crashes.note(at(2303));
        assert!(crashes.observes(at(2303)));
        crashes.forget();
        assert!(!crashes.observes(at(2303)));
    }
}
