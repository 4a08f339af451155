//! Opens that are no execs: a script on its way to its interpreter, a library, a program that is given to the loader.
//!
//! What is opened is mostly data, and mostly for other reasons than to run it. So an open waits for less than an exec
//! does: not for the writer of the file, not for an agent that lags, not for a hash of what nobody could run; and
//! nothing holds its file still once it has its answer.

use std::os::fd::{AsFd, OwnedFd};

use sys::identity::Identity;
use sys::lease::{self, Lease};

use super::desk::{Desk, Moment, Opener, user_of};
use super::recent::Because;

/// When as many wait for a late agent, opens are no longer put to it: each would take as long as the timer.
const LATE_ENOUGH: usize = 8;

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
        let lags = self.agent.is_none() || self.questions.late_count() >= LATE_ENOUGH;
        if lags || self.questions.is_full(user) {
            self.without_verdict(opener, asked, Because::TimedOut, moment);
        } else {
            self.questions.wait_for_hash(opener, user, false, asked, identity);
        }
    }
}
