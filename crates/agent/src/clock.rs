//! Where this process gets its time from.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use model::{Clock, Time};

/// The machine's own clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place of the agent that reads the wall clock")]
    fn now(&self) -> Time {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Time::from_nanoseconds(i128::try_from(since_epoch.as_nanos()).unwrap_or(i128::MAX))
    }
}

/// How much the server's clock is ahead of the machine's. Rules end by the server's.
#[derive(Debug, Default)]
pub(crate) struct Ahead(AtomicI64);

impl Ahead {
    /// Less is no difference: it is what a message takes.
    const LEAST: u64 = 10_000_000;

    /// Notes what both say in one moment. Returns whether that is another difference than was noted before.
    pub(crate) fn set(&self, server: Time, own: Time) -> bool {
        let ahead = server.ticks().saturating_sub(own.ticks());
        let differs = self.ticks().abs_diff(ahead) >= Self::LEAST;
        if differs {
            self.0.store(ahead, Ordering::Relaxed);
        }
        differs
    }

    /// In ticks.
    pub(crate) fn ticks(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// What the server's says when the machine's says `own`.
    pub(crate) fn of(&self, own: Time) -> Time {
        Time::from_ticks(own.ticks().saturating_add(self.ticks()))
    }
}

/// The time that the kernel would stamp on a file that is changed now. It moves in ticks, and stands still while the
/// processor that keeps it is kept from running, as in a machine that is emulated or starved: the machine's own
/// clock may be ahead of it by more than any fixed number of ticks.
pub(crate) fn of_stamps() -> Time {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    Time::from_nanoseconds(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn only_a_difference_that_matters_is_news() {
        let ahead = Ahead::default();
        let at = Time::from_ticks;
        assert!(!ahead.set(at(9_999_999), at(0)));
        assert_eq!(ahead.of(at(5)), at(5));
        assert!(ahead.set(at(100_000_000), at(200_000_000)));
        assert!(!ahead.set(at(100_000_000), at(200_000_500)));
        assert_eq!((ahead.ticks(), ahead.of(at(100_000_005))), (-100_000_000, at(5)));
        assert!(ahead.set(at(0), at(0)));
    }

    #[test]
    fn no_file_is_stamped_with_less() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for round in 0..2000 {
            let before = of_stamps().nanoseconds();
            std::fs::write(file.path(), b"changed").unwrap();
            let stat = file.path().metadata().unwrap();
            let ctime = i128::from(stat.ctime()) * 1_000_000_000 + i128::from(stat.ctime_nsec());
            assert!(ctime >= before, "round {round}: {ctime} {before}");
        }
    }
}
