//! The agent's process: opens what is on the disk, enforces it, then reaches for the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, bounded, unbounded};
use model::{MachineId, OrganizationId};
use parking_lot::Mutex;

use crate::brake::{self, Brake, Limits};
use crate::clock::SystemClock;
use crate::core::{Core, Nudge, Parts};
use crate::guard::client::{Event, Guard};
use crate::hearing::Hearing;
use crate::inspector::{self, Helper};
use crate::inventory::{Inventory, Known, Note};
use crate::ledger::Ledger;
use crate::lever::Lever;
use crate::looking::{Looker, Ours};
use crate::origin::Origins;
use crate::pace::Pace;
use crate::pending::Pending;
use crate::places::{Places, Watched};
use crate::pressure::Pressure;
use crate::recorder::{Recorder, wait_recorded};
use crate::spared::{Keeper, SparedSet, Surveyor};
use crate::spool::Spool;
use crate::standing::{self, Warden};
use crate::sweep::{Errands, Milestone, Sweep};
use crate::vault::{Retention, Vault};
use crate::warden::Tether;
use crate::watch::Watch;
use crate::{attach, collecting, local, looking, mounted, origin, perform, rivals, running};

/// What an agent needs to know.
#[derive(Debug)]
pub struct Config {
    /// Where its ledger, spool, inventory and vault are.
    pub data_dir: PathBuf,
    /// Which machine this is.
    pub machine: MachineId,
    /// Whose.
    pub organization: OrganizationId,
    /// What is looked at.
    pub watched: Watched,
    /// Where execution is denied and acts are done; nowhere, if empty.
    pub guarded: Vec<PathBuf>,
    /// Percent of one processor that may be used while it sweeps; 0 for all there is.
    pub sweep_pace: u32,
    /// The process with which it ends.
    pub parent: i32,
    /// What ties it to its warden, if it has one.
    pub tether: Option<Tether>,
    /// Where root releases the guard.
    pub lever: Lever,
    /// How much goes on without approval.
    pub limits: Limits,
    /// Who finds out what may never be denied.
    pub surveyor: Surveyor,
    /// Who parses what lies here.
    pub inspector: Helper,
    /// What its vault may keep.
    pub retention: Retention,
}

