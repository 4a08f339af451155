//! What is said of processes that run what is denied.

use std::collections::HashSet;
use std::path::PathBuf;

use model::sighting::Seen;
use model::{RuleId, Sha256};
use rustix::fs::CWD;
use sys::state::State;

use super::sweep::{Fate, Found};
use crate::recorder::Noticed;

/// Processes that ran something denied when they were looked at.
#[derive(Default)]
pub(super) struct StillRunning {
    /// Where each can be looked at again, and what is there if it still runs that. Without a place, it is counted
    /// until the next sweep.
    processes: Vec<Option<(String, State)>>,
}

impl StillRunning {
    pub(super) fn of(found: &[Found]) -> Self {
        let still = found.iter().filter(|found| found.fate != Fate::Ended);
        let place = |found: &Found| found.link.clone().map(|link| (format!("/proc/{link}"), found.state));
        Self { processes: still.map(place).collect() }
    }

    pub(super) fn count(&self) -> u64 {
        let runs = |place: &&Option<(String, State)>| {
            place
                .as_ref()
                .is_none_or(|(link, state)| State::at(CWD, link).is_ok_and(|now| now == Some(*state)))
        };
        self.processes.iter().filter(runs).count() as u64
    }
}

/// What was told already, and is told again only after it was gone.
#[derive(Default)]
pub(super) struct Told {
    copies: HashSet<(PathBuf, Sha256)>,
    processes: HashSet<(i32, State, RuleId)>,
}

impl Told {
    /// Writes what is new of these into the log, and returns what the server should hear: each copy once, however
    /// many run it.
    pub(super) fn news(&mut self, found: Vec<Found>) -> Vec<Noticed> {
        let mut now = Self::default();
        let mut news = Vec::new();
        for Found { pid, path, digests, facts, rule, effect, fate, state, .. } in found {
            if now.processes.insert((pid, state, rule)) && !self.processes.contains(&(pid, state, rule)) {
                let (path, effect) = (path.display(), effect.word());
                tracing::warn!(pid, %path, %rule, effect, %fate, "a process runs a denied file");
            }
            let copy = (path, digests.sha256);
            if !now.copies.contains(&copy) {
                if fate == Fate::Ended || !self.copies.contains(&copy) {
                    news.push(Noticed::Run(copy.0.clone(), digests, facts, Seen::Running));
                }
                now.copies.insert(copy);
            }
        }
        *self = now;
        news
    }
}
