//! The agent's end: hashes what the guard asks about, and tells it the rules.
//!
//! Both connections are made anew whenever the guard is. The last rules go in before anything else.

mod asker;
mod control;
#[cfg(test)]
pub(crate) mod for_test;
mod hashing;
mod job;
mod marks;
mod queue;
mod rest;
mod socket;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use model::bypass::Bypass;
use model::rule::Effect;
use model::{Names, RuleId};
use parking_lot::Mutex;
use wire::link::v1::{Costs, Explain, Explained, GuardCounters};

use super::snapshot::Snapshot;
use super::{SparedInode, protocol};
use crate::digest::Hashed;
use crate::ruleset::RuleSet;
use control::Control;
use hashing::Hashing;

pub use marks::Marks;

/// What the guard has to tell. Whoever receives must not lag: what finds no room is lost, so that neither an
/// exec nor [`Guard::adopt`] ever waits for the receiver.
#[derive(Clone, Debug)]
pub enum Event {
    /// A file that somebody wanted to run met a rule.
    Met(Meeting),
    /// A file was hashed because somebody runs it.
    Hashed {
        /// Where it lies.
        path: PathBuf,
        /// What it is.
        hashed: Hashed,
    },
    /// A guard is attached and has the last rules, if there were any.
    Ready,
    /// The guard is gone. Nothing is denied until it is back.
    Lost,
}

/// The kernel refused an exec, or a process was stopped for it, or it was permitted against a rule because the copy
/// is spared, or because the rule only wants to hear of it.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// What was to run. Its other digests are told soon after by [`Event::Hashed`].
    pub names: Names,
    /// Its length.
    pub size: u64,
    /// Where it lies, as seen by the guard; empty if nobody knows.
    pub path: PathBuf,
    /// Who wanted to run it: the process.
    pub pid: i32,
    /// And its user; `u32::MAX` when it had ended.
    pub user: u32,
    /// The strongest rule about it.
    pub rule: RuleId,
    /// What that rule does.
    pub effect: Effect,
    /// It ran until its digests were known.
    pub late: bool,
    /// Since when, in clock ticks since boot; 0 when it was only opened.
    pub ran_at: u64,
    /// It runs all the same: the copy is one the machine can't do without.
    pub spared: bool,
    /// It runs all the same: its user went past the warning.
    pub bypassed: bool,
    /// How often this happened since it was told last.
    pub times: u64,
}

/// How much is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Denied files do not run.
    Deny,
    /// No guard is attached, or it has no rules yet.
    Absent,
}

/// What is known of the guard now.
#[derive(Clone, Debug)]
pub struct GuardStatus {
    /// How much is enforced.
    pub level: Level,
    /// The paths whose filesystems are guarded.
    pub guarded: Vec<PathBuf>,
    /// What the guard has counted since its start, a second ago at the most.
    pub counters: GuardCounters,
    /// A file that is being written is refused with ETXTBSY, not EPERM.
    pub refuses_busy: bool,
    /// How execution is denied: `fanotify` or `bpf`; empty while there is no guard.
    pub mechanism: String,
    /// Which processes wait for it most, by a sample.
    pub costs: Costs,
    /// Files that are being read for a verdict and have not moved for seconds: their disk does not answer.
    pub standing_still: usize,
}

/// Why rules are not known to be in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInForce {
    /// There is no guard.
    #[error("no guard is attached")]
    Absent,
    /// It has not said that it adopted them.
    #[error("the guard has not confirmed in time")]
    Unconfirmed,
}

/// The agent's end of the guard. Attaches again by itself; lets go when dropped.
#[derive(Debug)]
pub struct Guard {
    control: Arc<Control>,
    hashing: Arc<Hashing>,
    bypasses: Mutex<Vec<Bypass>>,
    ahead: AtomicI64,
}

impl Guard {
    /// Starts the threads that attach to the guard listening at `socket`, or to come.
    pub fn attach(socket: PathBuf, events: Sender<Event>) -> Self {
        let control = Arc::new(Control::new(socket, events));
        let hashing = Hashing::start(&control);
        control::start(&control);
        Self { control, hashing, bypasses: Mutex::default(), ahead: AtomicI64::new(0) }
    }

    /// Where a guard with this data directory listens.
    pub fn socket(data_dir: &std::path::Path) -> PathBuf {
        data_dir.join(protocol::SOCKET)
    }

    /// Gives the guard these rules, and returns when they are in force: no exec is permitted any more by
    /// verdicts of earlier ones. They stay what a guard gets that is attached later, whatever is returned.
    ///
    /// # Errors
    /// When that is not known to be so after `patience`.
    pub fn adopt(
        &self,
        rules: Arc<RuleSet>,
        spared: Arc<Vec<SparedInode>>,
        patience: Duration,
    ) -> Result<(), NotInForce> {
        let deadline = Instant::now() + patience;
        let bypasses = self.bypasses.lock().clone();
        let ahead = self.ahead.load(Ordering::Relaxed);
        let encode = |version| Snapshot::encode(version, &rules, &spared, &bypasses, ahead);
        let version = self.control.give(rules.base(), encode);
        self.control.wait_for(version, deadline)
    }

    /// Whether a guard is there that has the last rules it was given in force.
    pub fn has_confirmed(&self) -> bool {
        self.control.has_confirmed()
    }

    /// What it guards, and how more is added to it.
    pub fn marks(&self) -> Marks {
        Marks::new(Arc::clone(&self.control))
    }

    /// What was answered lately about a process or an inode; none when the guard does not say so in time.
    pub fn explain(&self, wanted: &Explain, patience: Duration) -> Option<Explained> {
        self.control.explain(wanted, Instant::now() + patience)
    }

    /// The users' ways past warnings, from the next [`Self::adopt`] on.
    pub fn set_bypasses(&self, bypasses: Vec<Bypass>) {
        *self.bypasses.lock() = bypasses;
    }

    /// How much the server's clock, by which rules end, is ahead of ours, in ticks: from the next [`Self::adopt`] on.
    pub fn set_ahead(&self, ticks: i64) {
        self.ahead.store(ticks, Ordering::Relaxed);
    }

    /// Its process, while it is attached.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.control.peer()
    }

    /// How it is now.
    pub fn status(&self) -> GuardStatus {
        GuardStatus { standing_still: self.hashing.standing_still(), ..self.control.status() }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.control.close();
    }
}
