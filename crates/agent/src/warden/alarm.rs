//! How the warden hears that a guard is asked that rests, without holding its group.
//!
//! A guard whom nobody asks rests: it beats seldom, and is looked at seldom. Before, it puts its group into a set of
//! the warden's. A set holds nothing open, so the group still ends with the guard, and the first question wakes both.
//! The guard also rings a bell in that set before it takes that question. So the warden hears of it wherever the guard
//! stands still: before, by the question, which is still there; after, by the bell.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::guard::{bell, drain, ring};

/// What warden and guard share of it.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// Readable when the bell was rung, or the group that is in it is asked.
    set: OwnedFd,
    bell: OwnedFd,
}

impl Alarm {
    /// # Errors
    /// EMFILE.
    pub(super) fn new() -> io::Result<Self> {
        let alarm = Self { set: epoll::create(CreateFlags::CLOEXEC)?, bell: bell()? };
        epoll::add(&alarm.set, &alarm.bell, EventData::new_u64(0), EventFlags::IN)?;
        Ok(alarm)
    }

    /// Of the descriptors of [`Self::parts`], in a child.
    pub(super) fn of([set, bell]: [OwnedFd; 2]) -> Self {
        Self { set, bell }
    }

    /// What a child is started with.
    pub(super) fn parts(&self) -> [BorrowedFd<'_>; 2] {
        [self.set.as_fd(), self.bell.as_fd()]
    }

    /// Wakes the warden when there is something to be read from `group`, until it is disarmed.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn arm(&self, group: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::add(&self.set, group, EventData::new_u64(1), EventFlags::IN)?)
    }

    /// The warden looks often again.
    pub(crate) fn disarm(&self, group: BorrowedFd<'_>) {
        // It fails only when it was not armed.
        let _ = epoll::delete(&self.set, group);
    }

    /// Wakes the warden.
    pub(crate) fn ring(&self) {
        ring(&self.bell);
    }

    /// Takes note that the bell was rung. What is asked stays in the set until it is taken.
    pub(super) fn heed(&self) {
        drain(self.bell.as_fd());
    }
}

impl AsFd for Alarm {
    /// Readable when the guard is asked, or has gone on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_heard(alarm: &Alarm) -> bool {
        let mut sources = [PollFd::new(alarm, PollFlags::IN)];
        poll(&mut sources, Some(&Timespec::default())).unwrap() > 0
    }

    #[test]
    fn a_question_is_heard_until_it_is_taken_and_a_bell_until_it_is_heeded() {
        let alarm = Alarm::new().unwrap();
        let group = bell().unwrap();
        ring(&group);
        assert!(!is_heard(&alarm), "it is not armed");
        alarm.arm(group.as_fd()).unwrap();
        assert!(is_heard(&alarm), "it was there before");
        alarm.ring();
        drain(group.as_fd());
        assert!(is_heard(&alarm), "by the bell");
        alarm.heed();
        assert!(!is_heard(&alarm));
        ring(&group);
        assert!(is_heard(&alarm));
        alarm.disarm(group.as_fd());
        assert!(!is_heard(&alarm));
    }

    #[test]
    fn a_set_holds_nothing_open() {
        let alarm = Alarm::new().unwrap();
        let (group, other) = rustix::pipe::pipe().unwrap();
        alarm.arm(group.as_fd()).unwrap();
        drop(group);
        let closed = rustix::io::write(&other, b"x");
        assert_eq!(closed, Err(rustix::io::Errno::PIPE));
    }
}
