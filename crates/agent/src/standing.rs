//! What the agent knows of the guard by its warden, and what it owes the warden.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::core::Core;
use crate::lever::Lever;
use crate::warden::{CRASHED, Level, Standing, Tether};

/// How often the agent gives a sign of life.
const BEAT: Duration = Duration::from_secs(2);
/// A ledger that is locked for longer holds everything up, and so no sign is given.
const LEDGER: Duration = Duration::from_secs(5);

/// The warden, as the agent sees it.
#[derive(Debug, Default)]
pub(crate) struct Warden {
    /// None for an agent without a warden, as tests start it.
    pub(crate) tether: Option<Tether>,
    /// Where it says who released the guard.
    pub(crate) lever: Lever,
}

impl Warden {
    fn standing(&self) -> Standing {
        self.tether.as_ref().map(|tether| tether.page.standing()).unwrap_or_default()
    }

    /// In a word, why the guard is not wanted to deny; none if it is.
    pub(crate) fn holds_back(&self) -> Option<Level> {
        self.standing().level.filter(|level| matches!(level, Level::Observe | Level::Released))
    }

    /// The same, for people; empty if it is wanted to deny.
    pub(crate) fn notice(&self) -> String {
        match self.holds_back() {
            Some(Level::Released) => {
                let pulled = self.lever.pulled().map(|pulled| pulled.to_string());
                pulled.unwrap_or_else(|| "released".to_owned())
            }
            Some(_) => CRASHED.to_owned(),
            None => String::new(),
        }
    }

    /// How often the guard fell since the warden's start, and how long in ms nothing was denied the last time.
    pub(crate) fn falls(&self) -> (u64, Option<u64>) {
        let standing = self.standing();
        (standing.deaths, standing.last_gap.and_then(|gap| u64::try_from(gap.as_millis()).ok()))
    }

    /// Gives a sign of life.
    pub(crate) fn beat(&self) {
        if let Some(tether) = &self.tether {
            tether.page.beat();
        }
    }
}

/// Gives signs of life for as long as the ledger can be reached, and tells the server when the guard's standing
/// changes.
pub(crate) fn keep(core: &Arc<Core>) {
    let mut last = core.warden.standing();
    while !core.halt.is_asked() {
        if core.ledger.try_lock_for(LEDGER).is_some() {
            core.warden.beat();
        }
        let now = core.warden.standing();
        if now != last {
            last = now;
            core.nudge(crate::core::Nudge::Changed);
        }
        thread::sleep(BEAT);
    }
}
