//! What the agent's threads share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;
use model::log::Position;
use model::{Clock, MachineId, Time};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::brake::Brake;
use crate::clock::Ahead;
use crate::filesystems::Filesystem;
use crate::guard::client::{Guard, NotInForce};
use crate::inventory::Inventory;
use crate::ledger::Ledger;
use crate::looking::{Halt, Looker};
use crate::pending::Pending;
use crate::places::{Place, Places};
use crate::running::Asked;
use crate::spared::SparedSet;
use crate::spool::Spool;
use crate::standing::Warden;
use crate::sweep::{Errands, Progress};
use crate::vault::Vault;

#[cfg(test)]
pub(crate) mod for_test;
#[cfg(test)]
mod tests;

/// The agent: what is durable, what is in force, and who must hear of a change.
pub(crate) struct Core {
    pub(crate) machine: MachineId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) spool: Arc<Mutex<Spool>>,
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) vault: Arc<Vault>,
    /// None when nothing is guarded.
    pub(crate) guard: Option<Guard>,
    pub(crate) warden: Warden,
    pub(crate) brake: Brake,
    pub(crate) spared: RwLock<Arc<SparedSet>>,
    pub(crate) places: Arc<Places>,
    /// Every filesystem of the machine, as it was found last.
    pub(crate) filesystems: ArcSwap<Vec<Filesystem>>,
    /// Every local filesystem is guarded.
    pub(crate) guards_everywhere: bool,
    pub(crate) running: Asked,
    pub(crate) pending: Pending,
    pub(crate) errands: Errands,
    pub(crate) looker: Looker,
    pub(crate) progress: Arc<Progress>,
    pub(crate) halt: Halt,
    /// Whether the server is there.
    pub(crate) attached: AtomicBool,
    ahead: Ahead,
    /// What the link has to tell.
    pub(crate) nudges: Sender<Nudge>,
    /// Who else can refuse execs here, described.
    pub(crate) rivals: Mutex<Vec<String>>,
    in_force: Mutex<Option<InForce>>,
    in_force_changed: Condvar,
}

/// What the guard has confirmed last.
#[derive(Clone, Copy, Debug)]
struct InForce {
    position: Position,
    /// The ledger's turn: what the brake lets go on changes the rules in force, and not their place in the log.
    turn: u64,
}

/// How long the guard may take that is asked to put into force what it should have.
const ONCE_MORE: Duration = Duration::from_secs(2);

/// Said of a guard to which the kernel gives no leases.
pub(crate) const NO_LEASES: &str = "the kernel gives no leases (fs.leases-enable is 0): each exec's file is read anew, and writers are not kept out";

/// Why the link should look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nudge {
    /// A batch waits in the spool.
    Spooled,
    /// An act began.
    Begun(model::ActId),
    /// An act ended, or root lifted a rule.
    Ended,
    /// The brake holds something else.
    Held,
    /// The spared set is another.
    Spared,
    /// Something of the heartbeat changed.
    Changed,
}

