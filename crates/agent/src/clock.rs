//! Where this process gets its time from.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use model::{Clock, Time};
use wire::link::v1;

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

/// A moment that no change of a clock moves: how long this boot of the machine has lasted, sleep included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    boot: String,
    since_boot: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let since_boot = Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default());
        Self { boot: sys::process::boot_id().unwrap_or_default(), since_boot }
    }

    /// How long ago this was; of another boot, how long ago it was at least.
    pub(crate) fn age(&self, now: &Self) -> Duration {
        if self.boot == now.boot { now.since_boot.saturating_sub(self.since_boot) } else { now.since_boot }
    }

    #[cfg(test)]
    pub(crate) fn at(boot: &str, seconds: u64) -> Self {
        Self { boot: boot.to_owned(), since_boot: Duration::from_secs(seconds) }
    }
}

impl From<&Moment> for v1::Moment {
    fn from(moment: &Moment) -> Self {
        let since_boot_ms = u64::try_from(moment.since_boot.as_millis()).unwrap_or(u64::MAX);
        Self { boot: moment.boot.clone().into_bytes(), since_boot_ms }
    }
}

impl From<&v1::Moment> for Moment {
    fn from(moment: &v1::Moment) -> Self {
        let boot = String::from_utf8_lossy(&moment.boot).into_owned();
        Self { boot, since_boot: Duration::from_millis(moment.since_boot_ms) }
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
    fn a_moment_of_another_boot_is_as_old_as_this_one_at_least() {
        let now = Moment::at("b", 100);
        for (moment, age) in [
            (Moment::at("b", 40), 60),
            // A machine that was set back to an earlier state.
            (Moment::at("b", 140), 0),
            (Moment::at("a", 99_999), 100),
        ] {
            assert_eq!(moment.age(&now), Duration::from_secs(age), "{moment:?}");
            assert_eq!(Moment::from(&v1::Moment::from(&moment)), moment);
        }
        let now = Moment::now();
        assert!(!now.boot.is_empty() && now.since_boot > Duration::ZERO);
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
