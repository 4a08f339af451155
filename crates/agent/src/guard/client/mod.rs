//! The agent's end: hashes what the guard asks about, and tells it the rules.
//!
//! Both connections are made anew whenever the guard is. The last rules go in before anything else.

mod control;
mod hashing;
mod marks;
mod socket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use model::{Digests, RuleId};
use wire::link::v1::GuardCounters;

use super::snapshot::Snapshot;
use super::{SparedInode, protocol};
use crate::digest::Hashed;
use crate::ruleset::RuleSet;
use control::Control;

pub use marks::Marks;

/// What the guard has to tell. Whoever receives must not lag: what finds no room is lost, so that neither an
/// exec nor [`Guard::adopt`] ever waits for the receiver.
#[derive(Clone, Debug)]
pub enum Event {
    /// The kernel refused an exec, or a process was stopped for it, or it was permitted against a rule because
    /// the copy is spared.
    Denied {
        /// What was to run.
        digests: Digests,
        /// Its length.
        size: u64,
        /// Where it lies, as seen by the guard; empty if nobody knows.
        path: PathBuf,
        /// Who wanted to run it.
        pid: i32,
        /// The strongest rule against it.
        rule: RuleId,
        /// It ran until its digests were known.
        late: bool,
        /// It runs all the same.
        spared: bool,
    },
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
}

/// Files that are hashed at the same time. Hashing is processor time, so more than this would take it from the
/// machine's owner.
const WORKERS: usize = 2;

impl Guard {
    /// Starts the threads that attach to the guard listening at `socket`, or to come.
    pub fn attach(socket: PathBuf, events: Sender<Event>) -> Self {
        let control = Arc::new(Control::new(socket, events));
        hashing::start(&control, WORKERS);
        control::start(&control);
        Self { control }
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
        let version = self.control.give(|version| Snapshot::encode(version, &rules, &spared));
        self.control.wait_for(version, deadline)
    }

    /// What it guards, and how more is added to it.
    pub fn marks(&self) -> Marks {
        Marks::new(Arc::clone(&self.control))
    }

    /// How it is now.
    pub fn status(&self) -> GuardStatus {
        self.control.status()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.control.close();
    }
}