/// The parts that [`Core`] is made of.
pub(crate) struct Parts {
    pub(crate) machine: MachineId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ledger: Ledger,
    pub(crate) spared: SparedSet,
    pub(crate) spool: Arc<Mutex<Spool>>,
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) guard: Option<Guard>,
    pub(crate) places: Arc<Places>,
    pub(crate) guards_everywhere: bool,
    pub(crate) warden: Warden,
    pub(crate) brake: Brake,
    pub(crate) pending: Pending,
    pub(crate) errands: Errands,
    pub(crate) looker: Looker,
    pub(crate) nudges: Sender<Nudge>,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        let progress = Arc::new(Progress::default());
        let swept = parts.ledger.swept();
        let was_swept = parts.places.now().iter().all(|place| swept.contains(&place.mount.point));
        progress.first_complete.store(was_swept, Ordering::Relaxed);
        Self {
            machine: parts.machine,
            clock: parts.clock,
            ledger: Mutex::new(parts.ledger),
            spool: parts.spool,
            inventory: parts.inventory,
            vault: parts.vault,
            guard: parts.guard,
            warden: parts.warden,
            brake: parts.brake,
            spared: RwLock::new(Arc::new(parts.spared)),
            places: parts.places,
            filesystems: ArcSwap::default(),
            guards_everywhere: parts.guards_everywhere,
            running: Asked::default(),
            pending: parts.pending,
            errands: parts.errands,
            looker: parts.looker,
            progress,
            halt: Halt::default(),
            attached: AtomicBool::new(false),
            ahead: Ahead::default(),
            nudges: parts.nudges,
            rivals: Mutex::default(),
            in_force: Mutex::new(None),
            in_force_changed: Condvar::new(),
        }
    }

    /// Puts what the ledger says into force, and says how far that is. Without a guard nothing is denied, and
    /// what the ledger holds is all there is to acknowledge.
    ///
    /// # Errors
    /// When the guard has not confirmed within `patience`.
    pub(crate) fn enforce(&self, patience: Duration) -> Result<Position, NotInForce> {
        // Held throughout, so that an older set never overtakes a newer one on its way to the guard.
        let mut in_force = self.in_force.lock();
        let (position, turn, rules, bypasses) = {
            let ledger = self.ledger.lock();
            (ledger.position(), ledger.turn(), ledger.rules().clone(), ledger.bypasses())
        };
        if let Some(guard) = &self.guard {
            guard.set_bypasses(bypasses);
            guard.set_ahead(self.ahead.ticks());
            // It has them as soon as it may deny again; that is not waited for.
            let patience = if self.warden.holds_back().is_some() { Duration::ZERO } else { patience };
            guard.adopt(Arc::new(rules), Arc::new(self.spared().inodes()), patience)?;
        }
        *in_force = Some(InForce { position, turn });
        self.in_force_changed.notify_all();
        self.running.now();
        Ok(position)
    }

    /// Waits until the rules up to `position` are in force: the ledger must hold them, and the guard must have confirmed
    /// all that the ledger holds, also what was approved a moment ago. When nobody else has brought that about within
    /// `patience`, the guard is asked once more. False when it is not so then.
    pub(crate) fn wait_in_force(&self, position: Position, patience: Duration) -> bool {
        let (held, turn) = {
            let ledger = self.ledger.lock();
            (ledger.position(), ledger.turn())
        };
        // Another epoch is a newer log, which was taken whole.
        if held.epoch == position.epoch && held.generation < position.generation {
            return false;
        }
        let covers = |now: InForce| {
            now.turn >= turn && now.position.epoch == held.epoch && now.position.generation >= held.generation
        };
        let deadline = Instant::now() + patience;
        let mut in_force = self.in_force.lock();
        while !in_force.is_some_and(covers) {
            if self.in_force_changed.wait_until(&mut in_force, deadline).timed_out() {
                break;
            }
        }
        // A guard that was started since may not have them yet.
        let is_confirmed = || self.guard.as_ref().is_none_or(Guard::has_confirmed);
        let is_settled = in_force.is_some_and(covers) && is_confirmed();
        drop(in_force);
        // A guard that has gone since denies nothing, and no act begins meanwhile.
        (is_settled || self.enforce(ONCE_MORE).is_ok()) && self.denies()
    }

    /// Whether what is in force is enforced; also where nothing is to be.
    pub(crate) fn denies(&self) -> bool {
        matches!(self.guard_level(), "deny" | "none")
    }

    /// How far the rules are in force; none before the first.
    pub(crate) fn in_force(&self) -> Option<Position> {
        let in_force = self.in_force.try_lock_for(Duration::from_millis(100))?;
        in_force.map(|in_force| in_force.position)
    }

    /// The spared set as it is now.
    pub(crate) fn spared(&self) -> Arc<SparedSet> {
        self.spared.read().clone()
    }

    /// Notes what the server's clock says. True when rules end at another time by it than they did before, and are to be
    /// enforced anew.
    pub(crate) fn set_server_clock(&self, server: Time) -> bool {
        self.ahead.set(server, self.clock.now())
    }

    /// Now, by the server's clock as it was told at the last attachment.
    pub(crate) fn server_now(&self) -> Time {
        self.ahead.of(self.clock.now())
    }

    /// Where execution is denied and acts are done.
    pub(crate) fn guarded(&self) -> Vec<Place> {
        self.places.guarded()
    }

    /// Tells the link.
    pub(crate) fn nudge(&self, nudge: Nudge) {
        let _ = self.nudges.try_send(nudge);
    }

    /// The guard's level, in a word.
    pub(crate) fn guard_level(&self) -> &'static str {
        match &self.guard {
            Some(_) if let Some(level) = self.warden.holds_back() => level.name(),
            Some(guard) if guard.status().level == crate::guard::client::Level::Deny => "deny",
            Some(_) => "absent",
            None => "none",
        }
    }

    /// What is to be said of the guard, for people; empty if it denies as it should.
    pub(crate) fn guard_notice(&self) -> String {
        let notice = self.warden.notice();
        let Some(guard) = self.guard.as_ref().filter(|_| notice.is_empty()) else { return notice };
        match guard.status().standing_still {
            0 if sys::lease::are_given() => notice,
            0 => NO_LEASES.to_owned(),
            files => format!("the disk of {files} files does not answer: what is new there runs unjudged"),
        }
    }

    /// The roots of what is watched.
    pub(crate) fn watched_roots(&self) -> Vec<PathBuf> {
        self.places.roots(|_| true)
    }
}
