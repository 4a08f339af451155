//! Where this process gets its time from.

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
