//! What a person asked for, and how far it is.

use crate::act::{CopyResult, CopyState};
use crate::{FileId, Generation, MachineId, OrderId, OrganizationId, RuleId, Time};

/// How far an order or an act is. The words are the compatible API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Durable, not yet handed to a machine.
    Pending,
    /// Handed out.
    InProgress,
    /// Done, all of it.
    Succeeded,
    /// Not done, or not all of it; the reason is kept.
    Failed,
    /// Its deadline passed before a machine began.
    TimeOut,
    /// Withdrawn before a machine began.
    Cancelled,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::InProgress, Self::Succeeded, Self::Failed, Self::TimeOut, Self::Cancelled];

    /// The word on the wire and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::TimeOut => "TimeOut",
            Self::Cancelled => "Cancelled",
        }
    }

    /// The state that `word` means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::InProgress)
    }

    /// Whether a step from `self` to `next` is legal. Staying is not a step.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => !matches!(next, Self::Pending),
            Self::InProgress => {
                matches!(next, Self::Succeeded | Self::Failed | Self::TimeOut | Self::Cancelled)
            }
            Self::Succeeded | Self::Failed | Self::TimeOut | Self::Cancelled => false,
        }
    }

    /// The state of an order whose act ended with these copies: one that failed makes it fail, and no copy at
    /// all is success, since nothing is left to do.
    pub fn of_copies(copies: &[CopyResult]) -> Self {
        if copies.iter().any(|copy| copy.state == CopyState::Failed) { Self::Failed } else { Self::Succeeded }
    }
}

/// What an order wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The file may not run anywhere in the organization.
    Block(FileId),
    /// That rule ends.
    Unblock(FileId),
    /// Stop the file on a machine, quarantine its copies there, and never let it run there again.
    Quarantine(MachineId, FileId),
    /// The undo of a quarantine: bring its copies back and let the file run there again.
    Restore(MachineId, FileId),
}

impl Want {
    /// The word in store and documents.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Unblock(_) => "unblock",
            Self::Quarantine(..) => "quarantine",
            Self::Restore(..) => "restore",
        }
    }

    /// The file it is about.
    pub const fn file(&self) -> FileId {
        match self {
            Self::Block(file) | Self::Unblock(file) | Self::Quarantine(_, file) | Self::Restore(_, file) => {
                *file
            }
        }
    }

    /// The machine it is about; none means the organization.
    pub const fn machine(&self) -> Option<MachineId> {
        match self {
            Self::Block(_) | Self::Unblock(_) => None,
            Self::Quarantine(machine, _) | Self::Restore(machine, _) => Some(*machine),
        }
    }
}

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its name.
    pub id: OrderId,
    /// Whose.
    pub organization: OrganizationId,
    /// What is wanted.
    pub want: Want,
    /// The order this one undoes.
    pub undoes: Option<OrderId>,
    /// Who asked.
    pub requestor: String,
    /// Why, in their words.
    pub comment: String,
    /// When.
    pub created: Time,
    /// When anything about it last changed.
    pub updated: Time,
    /// How far it is.
    pub state: State,
    /// Why it failed, for people; and as a number for machines (an HRESULT, 0 when fine).
    pub failure: Option<Failure>,
    /// The rule it began or ended.
    pub rule: Option<RuleId>,
    /// The log's place that holds its change of rules.
    pub generation: Generation,
    /// Each copy it met, with its own result.
    pub copies: Vec<CopyResult>,
}

/// Why an order failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The compatible API's `errorHResult`.
    pub code: i32,
    /// In words, with what to do next.
    pub reason: String,
}

impl Failure {
    /// `E_FAIL` with a reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { code: -2_147_467_259, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_is_left_by_nothing() {
        for from in State::ALL {
            for to in State::ALL {
                if from.is_final() || from == to {
                    assert!(!from.may_become(to), "{from:?} -> {to:?}");
                }
            }
        }
        assert!(State::Pending.may_become(State::InProgress));
        assert!(State::InProgress.may_become(State::Succeeded));
        assert!(!State::InProgress.may_become(State::Pending));
    }
}
