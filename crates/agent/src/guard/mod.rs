//! The process between the kernel and an exec.
//!
//! It is a process of its own so that an answer depends on as little as possible: the agent beside it may
//! stall, crash or fill its disk, and an exec waits no longer than the timer.
//!
//! # A question's way
//! 1. [`answering`]: the kernel asks; the loop takes the question and hands it to the desk.
//! 2. [`desk`]: lease, identity, digests from what is [`known`], verdict by the [`snapshot`] in force, answer.
//! 3. Not known: the opener waits among the [`questions`], and the agent's workers ([`client`]) get the file's
//!    descriptor. Their reply goes back to the desk: looked at again, judged, answered, kept.
//! 4. Not in time: the timer answers by policy. The hashing goes on, and what should not have run is stopped.
//! 5. [`after`] the answer, by a thread nobody waits for: leases end, paths are looked up, denials reported.
//!
//! # Rules' way
//! [`control`] receives them as a sealed file, builds the set beside the loop, publishes it, waits until the
//! loop has begun a new pass, and only then says that they are in force.
//!
//! # What cannot happen
//! - A verdict is never kept. The cache holds digests; verdicts are made when the answer is given. So there is
//!   nothing to flush when rules change, and an opener that waits meanwhile is judged by the new ones.
//! - Nobody is asked about before there are rules: filesystems are marked when the first have been adopted.
//! - The loop never reads a file, never looks up a path, never waits for a thread that does.
//! - Two guards never wait for each other: one that relieves another is asked about the same execs, after it or before
//!   it, and each answers by itself.
//! - A panic never leaves openers waiting: it ends the process, and the kernel permits.

pub mod client;

mod address;
mod after;
mod answering;
pub mod bpf;
mod cache;
mod control;
mod costs;
mod counters;
mod desk;
mod ground;
mod known;
mod marking;
mod opens;
mod outbox;
mod policy;
mod protocol;
mod questions;
mod recent;
mod shared;
mod snapshot;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use model::Sha256;
use sys::fanotify::permission::{About, PermissionGroup};

use crate::clock::SystemClock;
use crate::signals;
use crate::warden::Tether;
use address::Address;
use answering::Answering;
use control::Control;
use desk::Desk;
pub(crate) use known::is_young;
use marking::Marking;
use outbox::Outbox;
use policy::Policy;
use questions::Questions;
use shared::Shared;
pub(crate) use shared::{bell, drain, ring};

/// What a guard is started with.
#[derive(Debug)]
pub struct Config {
    /// Where the agent finds it.
    pub data_dir: PathBuf,
    /// Paths whose filesystems are guarded; the root stands for every local one.
    pub guarded: Vec<PathBuf>,
    /// Whether filesystems that the agent finds later are guarded, too.
    pub guards_later: bool,
    /// The process with which it ends.
    pub parent: i32,
    /// How long an exec waits at the most; no more than [`LONGEST_TIMER`].
    pub timer: Duration,
    /// What an exec is told for whose file nobody knows the digests in time; if not, it is denied, but for the
    /// reservations of [`policy`].
    pub permit_on_timeout: bool,
    /// What ties it to its warden, if it has one.
    pub tether: Option<Tether>,
    /// Opens are asked about as well as execs: scripts given to their interpreters, libraries, programs given to the
    /// loader. Each open on the guarded filesystems then waits for an answer.
    pub opens: bool,
    /// At which level it works.
    pub level: bpf::Level,
}

/// Nobody is kept waiting longer, whatever the configuration says.
pub const LONGEST_TIMER: Duration = Duration::from_millis(250);

/// A copy that is never denied: this inode, as long as its content is this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SparedInode {
    /// Its device, as `stat` says.
    pub device: u64,
    /// Its inode number.
    pub inode: u64,
    /// What it must be.
    pub sha256: Sha256,
}

/// Openers that wait at the same time; beyond that, policy answers at once.
const MOST_WAITING: u64 = 1024;
/// Files whose lease is kept while their exec goes on.
const MOST_HELD: u64 = 4096;
/// No file that is being hashed is kept from its writers longer.
const LONGEST_LEASE: Duration = Duration::from_secs(10);

