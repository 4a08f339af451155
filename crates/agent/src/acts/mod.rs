//! What is done on this machine by order: stop and quarantine, its undo, and the reading of a copy.
//!
//! An act may be done again after a crash: what it did already is seen and reported, not done twice. It
//! touches copies and processes on guarded filesystems only.

mod collect;
mod quarantine;
mod restore;

mod failing;
mod find;
mod layers;
mod names;
mod recognize;
mod services;
mod stop;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Sha256;
use model::VaultId;
use model::act::{Act, CopyResult, CopyState, Do};

use crate::vault::{Resting, Step, Vault};

pub(crate) use collect::{DISTURBED, Readable, open_copy};
pub use quarantine::quarantine;
pub use restore::restore;

/// Says which record spares a file at a path, if one does.
pub type Spares = dyn Fn(&Path, &Sha256) -> Option<String> + Send + Sync;

/// Where acts may act.
pub struct Grounds {
    /// The guarded filesystems.
    pub guarded: Vec<Guarded>,
    /// Where copies go.
    pub vault: Arc<Vault>,
    /// What may never be taken or stopped, and by whose word.
    pub spared: Arc<Spares>,
    /// Every local filesystem is guarded, and so is what lies on none: memory, and what was removed with its mount.
    pub everywhere: bool,
    /// This agent's parents, as far as they are ours: never stopped.
    pub own_pids: Vec<i32>,
    /// Where this program is: nor is who runs it. Nobody is taken for one of ours, if none.
    pub own_program: Option<PathBuf>,
}

/// How far an act is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Copies are looked for.
    Find,
    /// Who runs them is stopped.
    Stop,
    /// What was seen running is looked for too.
    FindRunning,
    /// Copies are taken.
    Take,
    /// Who began to run them meanwhile is stopped.
    StopAgain,
    /// The vault has done this.
    Vault(Step),
}

/// A guarded filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// Its device.
    pub device: u64,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Whether its files are gone with the power.
    pub volatile: bool,
}

impl Grounds {
    pub(crate) fn guards(&self, device: u64) -> bool {
        self.guarded.iter().any(|guarded| guarded.device == device)
    }
}

impl fmt::Debug for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grounds")
            .field("guarded", &self.guarded)
            .field("own_pids", &self.own_pids)
            .finish_non_exhaustive()
    }
}

/// Copies of which nobody can say now where they are. A result for each: no act succeeds while there is one.
fn between(vault: &Vault, is_meant: impl Fn(&Resting) -> bool) -> Vec<CopyResult> {
    let reason = "its move was interrupted, and can't be finished now: is its filesystem mounted, and its disk well? Order \
                  it again then";
    vault.between(is_meant).into_iter().map(|copy| failed(copy.path, reason, Some(copy.id))).collect()
}

/// What an act has done so far, by what the vault knows of it.
pub(crate) fn so_far(vault: &Vault, act: &Act) -> Vec<CopyResult> {
    vault.settle();
    match act.what {
        Do::Quarantine(_) => {
            let taken = quarantine::taken_before(&vault.list(), act);
            taken.into_iter().chain(between(vault, |resting| resting.act == act.id)).collect()
        }
        Do::Restore(of, _) => restore::restored_before(vault, of),
        Do::Collect(_) => Vec::new(),
    }
}

fn succeeded(path: PathBuf, vault: Option<VaultId>) -> CopyResult {
    CopyResult { path, state: CopyState::Succeeded, reason: None, vault }
}

fn failed(path: PathBuf, reason: impl Into<String>, vault: Option<VaultId>) -> CopyResult {
    CopyResult { path, state: CopyState::Failed, reason: Some(reason.into()), vault }
}
