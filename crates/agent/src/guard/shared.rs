//! What the guard's threads share.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::event::{EventfdFlags, eventfd};

use super::costs::Costs;
use super::counters::Counters;
use super::recent::Recent;
use super::snapshot::Snapshot;
use crate::warden::Tether;

pub(super) struct Shared {
    pub(super) snapshot: ArcSwap<Snapshot>,
    /// How many passes the loop has begun.
    pub(super) passes: AtomicU64,
    /// Wakes the loop.
    pub(super) wake: OwnedFd,
    pub(super) counters: Counters,
    pub(super) recent: Recent,
    pub(super) costs: Costs,
    /// Users may log in: looked at now and then.
    pub(super) may_log_in: AtomicBool,
    /// Nobody has asked for a while.
    pub(super) rests: AtomicBool,
    /// The loop has ended, and so shall the others.
    pub(super) ended: AtomicBool,
    /// The warden's, which ends a guard that does not answer.
    pub(super) tether: Option<Tether>,
}

/// What the loop is told.
pub(super) enum Word {
    /// From now on files are hashed at the other end of this socket.
    Agent(OwnedFd),
    /// Another guard is asked about all that is asked from now on, and hashing is its business.
    Relieved,
    /// Another filesystem may have this device number from now on, or any. The sender goes when that is heeded.
    Forget(Option<u64>, crossbeam_channel::Sender<()>),
    /// The guard can't do its work.
    Fail(anyhow::Error),
}

impl Shared {
    /// # Errors
    /// EMFILE.
    pub(super) fn new(mut tether: Option<Tether>) -> std::io::Result<Self> {
        Ok(Self {
            snapshot: ArcSwap::default(),
            passes: AtomicU64::new(0),
            wake: tether.as_mut().and_then(|tether| tether.waker.take()).map_or_else(bell, Ok)?,
            counters: Counters::default(),
            recent: Recent::default(),
            costs: Costs::default(),
            may_log_in: AtomicBool::new(false),
            rests: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            tether,
        })
    }

    /// The loop gets along. To be called in each pass.
    pub(super) fn beat(&self) {
        if let Some(tether) = &self.tether {
            tether.page.beat();
        }
    }

    /// How long the loop may wait that would wait so long (`None`: for ever).
    pub(super) fn wait(&self, left: Option<Duration>) -> Option<Duration> {
        let most = self.tether.as_ref().map(|tether| match self.rests() {
            true => Tether::RESTS,
            false => tether.page.until_beat(),
        });
        left.into_iter().chain(most).min()
    }

    pub(super) fn rests(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
    }

    /// Rests until `group` is asked, if there is a warden who hears of that. To be called by the loop, in each pass in
    /// which it may rest.
    pub(super) fn rest(&self, group: BorrowedFd<'_>) {
        let Some(tether) = &self.tether else { return };
        match self.rests() {
            true => tether.rest_on(),
            false => self.rests.store(tether.rest(group), Ordering::Relaxed),
        }
    }

    /// Rests no longer. To be called before anything is taken from the group.
    pub(super) fn go_on(&self, group: BorrowedFd<'_>) {
        self.tether.iter().for_each(|tether| tether.go_on(group));
        self.rests.store(false, Ordering::Relaxed);
    }

    /// Puts a snapshot in force, and returns when no verdict by an older one is still on its way.
    ///
    /// Openers that wait are judged when they are answered, so by the new one. A verdict by the old one can
    /// only be in the pass that the loop is in; when the next has begun, it has reached the kernel.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        // Let go by this thread, when the loop has none of it any more: a large set takes its time.
        let _before = self.snapshot.swap(Arc::new(snapshot));
        let pass = self.passes.load(Ordering::SeqCst);
        while self.passes.load(Ordering::SeqCst) == pass && !self.ended.load(Ordering::SeqCst) {
            ring(&self.wake);
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// A descriptor by which one thread wakes another.
///
/// # Errors
/// EMFILE.
pub(crate) fn bell() -> std::io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Wakes who waits for the bell.
pub(crate) fn ring(bell: &OwnedFd) {
    // It fails only when it was rung 2^64 times and nobody heard.
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

/// Lets the bell be rung anew.
pub(crate) fn drain(bell: BorrowedFd<'_>) {
    let _ = rustix::io::read(bell, &mut [0; 8]);
}
