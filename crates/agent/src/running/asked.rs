//! The thread that sweeps, and who asks it to.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::late::{Late, Lates};
use super::sweep::Sweeper;
use super::tell::{StillRunning, Told};
use crate::core::{Core, Nudge};

/// Between sweeps for which nobody is in a hurry.
const SOON: Duration = Duration::from_secs(30);

/// What the thread is asked for, and what it found last.
pub(crate) struct Asked {
    now: (Sender<()>, Receiver<()>),
    soon: (Sender<()>, Receiver<()>),
    still: Mutex<StillRunning>,
    late: Mutex<Lates>,
}

impl Default for Asked {
    fn default() -> Self {
        // One of each is enough: who asks meanwhile asks for the same.
        let (now, soon) = (crossbeam_channel::bounded(1), crossbeam_channel::bounded(1));
        Self { now, soon, still: Mutex::default(), late: Mutex::default() }
    }
}

impl Asked {
    /// Other rules are in force.
    pub(crate) fn now(&self) {
        let _ = self.now.0.try_send(());
    }

    /// The timer let somebody run what is denied.
    pub(crate) fn late(&self, late: Late) {
        self.late.lock().put(late);
        self.now();
    }

    /// A file was met that nobody knew, and someone may run it in a way that the guard does not see.
    pub(crate) fn soon(&self) {
        let _ = self.soon.0.try_send(());
    }

    /// How many processes run what is denied: those found by the last sweep that still do.
    pub(crate) fn running_denied(&self) -> u64 {
        self.still.lock().count()
    }

    /// Waits until a sweep is due. False when nobody will ask any more.
    fn wait(&self, last: Option<Instant>) -> bool {
        let mut soon = false;
        loop {
            let wait = match (soon, last) {
                (true, Some(last)) => SOON.saturating_sub(last.elapsed()),
                (true, None) => Duration::ZERO,
                (false, _) => Duration::MAX,
            };
            crossbeam_channel::select! {
                recv(self.now.1) -> asked => return asked.is_ok(),
                recv(self.soon.1) -> asked => {
                    if asked.is_err() {
                        return false;
                    }
                    soon = true;
                }
                default(wait) => return true,
            }
        }
    }
}

/// Sweeps whenever it is asked to, until the agent stops.
pub(crate) fn run(core: &Core) {
    let mut sweeper = Sweeper::new(core.inventory.clone());
    let mut told = Told::default();
    let mut last = None;
    while core.running.wait(last) && !core.halt.is_asked() {
        sweep(core, &mut sweeper, &mut told);
        last = Some(Instant::now());
    }
}

fn sweep(core: &Core, sweeper: &mut Sweeper, told: &mut Told) {
    let rules = core.ledger.lock().rules().clone();
    if !rules.rules().any(|rule| rule.effect.denies()) {
        *core.running.still.lock() = StillRunning::default();
        return;
    }
    let began = Instant::now();
    sweeper.stop_also(core.running.late.lock().take());
    let found = match sweeper
        .sweep(&crate::perform::grounds(core), &rules, core.server_now(), &|| core.halt.is_asked())
    {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "what runs already can't be looked at");
            return;
        }
    };
    tracing::debug!(rules = rules.len(), found = found.len(), took = ?began.elapsed(), "looked at what runs");
    *core.running.still.lock() = StillRunning::of(&found);
    for noticed in told.news(found) {
        if core.looker.noticed.send(noticed).is_err() {
            return;
        }
    }
    core.nudge(Nudge::Changed);
}
