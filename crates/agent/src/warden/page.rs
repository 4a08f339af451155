//! What a warden and one of its children tell each other without a word: numbers on a shared page.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Level, pulse};

// Written by the child.
const BEAT: usize = 0;
const REST: usize = 1;
// Written by the warden.
const LEVEL: usize = 8;
const GUARD_DEATHS: usize = 9;
const GAP: usize = 10;
const GUARD_PID: usize = 11;
const GUARD_NUMBER: usize = 12;

/// One child's page.
#[derive(Debug)]
pub struct Page(sys::page::Page);

/// What the warden says of the guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is wanted of it; none, before the warden has said so.
    pub level: Option<Level>,
    /// How often it ended without being asked to, since the warden's start.
    pub deaths: u64,
    /// How long nothing was denied after the last of them.
    pub last_gap: Option<Duration>,
    /// Its process; 0 when there is none.
    pub pid: i32,
    /// Counts guards: another number is another guard.
    pub number: u64,
}

impl Page {
    /// # Errors
    /// ENOMEM, EMFILE.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(sys::page::Page::new("quell-page")?))
    }

    /// # Errors
    /// `InvalidData` when the file is no shared page.
    pub(super) fn map(file: OwnedFd) -> io::Result<Self> {
        Ok(Self(sys::page::Page::map(file)?))
    }

    /// The child lives, and gets along.
    pub(crate) fn beat(&self) {
        self.0.word(BEAT).store(pulse::now(), Ordering::Relaxed);
    }

    /// How long a guard may wait before it must beat again.
    pub(crate) fn until_beat(&self) -> Duration {
        pulse::until_beat(pulse::now())
    }

    /// A guard rests since now; none: it does not.
    pub(crate) fn rest(&self, since: Option<u64>) {
        self.set(REST, since.unwrap_or_default());
    }

    /// Since when it does, in nanoseconds of the monotonic clock; 0: it does not.
    pub(super) fn rests_since(&self) -> u64 {
        self.get(REST)
    }

    /// When it last did, in nanoseconds of the monotonic clock; 0: never.
    pub(super) fn last_beat(&self) -> u64 {
        self.get(BEAT)
    }

    pub(super) fn tell(&self, standing: &Standing) {
        let gap = standing.last_gap.map(|gap| u64::try_from(gap.as_millis()).unwrap_or(u64::MAX - 1) + 1);
        self.set(GUARD_DEATHS, standing.deaths);
        self.set(GAP, gap.unwrap_or_default());
        self.set(GUARD_PID, standing.pid.unsigned_abs().into());
        self.set(GUARD_NUMBER, standing.number);
        self.set(LEVEL, standing.level.map_or(0, |level| level as u64));
    }

    pub(crate) fn standing(&self) -> Standing {
        Standing {
            level: Level::ALL.into_iter().find(|level| *level as u64 == self.get(LEVEL)),
            deaths: self.get(GUARD_DEATHS),
            last_gap: self.get(GAP).checked_sub(1).map(Duration::from_millis),
            pid: i32::try_from(self.get(GUARD_PID)).unwrap_or_default(),
            number: self.get(GUARD_NUMBER),
        }
    }

    fn get(&self, word: usize) -> u64 {
        self.0.word(word).load(Ordering::Acquire)
    }

    fn set(&self, word: usize, value: u64) {
        self.0.word(word).store(value, Ordering::Release);
    }
}

impl AsFd for Page {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_reads_what_the_warden_tells() {
        let ours = Page::new().unwrap();
        let theirs = Page::map(ours.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(theirs.standing(), Standing::default());
        for level in Level::ALL {
            for last_gap in [None, Some(Duration::ZERO), Some(Duration::from_millis(31))] {
                let standing = Standing { level: Some(level), deaths: 3, last_gap, pid: 77, number: 4 };
                ours.tell(&standing);
                assert_eq!(theirs.standing(), standing);
            }
        }
        assert_eq!(ours.last_beat(), 0);
        theirs.beat();
        assert!(ours.last_beat() > 0 && ours.last_beat() <= pulse::now());
    }
}
