//! The way from one program to the next, when the one on the disk was replaced: no moment without denial.
//!
//! 1. The agent is started anew. The guard goes on, and knows what it knew.
//! 2. When it has that agent and its rules, a second guard is started beside it: the *relief*, with the rules that are in
//!    force. Both are asked about each exec as soon as the relief has its marks, and either's denial holds.
//! 3. When the relief is in force it gets the seat, and so the name by which the agent finds the guard.
//! 4. A little later the one before is told that it is relieved: it lets go of the agent, and judges on by what it knows.
//! 5. When the relief has the agent, its rules and all marks, and whoever it kept waiting meanwhile has his answer, the
//!    one before is asked to end.
//!
//! Whatever fails before 3 leaves the guard that is there where it is. Pure: the warden tells how things are, and does
//! what is to be done.

use std::time::{Duration, Instant};

/// How long the agent may take to come back.
const AGENT: Duration = Duration::from_secs(10);
/// How long a relief may take until its rules are in force.
const RELIEF: Duration = Duration::from_secs(5);
/// An exec that began before the relief had its marks has asked the guard before by then.
const BEGUN: Duration = Duration::from_millis(10);
/// Who waited for the agent at the relief has his answer by then, also if it is the timer's, and has asked the guard
/// before about it.
const WAITED: Duration = Duration::from_millis(300);
/// The guard before stays no longer, whatever the one in the seat lacks.
const LEAVES: Duration = Duration::from_secs(3);
/// While that one has fallen and the next is not in force, it stays for as long as this.
const FALLEN: Duration = Duration::from_secs(15);
/// How often one looks.
const EACH: Duration = Duration::from_millis(10);
/// A guard that has just come knows no digests yet, so that its agent is left to it for so long.
pub(super) const LEARNS: Duration = Duration::from_secs(1);

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The agent is started anew.
    Agent,
    /// The relief is started, and not in force yet.
    Relief,
    /// It has the seat; the guard before still judges.
    Seated { told: bool, complete: Option<Instant> },
}

/// One hand-over.
#[derive(Debug)]
pub(super) struct Handover {
    stage: Stage,
    since: Instant,
    /// The program was replaced once more.
    pub(super) again: bool,
}

/// How things are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// The agent was started since, and the guard in the seat has it and its rules.
    pub(super) has_agent: bool,
    /// A guard is still to end that is no longer wanted.
    pub(super) is_crowded: bool,
    /// The relief is there.
    pub(super) has_relief: bool,
    /// The rules of the relief are in force, or, once it is seated, of the guard in the seat.
    pub(super) is_in_force: bool,
    /// The guard in the seat is asked about all that the one before is.
    pub(super) has_marks: bool,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Wait,
    /// Start the relief.
    Start,
    /// Give it the seat.
    Seat,
    /// Tell the guard before that it is relieved.
    Relieve,
    /// Ask the guard before to end. That is all.
    End,
    /// The guard that is there stays; the relief, if there is one, is to end. Why, in words.
    GiveUp(&'static str),
}

impl Handover {
    /// The agent has just been asked to end.
    pub(super) fn begin(now: Instant) -> Self {
        Self { stage: Stage::Agent, since: now, again: false }
    }

    /// When this stage began.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// When to look again.
    pub(super) fn due(now: Instant) -> Instant {
        now + EACH
    }

    /// Whether a guard that is wanted no longer than this is still to judge.
    pub(super) fn is_seated(&self) -> bool {
        matches!(self.stage, Stage::Seated { .. })
    }

    /// The relief has the seat, for whatever reason.
    pub(super) fn seated(&mut self, now: Instant) {
        (self.stage, self.since) = (Stage::Seated { told: false, complete: None }, now);
    }

