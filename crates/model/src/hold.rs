//! What the brake of a machine holds back, and the word that lets it go on.

use std::path::PathBuf;

use crate::rule::Rule;
use crate::{ActId, FileId, HoldId, MachineId, OrderId, OrganizationId, RuleId, Sha256, Time};

/// One thing that waits for approval on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its name. Never used again, so that an approval is of use once.
    pub id: HoldId,
    /// What waits.
    pub what: Held,
    /// Since when, by the machine's clock.
    pub since: Time,
    /// The files that run widely there and would be denied.
    pub crowds: Vec<Crowd>,
}

/// What waits: all of it, since it is what an approval is signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The rule is not in force on the machine.
    Denial(Rule),
    /// The act is taken and does not begin.
    Quarantine {
        /// Which act.
        act: ActId,
        /// Which order wants it.
        order: OrderId,
        /// The file to be quarantined.
        file: FileId,
    },
}

/// A file that many run on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Which file.
    pub sha256: Sha256,
    /// Where one of its copies is, as a process that runs it sees it.
    pub path: PathBuf,
    /// How many processes run it.
    pub processes: u32,
    /// Of how many users.
    pub users: u32,
    /// For how many seconds the oldest of them has.
    pub seconds: u64,
}

impl Held {
    /// The rule that is not in force.
    pub const fn rule(&self) -> Option<RuleId> {
        match self {
            Self::Denial(rule) => Some(rule.id),
            Self::Quarantine { .. } => None,
        }
    }

    /// The act that does not begin.
    pub const fn act(&self) -> Option<ActId> {
        match self {
            Self::Denial(_) => None,
            Self::Quarantine { act, .. } => Some(*act),
        }
    }
}

/// The public half of an operator key: whose signature lets go on what is held.
pub type OperatorKey = [u8; 32];

/// One operator key's word that another follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// Which key counted before,
    pub from: OperatorKey,
    /// and which counts from now on.
    pub to: OperatorKey,
    /// By the key before; empty when that was lost, so that no machine follows by itself.
    pub signature: Vec<u8>,
}

/// Somebody's word that what is held may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Whose machine.
    pub organization: OrganizationId,
    /// On which machine.
    pub machine: MachineId,
    /// What is let go on,
    pub hold: HoldId,
    /// and what that is: a hold that names something else is not meant.
    pub what: Held,
    /// It counts for nothing from then on, by the machine's own clock.
    pub until: Time,
    /// Why.
    pub comment: String,
}