/// Guards until SIGTERM.
///
/// # Errors
/// What keeps it from guarding, before anything was marked; afterwards, what keeps it from taking questions.
/// The kernel then permits everything that waits.
pub fn run(config: Config) -> anyhow::Result<()> {
    sys::process::die_with_parent(config.parent).context("the parent is gone")?;
    sys::process::may_guard().map_err(anyhow::Error::msg)?;
    die_of_panics();
    sys::lease::ignore_break_signals()?;
    if !sys::lease::are_given() {
        tracing::warn!("{}", crate::core::NO_LEASES);
    }
    let grounds = ground::survey(&config.guarded)?;

    let descriptors = sys::process::raise_descriptor_limit()?.unwrap_or(u64::MAX);
    sys::process::prefer_speed();
    sys::process::exempt_from_oom_killer();
    let (in_kernel, told) = bpf::InKernel::start(config.level, &config.guarded, config.guards_later)?.unzip();
    let about = if config.opens { About::Opens } else { About::Execs };
    let group = PermissionGroup::new(about).context("the kernel gives no permission group")?;
    let writers = ground::told_of_writers(&grounds, config.guards_later)?;
    let relieves = config.tether.as_ref().is_some_and(|tether| tether.relieves);
    let shared = Shared::new(config.tether)?;
    let outbox = Outbox::new(&shared.counters)?;
    let (tell_loop, words) = crossbeam_channel::bounded(8);
    let (after, tasks) = after::way();
    let (address, listener) = Address::listen(&config.data_dir, relieves)
        .with_context(|| format!("cannot listen in {}", config.data_dir.display()))?;
    let end = signals::told_of(&[signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?;

    let most_held = usize::try_from(MOST_HELD.min(descriptors / 4))?;
    let desk = Desk {
        group: &group,
        counters: &shared.counters,
        after,
        known: known::Known::new(writers.clone()),
        // Each takes up to two descriptors, and as many again may be on their way or about to be closed.
        questions: Questions::new(
            usize::try_from(MOST_WAITING.min(descriptors / 4))?,
            config.timer.min(LONGEST_TIMER),
        ),
        policy: Policy::new(!config.permit_on_timeout, relieves, &shared.may_log_in, Instant::now()),
        agent: None,
        relieved: None,
        longest_lease: LONGEST_LEASE.min(lease_break_time() / 2),
        pulse: opens::Pulse::new(Instant::now()),
        looked_at_late: Instant::now(),
    };
    let answering = Answering::new(desk, &shared, &SystemClock, words, end.as_fd(), &outbox.bell)?;
    let control = Control {
        address,
        listener,
        marking: Marking::new(&group, writers, grounds, config.guards_later),
        shared: &shared,
        outbox: &outbox,
        words: tell_loop,
        agent: None,
        asks: false,
        in_kernel,
        is_in_force: false,
        told: None,
        is_relieved: false,
        hears_warden: shared.tether.as_ref().is_some_and(|tether| tether.channel.is_some()),
    };
    let end_of_events = shared::bell()?;
    let books = after::Books { outbox: &outbox, recent: &shared.recent, costs: &shared.costs };
    // Looking for the kernel's level takes much of it, and what is locked is never taken back.
    sys::process::give_back_memory();
    sys::process::lock_memory().context("memory cannot be locked")?;
    std::thread::scope(|threads| {
        threads.spawn(|| after::run(&tasks, most_held, &books));
        threads.spawn(|| control.run());
        if let Some(told) = told {
            threads.spawn(|| told.run(&shared, &outbox, &end_of_events));
        }
        let outcome = answering.run();
        ring(&end_of_events);
        shared.ended.store(true, Ordering::SeqCst);
        ring(&outbox.bell);
        outcome
    })
}

/// A thread that is gone would leave openers waiting for ever.
fn die_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // Not by the hook that was there: it waits for whoever reads stderr.
        tracing::error!("{panic}");
        std::process::abort();
    }));
}

/// After which the kernel ends a lease by itself.
fn lease_break_time() -> Duration {
    let told = std::fs::read_to_string("/proc/sys/fs/lease-break-time");
    let seconds = told.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(45);
    Duration::from_secs(seconds)
}