    /// What to do, as things are. `has_marks` is asked for only when the rest is done.
    pub(super) fn next(&mut self, seen: &Seen, now: Instant) -> Next {
        let lasted = now.saturating_duration_since(self.since);
        match &mut self.stage {
            Stage::Agent if seen.has_agent && !seen.is_crowded => {
                (self.stage, self.since) = (Stage::Relief, now);
                Next::Start
            }
            Stage::Agent if lasted >= AGENT => Next::GiveUp("the agent does not come back"),
            Stage::Relief if !seen.has_relief => Next::GiveUp("the next one does not live"),
            Stage::Relief if seen.is_in_force => {
                self.seated(now);
                Next::Seat
            }
            Stage::Relief if lasted >= RELIEF => Next::GiveUp("the next one is not in force in time"),
            Stage::Agent | Stage::Relief => Next::Wait,
            Stage::Seated { .. } if lasted >= if seen.is_in_force { LEAVES } else { FALLEN } => Next::End,
            Stage::Seated { told, .. } if !*told => {
                *told = lasted >= BEGUN;
                if *told { Next::Relieve } else { Next::Wait }
            }
            Stage::Seated { complete, .. } => {
                *complete = complete.filter(|_| seen.has_agent).or(seen.has_agent.then_some(now));
                let waited = complete.is_some_and(|since| now.saturating_duration_since(since) >= WAITED);
                if waited && seen.has_marks { Next::End } else { Next::Wait }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    const NOTHING: Seen =
        Seen { has_agent: false, is_crowded: false, has_relief: false, is_in_force: false, has_marks: false };
    const AGENT_BACK: Seen = Seen { has_agent: true, ..NOTHING };
    const RELIEF_THERE: Seen = Seen { has_relief: true, ..NOTHING };

    #[test]
    fn the_guard_before_ends_when_nothing_is_lacking() {
        let start = Instant::now();
        let mut handover = Handover::begin(start);
        let mut next = |seen: Seen, ms| handover.next(&seen, at(start, ms));
        assert_eq!(next(NOTHING, 0), Next::Wait);
        assert_eq!(next(AGENT_BACK, 700), Next::Start);
        assert_eq!(next(RELIEF_THERE, 710), Next::Wait);
        assert_eq!(next(Seen { is_in_force: true, ..RELIEF_THERE }, 800), Next::Seat);
        assert_eq!(next(NOTHING, 809), Next::Wait);
        assert_eq!(next(NOTHING, 810), Next::Relieve);
        assert_eq!(next(NOTHING, 1000), Next::Wait, "the agent is on its way");
        let all = Seen { has_marks: true, ..AGENT_BACK };
        assert_eq!(next(all, 1100), Next::Wait, "somebody may wait for it since just before");
        assert_eq!(next(all, 1399), Next::Wait);
        assert_eq!(next(AGENT_BACK, 1400), Next::Wait, "a filesystem is not marked");
        assert_eq!(next(all, 1420), Next::End);
    }

    #[test]
    fn an_agent_that_goes_again_is_waited_for_again() {
        let start = Instant::now();
        let mut handover = Handover::begin(start);
        handover.seated(start);
        let all = Seen { has_marks: true, ..AGENT_BACK };
        let mut next = |seen: Seen, ms| handover.next(&seen, at(start, ms));
        assert_eq!(next(NOTHING, 50), Next::Relieve);
        assert_eq!(next(all, 100), Next::Wait);
        assert_eq!(next(NOTHING, 300), Next::Wait);
        assert_eq!(next(all, 500), Next::Wait);
        assert_eq!(next(all, 799), Next::Wait);
        assert_eq!(next(all, 800), Next::End);
    }

    #[test]
    fn without_an_agent_the_guard_before_does_not_stay_for_ever() {
        let start = Instant::now();
        let mut handover = Handover::begin(start);
        handover.seated(start);
        assert_eq!(handover.next(&NOTHING, at(start, 60)), Next::Relieve);
        let in_force = Seen { is_in_force: true, ..NOTHING };
        assert_eq!(handover.next(&in_force, at(start, 2999)), Next::Wait);
        assert_eq!(handover.next(&NOTHING, at(start, 14_999)), Next::Wait, "nobody else denies");
        assert_eq!(handover.next(&NOTHING, at(start, 15_000)), Next::End);
        assert_eq!(handover.next(&in_force, at(start, 3000)), Next::End);
    }

    #[test]
    fn what_fails_before_the_relief_is_in_force_leaves_the_guard_alone() {
        let start = Instant::now();
        let given_up = |next| matches!(next, Next::GiveUp(_));
        let mut handover = Handover::begin(start);
        assert_eq!(handover.next(&NOTHING, at(start, 9_999)), Next::Wait);
        assert!(given_up(handover.next(&NOTHING, at(start, 10_000))), "no agent");
        let mut handover = Handover::begin(start);
        assert_eq!(handover.next(&AGENT_BACK, at(start, 100)), Next::Start);
        assert!(given_up(handover.next(&AGENT_BACK, at(start, 200))), "the relief has ended");
        let mut handover = Handover::begin(start);
        assert_eq!(handover.next(&AGENT_BACK, at(start, 100)), Next::Start);
        assert_eq!(handover.next(&RELIEF_THERE, at(start, 5099)), Next::Wait);
        assert!(given_up(handover.next(&RELIEF_THERE, at(start, 5100))), "it takes too long");
    }

    #[test]
    fn one_relief_at_a_time() {
        let start = Instant::now();
        let mut handover = Handover::begin(start);
        let crowded = Seen { is_crowded: true, ..AGENT_BACK };
        assert_eq!(handover.next(&crowded, at(start, 100)), Next::Wait);
        assert_eq!(handover.next(&AGENT_BACK, at(start, 200)), Next::Start);
    }
}
