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
    /// all is success, since nothing is left to do. That some of it is done stands in
    /// [`Order::is_partly_done`].
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
    /// A copy's bytes are to come from a machine to the server.
    Collect(MachineId, FileId),
    /// The undo of that: the server's sample is deleted.
    Discard(MachineId, FileId),
}

impl Want {
    /// The word in store and documents.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Block(_) => "block",
            Self::Unblock(_) => "unblock",
            Self::Quarantine(..) => "quarantine",
            Self::Restore(..) => "restore",
            Self::Collect(..) => "collect",
            Self::Discard(..) => "discard",
        }
    }

    /// The file it is about.
    pub const fn file(&self) -> FileId {
        match self {
            Self::Block(file)
            | Self::Unblock(file)
            | Self::Quarantine(_, file)
            | Self::Restore(_, file)
            | Self::Collect(_, file)
            | Self::Discard(_, file) => *file,
        }
    }

    /// The machine it is about; none means the organization.
    pub const fn machine(&self) -> Option<MachineId> {
        match self {
            Self::Block(_) | Self::Unblock(_) => None,
            Self::Quarantine(machine, _)
            | Self::Restore(machine, _)
            | Self::Collect(machine, _)
            | Self::Discard(machine, _) => Some(*machine),
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
    /// Each copy it met, with its own result. What was told late stands here in place of what it ended with.
    pub copies: Vec<CopyResult>,
    /// How many processes it stopped.
    pub stopped: u32,
    /// Services that were stopped with them.
    pub services: Vec<String>,
    /// Its machine does not begin later than this.
    pub deadline: Option<Time>,
    /// Somebody asked for it to be withdrawn. Whether it was stands in its state.
    pub cancellation: Option<Cancellation>,
    /// The order that undoes it, unless that one came to nothing.
    pub undone_by: Option<OrderId>,
    /// What its machine told after it had ended otherwise.
    pub late: Option<Late>,
}

impl Order {
    /// Whether it did not succeed, and some of it is done all the same.
    pub fn is_partly_done(&self) -> bool {
        let is_done = |copy: &CopyResult| copy.state == CopyState::Succeeded;
        self.state.is_final()
            && self.state != State::Succeeded
            && (self.stopped > 0 || self.copies.iter().any(is_done))
    }
}

/// Who withdrew something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// When.
    pub at: Time,
    /// By whom.
    pub by: String,
    /// Why, in their words.
    pub comment: String,
}

/// A result that came after an order had ended otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// When it came.
    pub at: Time,
    /// What it would have made of the order.
    pub state: State,
    /// Why, if it is a failure.
    pub failure: Option<Failure>,
}

/// What the undo of an order would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inverse {
    /// What it would want.
    pub want: Want,
    /// How many copies it would bring back.
    pub copies: usize,
    /// The rule that it would end.
    pub ends: Option<RuleId>,
    /// Other orders that want that rule, or the sample it would delete: it goes on for as long as there is one.
    pub kept_by: Vec<OrderId>,
}

/// Why an order failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The compatible API's `errorHResult`.
    pub code: i32,
    /// In words, with what to do next.
    pub reason: String,
}

/// `HRESULT_FROM_WIN32(ERROR_TIMEOUT)`.
const TIMED_OUT: i32 = -2_147_023_436;
/// `HRESULT_FROM_WIN32(ERROR_CANCELLED)`.
const CANCELLED: i32 = -2_147_023_673;

impl Failure {
    /// `E_FAIL` with a reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { code: -2_147_467_259, reason: reason.into() }
    }

    /// Nobody began in time.
    pub fn timed_out(reason: impl Into<String>) -> Self {
        Self { code: TIMED_OUT, reason: reason.into() }
    }

    /// It was withdrawn before anybody began.
    pub fn cancelled(reason: impl Into<String>) -> Self {
        Self { code: CANCELLED, reason: reason.into() }
    }

    /// The state of an act that ended for this reason.
    pub const fn state(&self) -> State {
        match self.code {
            TIMED_OUT => State::TimeOut,
            CANCELLED => State::Cancelled,
            _ => State::Failed,
        }
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

    #[test]
    fn a_reason_says_how_its_act_ended() {
        assert_eq!(Failure::because("no").state(), State::Failed);
        assert_eq!(Failure::timed_out("no").state(), State::TimeOut);
        assert_eq!(Failure::cancelled("no").state(), State::Cancelled);
    }
}