/// How long the guard is waited for at a time.
const GUARD_PATIENCE: Duration = Duration::from_secs(2);
/// How often the vault is looked through for what rests too long.
const UPKEEP: Duration = Duration::from_secs(600);
/// How long what was noticed last may take to reach the disk when the agent is told to stop.
const FLUSH: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When what is on the disk can't be opened, or a place that was named is not there.
pub fn run(config: Config) -> anyhow::Result<()> {
    sys::process::die_with_parent(config.parent).context("whoever started this agent has gone")?;
    sys::process::hoard_little_memory();
    sys::process::offer_to_oom_killer();
    sys::lease::ignore_break_signals()?;
    die_of_panics();
    let signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?;
    let data_dir = config.data_dir.canonicalize()?;

    let clock = Arc::new(SystemClock);
    let mut ledger = Ledger::open(&data_dir.join("ledger"), config.machine, config.organization)?;
    let (keeper, spared) = Keeper::begin(config.surveyor.clone(), &mut ledger)?;
    let places = Arc::new(Places::resolve(&config.watched, &config.guarded)?);
    let (guard, guard_events) = attach_guard(&config, &data_dir, &ledger, &spared);
    let (noticed, notices) = bounded(4096);
    let (nudges, nudged) = unbounded();
    let (large, large_looks) = bounded(looking::LARGE_ROOM);
    let errands = Errands::default();
    let inventory = Arc::new(Inventory::open(&data_dir.join("inventory.redb"))?);
    inventory.set_seats(places.seats());
    let spool = Spool::open(&data_dir.join("spool"), clock.clone())?;
    let backlog = spool.backlog();
    remember(&inventory, &spool)?;
    let spool = Arc::new(Mutex::new(spool));
    let vault = Arc::new(Vault::open(&data_dir, clock.clone())?);
    let (taken, takes) = bounded(1);
    let core = Arc::new(Core::new(Parts {
        machine: config.machine,
        clock,
        ledger,
        spared,
        spool: spool.clone(),
        inventory: inventory.clone(),
        vault: vault.clone(),
        guard,
        warden: Warden { tether: config.tether, lever: config.lever },
        brake: Brake::new(config.limits, inventory.clone(), taken.clone()),
        places,
        guards_everywhere: config.guarded.iter().any(|path| path == Path::new("/")),
        pending: Pending::default(),
        errands: errands.clone(),
        looker: Looker {
            inventory: inventory.clone(),
            noticed: noticed.clone(),
            vouched: vault.vouched().clone(),
            large: Some(large),
            read: Arc::default(),
            gathered: None,
        },
        nudges: nudges.clone(),
    }));

    let origins = Arc::new(Origins::default());
    let origin = origin::Keeper::begin(config.surveyor, data_dir.join("origins"), &core, origins.clone());
    let recorder = Recorder { inventory, spool, origins, nudges, errands: errands.clone(), lost: None };
    spawn("recorder", move || recorder.run(&notices))?;
    let patient = Looker { large: None, ..core.looker.clone() };
    spawn("look large", move || {
        sys::process::run_when_idle();
        let _ =
            large_looks.iter().try_for_each(|large| patient.look_at(large.path, large.is_written).map(drop));
    })?;
    let looking_at_processes = core.clone();
    spawn("running", move || running::run(&looking_at_processes))?;
    let beating = core.clone();
    spawn("beat", move || standing::keep(&beating))?;
    enforce_from_ledger(&core)?;
    let hearing = Hearing::new(core.clone(), noticed.clone());
    spawn("guard events", move || hearing.run(&guard_events))?;
    let (hurry, held_up) = (core.progress.hurry.clone(), core.progress.held_up.clone());
    let pace = Pace::new(config.sweep_pace, backlog, hurry, held_up);
    if !Pressure::is_told() {
        tracing::warn!(
            "the kernel does not tell of pressure (PSI): sweeps don't pause when the machine is short of something"
        );
    }
    look_around(&core, &config.guarded, &data_dir, errands, pace)?;
    let sparing = core.clone();
    spawn("spared", move || keeper.run(&sparing))?;

    let finding = core.clone();
    spawn("origins", move || origin.run(&finding))?;

    let watching = core.clone();
    spawn("rivals", move || rivals::watch(&watching))?;

    keep_within(core.clone(), config.retention)?;
    let weighing = core.clone();
    spawn("brake", move || brake::run(&weighing))?;
    let acting = core.clone();
    spawn("acts", move || perform::run(&acting, &takes))?;
    let (collector, samples) = collecting::pair();
    let collects = core.clone();
    spawn("collect", move || collector.run(&collects))?;
    let (inspector, inspections) = inspector::pair(config.inspector, config.sweep_pace);
    let inspected = core.clone();
    spawn("inspect", move || inspector.run(&inspected))?;
    let (linked, socket) = (core.clone(), data_dir.join("link.sock"));
    spawn("link", move || attach::run(&linked, &socket, &nudged, &taken, &samples, &inspections))?;
    let (serving, dir) = (core.clone(), data_dir);
    spawn("local", move || {
        if let Err(error) = local::serve(&serving, &dir) {
            tracing::error!(%error, "root on this machine can't ask the agent");
        }
    })?;

    let (serving, dir) = (core.clone(), config.data_dir.clone());
    spawn("users", move || {
        if let Err(error) = local::serve_users(&serving, &dir) {
            tracing::warn!(%error, "users can't go past warnings");
        }
    })?;

    wait_for(signals);
    core.halt.now();
    wait_recorded(&noticed, FLUSH);
    let _ = core.inventory.settle();
    Ok(())
}

/// Brings into the inventory what only the spool still knows, after a crash between the two.
fn remember(inventory: &Inventory, spool: &Spool) -> std::io::Result<()> {
    let told = spool.copies().into_iter().filter(|sighting| inventory.at(&sighting.path).is_none());
    let notes: Vec<_> =
        told.map(|told| Note::Here(told.path, Known::told(told.digests, told.facts))).collect();
    if notes.is_empty() { Ok(()) } else { inventory.note(&notes) }
}

/// A thread that is gone would go unnoticed, and with it sightings, acts, or the link; whoever started this
/// process starts it again.
fn die_of_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}

fn wait_for(mut signals: signal_hook::iterator::Signals) {
    let _ = signals.forever().next();
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(())
}

