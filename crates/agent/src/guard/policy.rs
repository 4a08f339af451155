//! What an opener is told when there is nothing to judge by: its digests are not there in time, or there is no room to
//! wait for them.
//!
//! It is permitted, unless the guard was told to fail closed. A guard that does so must not keep anybody from mending
//! the machine. So also then nothing is denied for want of digests
//! - before an agent has attached for the first time: the machine boots, or the agent does not come up;
//! - when there has been no agent for [`GRACE`]: whatever is to start it again must run;
//! - while nobody but root may log in: the machine boots or shuts down;
//! - when there are no rules;
//! - of what is only opened: most of it is data, and logs must be readable.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sys::fanotify::permission::Answer;

/// How long after the agent is lost openers are still denied that can't be judged.
const GRACE: Duration = Duration::from_secs(2);
/// There while nobody but root may log in: made early in the boot, removed when logins are up, made again when the
/// machine goes down.
const NO_LOGINS: &str = "/run/nologin";

/// See the module.
#[derive(Debug)]
pub(super) struct Policy<'g> {
    fails_closed: bool,
    may_log_in: &'g AtomicBool,
    agent: Agent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agent {
    Never,
    Attached,
    GoneSince(Instant),
}

impl<'g> Policy<'g> {
    /// Of a guard that begins now. One that `relieves` another takes that one's agent over.
    pub(super) fn new(fails_closed: bool, relieves: bool, may_log_in: &'g AtomicBool, now: Instant) -> Self {
        let agent = if relieves { Agent::GoneSince(now) } else { Agent::Never };
        Self { fails_closed, may_log_in, agent }
    }

    /// There is an agent from now on.
    pub(super) fn attached(&mut self) {
        self.agent = Agent::Attached;
    }

    /// There is none any more.
    pub(super) fn lost(&mut self, now: Instant) {
        if self.agent == Agent::Attached {
            self.agent = Agent::GoneSince(now);
        }
    }

    /// What one is told who `executes` or only opens, where there are rules or are none.
    pub(super) fn answer(&self, executes: bool, has_rules: bool, now: Instant) -> Answer {
        let is_there = match self.agent {
            Agent::Never => false,
            Agent::Attached => true,
            Agent::GoneSince(then) => now.saturating_duration_since(then) < GRACE,
        };
        let denies = self.fails_closed && executes && has_rules && is_there;
        if denies && self.may_log_in.load(Ordering::Relaxed) { Answer::Deny } else { Answer::Permit }
    }
}

/// Whether users may log in now. To be asked by a thread that nobody waits for.
pub(super) fn may_log_in() -> bool {
    !Path::new(NO_LOGINS).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_permits_unless_told_otherwise() {
        let (open, now) = (AtomicBool::new(true), Instant::now());
        let mut policy = Policy::new(false, false, &open, now);
        policy.attached();
        assert_eq!(policy.answer(true, true, now), Answer::Permit);
    }

    #[test]
    fn told_to_fail_closed_it_denies_execs_while_there_are_rules_an_agent_and_logins() {
        let (open, now) = (AtomicBool::new(true), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        let mut policy = Policy::new(true, false, &open, now);
        assert_eq!(policy.answer(true, true, now), Answer::Permit, "no agent has been there");
        policy.lost(now);
        assert_eq!(policy.answer(true, true, now), Answer::Permit, "nor is one lost that never was");
        policy.attached();
        assert_eq!(policy.answer(true, true, at(60_000)), Answer::Deny);
        assert_eq!(policy.answer(false, true, now), Answer::Permit, "it is only opened");
        assert_eq!(policy.answer(true, false, now), Answer::Permit, "there are no rules");
        open.store(false, Ordering::Relaxed);
        assert_eq!(policy.answer(true, true, now), Answer::Permit, "nobody may log in");
        open.store(true, Ordering::Relaxed);
        policy.lost(now);
        assert_eq!(policy.answer(true, true, at(1_999)), Answer::Deny);
        assert_eq!(policy.answer(true, true, at(2_000)), Answer::Permit, "the agent does not come back");
        policy.lost(at(1_000));
        assert_eq!(policy.answer(true, true, at(2_000)), Answer::Permit, "it was lost before");
        policy.attached();
        assert_eq!(policy.answer(true, true, at(60_000)), Answer::Deny);
    }

    #[test]
    fn who_relieves_a_guard_takes_its_agent_over() {
        let (open, now) = (AtomicBool::new(true), Instant::now());
        let policy = Policy::new(true, true, &open, now);
        assert_eq!(policy.answer(true, true, now), Answer::Deny);
        assert_eq!(policy.answer(true, true, now + GRACE), Answer::Permit);
    }
}
