//! Keeps the spared set that of the machine: it is looked at anew after each change of the packages, and when something
//! else lies at one of its paths.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::asking::{self, Surveyor};
use super::due::{Before, Due};
use super::survey::Findings;
use super::{SparedSet, State};
use crate::core::{Core, Nudge};
use crate::ledger::Ledger;

/// How often it is asked whether packages have changed.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long the guard is waited for.
const GUARD_PATIENCE: Duration = Duration::from_secs(2);

/// Who looks, and when.
#[derive(Debug)]
pub(crate) struct Keeper {
    surveyor: Surveyor,
    due: Due,
}

impl Keeper {
    /// With the set to begin with: that of before the last start or, the first time, what is there now, which is also
    /// recorded of files that no package knows. When that fails the agent starts all the same: without rules nothing is
    /// denied.
    ///
    /// # Errors
    /// When the ledger can't be written.
    pub(crate) fn begin(surveyor: Surveyor, ledger: &mut Ledger) -> io::Result<(Self, SparedSet)> {
        let mut keeper = Self { surveyor, due: Due::default() };
        if !ledger.baseline().is_empty() {
            return Ok((keeper, SparedSet::remembered(ledger.spared())));
        }
        let before = Before::now(&SparedSet::default());
        match keeper.surveyor.ask() {
            Ok(found) => {
                let set = judged(found, ledger)?;
                keeper.due.looked(before, &set);
                Ok((keeper, set))
            }
            Err(error) => {
                tracing::error!(%error, "what may never be denied could not be found out; it is tried again");
                Ok((keeper, SparedSet { notice: error.to_string(), ..SparedSet::default() }))
            }
        }
    }

    /// Keeps it until the agent stops.
    pub(crate) fn run(mut self, core: &Core) {
        while !core.halt.is_asked() {
            let set = core.spared();
            if self.due.is_now(&set) {
                let before = Before::now(&set);
                match self.look(core) {
                    Ok(()) => self.due.looked(before, &core.spared()),
                    Err(error) => {
                        tracing::warn!(%error, "what is spared can't be found out now; it stays as it was");
                        let notice = format!("as it was found last, since it can't be now: {error}");
                        *core.spared.write() = Arc::new(SparedSet { notice, ..(*set).clone() });
                        self.due.failed();
                    }
                }
            }
            thread::sleep(INTERVAL);
        }
    }

    fn look(&self, core: &Core) -> io::Result<()> {
        let found = self.surveyor.ask()?;
        // Without what is recorded, upgraded files would look like replaced ones.
        if !found.unreadable.is_empty() && core.spared().len() > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, found.unreadable.join("; ")));
        }
        let set = judged(found, &mut core.ledger.lock())?;
        for one in set.all().filter(|one| one.state == State::Differs) {
            let (path, sha256) = (one.path.display(), one.digests.sha256);
            tracing::warn!(%path, %sha256, "at a spared path lies what was not recorded: it is not spared");
        }
        *core.spared.write() = Arc::new(set);
        if let Err(error) = core.enforce(GUARD_PATIENCE) {
            tracing::debug!(%error, "the guard hears of the spared set later");
        }
        core.nudge(Nudge::Spared);
        Ok(())
    }
}

/// What was found, measured by the baseline, and kept for the next start.
fn judged(found: Findings, ledger: &mut Ledger) -> io::Result<SparedSet> {
    let own: Option<PathBuf> = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let surveyed = asking::judge(found.findings, ledger.baseline(), own.as_deref());
    let set = SparedSet { notice: found.unreadable.join("; "), ..SparedSet::new(surveyed) };
    if ledger.baseline().is_empty() {
        ledger.set_baseline(set.spared())?;
    }
    ledger.set_spared(set.spared())?;
    Ok(set)
}
