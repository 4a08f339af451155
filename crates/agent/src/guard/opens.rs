//! Opens that are no execs: a script on its way to its interpreter, a library, a program that is given to the loader.
//!
//! What is opened is mostly data, and mostly for other reasons than to run it. So an open waits for less than an exec
//! does: not for the writer of the file, not for an agent that lags, not for a hash of what nobody could run; and
//! nothing holds its file still once it has its answer.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use sys::identity::Identity;
use sys::lease::{self, Lease};

use super::desk::{Desk, Moment, Opener, user_of};
use super::questions::Room;
use super::recent::Because;

/// When as many have not been read in time, the agent may be standing still.
const LATE_ENOUGH: usize = 8;
/// It does, when it has not replied to anybody for so long.
const SILENCE: Duration = Duration::from_secs(1);
/// How long it then has for one reply, and how often it is tried.
const TRIAL: Duration = Duration::from_millis(200);
const TRIAL_EACH: Duration = Duration::from_secs(2);

/// Whether the agent replies. While it does not, opens are no longer put to it: each would take as long as the timer.
/// Somebody's large files alone do not make it seem so: small ones are read before them, and replied to.
pub(super) struct Pulse {
    replied: Instant,
    tried: Instant,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { replied: now, tried: now }
    }

    /// A reply came.
    pub(super) fn replied(&mut self, now: Instant) {
        self.replied = now;
    }

    /// Whether it stands still; now and then, and for as long as it may take to reply, that is tried.
    fn is_missed(&mut self, now: Instant) -> bool {
        if now < self.replied + SILENCE {
            return false;
        }
        if now >= self.tried + TRIAL_EACH {
            self.tried = now;
        }
        now >= self.tried + TRIAL
    }
}

impl Desk<'_> {
    pub(super) fn look_at_open(&mut self, file: OwnedFd, pid: i32, moment: &Moment) {
        let asked = moment.instant;
        let mut opener = Opener { file, pid, executes: false, leased: false, told: None };
        if self.agent == Some(pid) {
            // It would wait for itself.
            return self.without_verdict(opener, asked, Because::Data, moment);
        }
        opener.leased = matches!(lease::take_read(opener.file.as_fd()), Ok(Lease::Held));
        let Ok(stat) = Identity::of(opener.file.as_fd()) else {
            return self.without_verdict(opener, asked, Because::Failed, moment);
        };
        if !stat.is_regular || stat.size == 0 {
            return self.without_verdict(opener, asked, Because::Data, moment);
        }
        let identity = stat.identity.filter(|_| opener.leased);
        let needed = moment.snapshot.kinds();
        if let Some(names) = identity.and_then(|identity| self.known.names(&identity, needed)) {
            let task = self.decide(opener, asked, &stat, &names, true, moment);
            self.counters.from_cache.count();
            return self.leave(task);
        }
        if self.is_asked_elsewhere(asked) {
            return self.without_verdict(opener, asked, Because::Relieved, moment);
        }
        let user = user_of(pid);
        let is_late = self.questions.late_count() >= LATE_ENOUGH;
        if self.agent.is_none() || (is_late && self.pulse.is_missed(asked)) {
            return self.without_verdict(opener, asked, Because::TimedOut, moment);
        }
        match self.questions.room(user) {
            Room::Free => self.questions.wait_for_hash(opener, user, false, asked, identity),
            room => self.without_room(opener, user, room, asked, moment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_does_not_reply_is_tried_now_and_then() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        let mut is_missed = |at: u64| pulse.is_missed(start + Duration::from_millis(at));
        assert_eq!([999, 1000, 1999].map(&mut is_missed), [false, true, true]);
        assert_eq!([2000, 2199, 2200, 3999].map(&mut is_missed), [false, false, true, true]);
        assert_eq!([4000, 4200].map(&mut is_missed), [false, true]);
        pulse.replied(start + Duration::from_millis(4300));
        assert!(!pulse.is_missed(start + Duration::from_millis(5000)));
    }
}
