//! Where quarantined copies rest, and their way home.
//!
//! A copy is always in place or whole in the vault, never neither. On a filesystem that keeps its files a
//! copy is renamed into `.quell-vault` at the root of its mount, which only root can enter; on one that does
//! not, or where renaming is impossible, it is copied into the data directory, read back, and then removed.
//! Each step is in the journal before its effect; after a crash, [`Vault::open`] looks at what is there and
//! finishes or undoes it.
//!
//! What a name meant when it was looked at, it may not mean when it is moved. So nothing is removed or kept
//! by its name: a name is first moved to where nobody else can reach it, then compared, and moved back when
//! it was another.

mod code;
mod held;
mod kept;
mod metadata;
mod refusal;
mod resting;
mod step;

mod copying;
mod fixed;
mod fresh;
mod holding;
mod home;
mod place;
mod records;
mod recover;
mod removal;
mod restore;
mod take;

use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use model::Clock;

pub use held::{Found, Taking};
pub(crate) use holding::{is_holding, remove_at as remove_holding};
pub use kept::{Fate, Kept, Returned, Which};
pub use metadata::Metadata;
pub(crate) use place::{directory, mount_of, open_regular};
pub use records::End;
pub use refusal::Refusal;
pub use removal::Retention;
pub use resting::{Parent, Resting};
pub use step::Step;

#[cfg(test)]
pub(crate) use resting::tests::some as some_resting;

use records::{Records, Stage};

use crate::vouched::Vouched;

/// All quarantined copies of this machine. One process at a time has it open.
pub struct Vault {
    data_dir: PathBuf,
    /// Where copies rest that were not renamed.
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    /// One copy is moved at a time, so that two names of one inode see each other.
    moving: Mutex<()>,
    records: Mutex<Records>,
    vouched: Arc<Vouched>,
}

impl Vault {
    /// Opens the journal and finishes or undoes what was interrupted.
    ///
    /// # Errors
    /// When another process has it open, or the journal can't be read.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        // The vault's own leases would end the process when somebody wants to write.
        sys::lease::ignore_break_signals()?;
        let data_dir =
            data_dir.canonicalize().with_context(|| format!("looking for {}", data_dir.display()))?;
        let dir = data_dir.join("vault");
        let mut builder = std::fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("making {}", dir.display()))?;
        let synced = directory(&data_dir).and_then(|data_dir| sys::place::sync_dir(data_dir.as_fd()));
        synced.with_context(|| format!("making {} durable", dir.display()))?;
        let records = Mutex::new(Records::open(&data_dir.join("vault.journal"))?);
        let vault = Self { data_dir, dir, clock, moving: Mutex::new(()), records, vouched: Arc::default() };
        vault.recover();
        Ok(vault)
    }

    /// The copies that rest here, in the order in which they were taken.
    pub fn list(&self) -> Vec<Resting> {
        self.at(Stage::Rests)
    }

    /// Files whose content is certain, so that those among them that are to be taken need not be read.
    pub fn vouched(&self) -> &Arc<Vouched> {
        &self.vouched
    }

    /// Where this machine keeps its own things: nothing in it is a copy to be found.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    fn at(&self, stage: Stage) -> Vec<Resting> {
        let all = self.records().all();
        all.into_iter().filter(|entry| entry.stage == stage).map(|entry| entry.resting).collect()
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