/// The guard gets the ledger's rules at once, before anything else is opened: what a crash left to be mended
/// there may take long, or fail.
fn attach_guard(
    config: &Config,
    data_dir: &Path,
    ledger: &Ledger,
    spared: &SparedSet,
) -> (Option<Guard>, Receiver<Event>) {
    let (sender, events) = bounded(4096);
    let guard = (!config.guarded.is_empty()).then(|| {
        let guard = Guard::attach(data_dir.join("guard.sock"), sender);
        let rules = ledger.rules().clone();
        // Nobody is told that they are in force: that is waited for later.
        let _ = guard.adopt(Arc::new(rules), Arc::new(spared.inodes()), Duration::ZERO);
        guard
    });
    (guard, events)
}

/// Enforcement begins with what is on the disk, before the server is reached.
fn enforce_from_ledger(core: &Arc<Core>) -> anyhow::Result<()> {
    let core = core.clone();
    spawn("enforce", move || {
        while let Err(error) = core.enforce(GUARD_PATIENCE) {
            if core.halt.is_asked() {
                return;
            }
            match core.warden.holds_back() {
                Some(_) => thread::sleep(GUARD_PATIENCE),
                None => tracing::warn!(%error, "the guard is waited for"),
            }
        }
        core.nudge(Nudge::Changed);
    })
}

/// Watches, looks at what changed, and sweeps.
fn look_around(
    core: &Arc<Core>,
    guarded: &[PathBuf],
    data_dir: &Path,
    errands: Errands,
    pace: Pace,
) -> anyhow::Result<()> {
    let ours = Ours::new(data_dir.to_owned(), &core.watched_roots());
    let (looks, looked) = bounded(4096);
    let (watch, marker) = Watch::new(core.places.clone(), ours.clone(), core.pending.clone(), looks)?;
    spawn("watch", move || {
        if let Err(error) = watch.run() {
            tracing::error!(%error, "changes are no longer noticed; restart the agent");
        }
    })?;
    mounted::follow(core, guarded, marker, errands.clone())?;
    let (looker, pending, asked) = (core.looker.clone(), core.pending.clone(), errands.clone());
    spawn("look", move || looker.run(&looked, &pending, &asked))?;
    let sweep = Sweep {
        looker: Looker { gathered: Some(Arc::default()), ..core.looker.clone() },
        places: core.places.clone(),
        ours,
        progress: core.progress.clone(),
        pace,
        halt: core.halt.clone(),
        meter: Mutex::default(),
        told: AtomicU64::new(0),
        errands,
    };
    let core = core.clone();
    let (reached, milestones) = unbounded();
    // Not by the sweeping thread: it hardly runs on a busy machine, and must hold nothing others wait for; nor
    // does it wait for a server that is away.
    spawn("swept", move || {
        for milestone in milestones {
            hand_over(&core);
            match milestone {
                Milestone::Guarded => core.progress.guarded_complete.store(true, Ordering::Relaxed),
                Milestone::Programs => core.progress.programs_complete.store(true, Ordering::Relaxed),
                Milestone::Everything => swept(&core),
            }
        }
    })?;
    spawn("sweep", move || {
        sweep.run(|milestone| {
            let _ = reached.send(milestone);
        });
    })
}

/// Waits until the server has all that was noticed: until then a file that it does not know may be on its way.
/// What is noticed from now on is not waited for, or one who makes files all the time would keep us waiting.
fn hand_over(core: &Core) {
    while !wait_recorded(&core.looker.noticed, Duration::from_secs(1)) && !core.halt.is_asked() {}
    let last = core.spool.lock().last();
    while core.spool.lock().waits_up_to(last) && !core.halt.is_asked() {
        thread::sleep(Duration::from_millis(10));
    }
}

/// The first sweep is complete.
fn swept(core: &Core) {
    let kept = core.ledger.lock().set_swept(core.watched_roots());
    if let Err(error) = kept {
        tracing::warn!(%error, "that the first sweep is complete can't be kept; the next start sweeps again");
    }
    core.progress.first_complete.store(true, Ordering::Relaxed);
    core.inventory.shrink();
    // What so much work has left behind; from now on there is little.
    sys::process::give_back_memory();
    core.nudge(Nudge::Changed);
}

/// Announces and removes what the vault is not to keep. Once, where it keeps all: what another start has announced is
/// called off then.
fn keep_within(core: Arc<Core>, retention: Retention) -> anyhow::Result<()> {
    spawn("vault", move || {
        loop {
            core.vault.retain(&retention);
            if !retention.is_bounded() || core.halt.is_asked() {
                return;
            }
            thread::sleep(UPKEEP);
        }
    })
}
