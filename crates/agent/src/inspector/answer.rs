//! What the server is told of a file that it asked for.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use model::Sha256;
use model::facts::Facts;
use model::inspection::{Inspection, Outcome, VERSION};
use wire::link::inspection;
use wire::link::v1::{self, inspected, up};

/// Signals by which the kernel ends a process for what it did.
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGSYS: i32 = 31;

/// No reason is longer, in bytes.
const REASON: usize = 512;

/// What became of a file.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one, and it lives for a moment")]
pub(super) enum Became {
    /// What inspection says of it, or why it says nothing, which is a fact of the file as well.
    Record(Inspection),
    /// Nothing of that is known now: why.
    PutOff(String),
    /// No copy of it is here.
    Gone,
}

impl Became {
    /// For the server.
    pub(super) fn told(&self, file: Sha256) -> up::Message {
        let result = match self {
            Self::Record(record) => inspected::Result::Record(inspection::encode(record)),
            Self::Gone => inspected::Result::Gone(true),
            Self::PutOff(why) => inspected::Result::PutOff(why[..why.floor_char_boundary(REASON)].to_owned()),
        };
        up::Message::Inspected(v1::Inspected {
            sha256: file.0.to_vec(),
            version: VERSION,
            result: Some(result),
        })
    }
}

/// What it means that a helper that had answered before ended over a file; none if it is not the file's doing.
pub(super) fn outcome_of(status: ExitStatus) -> Option<Outcome> {
    match status.signal()? {
        // Whoever wants more memory than there is aborts.
        SIGABRT => Some(Outcome::TooBig),
        // By the kernel for lack of memory, or by somebody.
        SIGKILL => None,
        SIGSYS => Some(Outcome::Malformed("it makes the inspection do what it may not".to_owned())),
        signal => Some(Outcome::Malformed(format!("it makes the inspection crash (signal {signal})"))),
    }
}

/// The record of a file of which only that is known.
pub(super) fn unread(facts: &Facts, outcome: Outcome) -> Became {
    Became::Record(Inspection::unread(facts.clone(), outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_the_helper_is_a_fact_unless_others_did_it() {
        let by = |signal| outcome_of(ExitStatus::from_raw(signal));
        assert_eq!(by(SIGABRT), Some(Outcome::TooBig));
        assert_eq!(by(SIGKILL), None);
        assert!(matches!(by(11), Some(Outcome::Malformed(reason)) if reason.contains("11")));
        assert!(matches!(by(SIGSYS), Some(Outcome::Malformed(_))));
        assert_eq!(outcome_of(ExitStatus::from_raw(256)), None, "it could not be confined");
    }
}
