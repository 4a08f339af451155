//! Acts that could not be brought to their end: when each is tried again, and what is known of its end already.
//!
//! A ledger that can't be written must not make an act be done again and again: its outcome is kept in memory, and
//! only the writing is tried again, ever more seldom.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use model::ActId;
use model::act::{Act, Outcome};

/// The first pause; each further one is twice as long, up to the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// Without anything that waits.
const IDLE: Duration = Duration::from_secs(3600);

/// How far an attempt came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempted {
    /// It has a result.
    Ended,
    /// Its rules are not in force, for which it has waited already.
    RulesMissing,
    /// It waits for approval.
    Held,
    /// The server is away, and the act needs it.
    ServerAway,
    /// The ledger could not take its begin.
    NotBegun,
    /// It was done, and the ledger could not take its outcome.
    NotKept(Outcome),
    /// The agent stops.
    CutShort,
}

impl Attempted {
    /// What kept it from beginning, as part of a sentence.
    fn hindrance(&self) -> Option<&'static str> {
        match self {
            Self::RulesMissing => Some("while the guard did not confirm that its rules are in force"),
            Self::Held => Some("while it waited for approval"),
            Self::ServerAway => Some("while this machine was not connected to the server"),
            Self::NotBegun => Some("while this machine's ledger could not be written"),
            Self::Ended | Self::NotKept(_) | Self::CutShort => None,
        }
    }
}

/// The acts that wait.
#[derive(Debug, Default)]
pub(crate) struct Waiting(HashMap<ActId, Wait>);

#[derive(Debug)]
struct Wait {
    due: Instant,
    /// Looking again costs nothing, and whoever ends the wait wakes us.
    is_told: bool,
    pause: Duration,
    outcome: Option<Outcome>,
    hindrance: Option<&'static str>,
}

impl Waiting {
    /// Whether an act is to be tried now. One that never was is.
    pub(crate) fn is_due(&self, act: ActId, now: Instant) -> bool {
        self.0.get(&act).is_none_or(|wait| wait.is_told || now >= wait.due)
    }

    /// The outcome of an act that was done already.
    pub(crate) fn take_outcome(&mut self, act: ActId) -> Option<Outcome> {
        self.0.get_mut(&act)?.outcome.take()
    }

    /// What kept an act from beginning the last time, as part of a sentence.
    pub(crate) fn hindrance(&self, act: ActId) -> Option<&'static str> {
        self.0.get(&act)?.hindrance
    }

    /// Takes in how far an attempt came.
    pub(crate) fn note(&mut self, act: ActId, attempted: &Attempted, now: Instant) {
        let last = self.0.remove(&act).map(|wait| wait.pause);
        let longer = last.map_or(FIRST, |last| (last * 2).min(LONGEST));
        let (pause, outcome) = match attempted {
            Attempted::Ended => return,
            Attempted::RulesMissing | Attempted::CutShort => (FIRST, None),
            // Its deadline may pass.
            Attempted::Held | Attempted::ServerAway => (LONGEST / 2, None),
            Attempted::NotBegun => (longer, None),
            Attempted::NotKept(outcome) => (longer, Some(outcome.clone())),
        };
        let due = now + pause;
        let is_told = matches!(attempted, Attempted::Held | Attempted::ServerAway);
        let pause = if is_told { FIRST } else { pause };
        self.0.insert(act, Wait { due, is_told, pause, outcome, hindrance: attempted.hindrance() });
    }

    /// Forgets those that are no longer to be done.
    pub(crate) fn retain(&mut self, unfinished: &[Act]) {
        self.0.retain(|id, _| unfinished.iter().any(|act| act.id == *id));
    }

    /// How long until the next is due.
    pub(crate) fn pause(&self, now: Instant) -> Duration {
        let next = self.0.values().map(|wait| wait.due.saturating_duration_since(now)).min();
        next.unwrap_or(IDLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_that_can_not_be_written_is_tried_ever_more_seldom_and_the_act_done_once() {
        let (act, start) = (ActId::random(), Instant::now());
        let outcome = Outcome { act, copies: Vec::new(), stopped: 3, services: Vec::new(), failure: None };
        let (mut waiting, mut now, mut attempts, mut done) = (Waiting::default(), start, 0, 0);
        while now < start + Duration::from_secs(3600) {
            assert!(waiting.is_due(act, now));
            let outcome = waiting.take_outcome(act).unwrap_or_else(|| {
                done += 1;
                outcome.clone()
            });
            waiting.note(act, &Attempted::NotKept(outcome), now);
            assert!(!waiting.is_due(act, now));
            now += waiting.pause(now);
            attempts += 1;
        }
        assert_eq!((done, attempts), (1, 66));
        assert_eq!(waiting.take_outcome(act).map(|outcome| outcome.stopped), Some(3));
        waiting.note(act, &Attempted::Ended, now);
        assert_eq!((waiting.is_due(act, now), waiting.pause(now)), (true, IDLE));
    }

    #[test]
    fn missing_rules_are_no_failure_of_the_disk() {
        let (act, now) = (ActId::random(), Instant::now());
        let mut waiting = Waiting::default();
        for _ in 0..9 {
            waiting.note(act, &Attempted::RulesMissing, now);
            assert_eq!(waiting.pause(now), FIRST);
        }
        waiting.retain(&[]);
        assert_eq!(waiting.pause(now), IDLE);
    }
}
