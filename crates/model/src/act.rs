//! What is done on one machine, by id.

use std::path::PathBuf;

use crate::log::Position;
use crate::order::Failure;
use crate::{ActId, FileId, MachineId, OrderId, Time, VaultId};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Do {
    /// Stop every process that runs the file and move every copy into the vault.
    Quarantine(FileId),
    /// Bring back what the act of that order took, on these terms.
    Restore(OrderId, Terms),
    /// Send a copy's bytes to the server.
    Collect(FileId),
}

/// On what terms a copy comes back. Without any it takes back its own name or none, and loses what would give whoever
/// runs it more rights than their own: it was taken because somebody did not trust it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Terms {
    /// Where its name is taken, it gets another one beside it.
    pub beside: bool,
    /// Set-user-id and set-group-id bits and file capabilities come back too.
    pub keep_privileges: bool,
}

impl Do {
    /// The word in store and documents.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Quarantine(_) => "quarantine",
            Self::Restore(..) => "restore",
            Self::Collect(_) => "collect",
        }
    }
}

/// One act on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Its name: one effect per id, always a result.
    pub id: ActId,
    /// The order that wants it.
    pub order: OrderId,
    /// Where.
    pub machine: MachineId,
    /// What.
    pub what: Do,
    /// The rules that must be in force before it begins: a quarantine denies first.
    pub after: Position,
    /// The machine does not begin it later than this, in server time.
    pub deadline: Time,
}

/// How one copy fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CopyState {
    /// Known, not yet dealt with.
    InProgress,
    /// Done.
    Succeeded,
    /// Not done; the reason stands beside it.
    Failed,
}

impl CopyState {
    /// The word on the wire and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// The state that `word` means.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::InProgress, Self::Succeeded, Self::Failed].into_iter().find(|state| state.word() == word)
    }
}

/// One copy, and how it fared in an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyResult {
    /// Where it lay; of one that came back, where it is.
    pub path: PathBuf,
    /// How it fared.
    pub state: CopyState,
    /// Why it failed, and what to do next; or in what a success is less than was hoped for.
    pub reason: Option<String>,
    /// Where it rests now.
    pub vault: Option<VaultId>,
}

/// How an act ended. Sent until the server has acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which act.
    pub act: ActId,
    /// Each copy.
    pub copies: Vec<CopyResult>,
    /// How many processes were stopped.
    pub stopped: u32,
    /// Services that were stopped with them: the machine would have started them again.
    pub services: Vec<String>,
    /// Why it failed as a whole, whatever became of the copies.
    pub failure: Option<Failure>,
}
