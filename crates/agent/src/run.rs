//! The agent's process: opens what is on the disk, enforces it, then reaches for the server.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use model::facts::Facts;
use model::sighting::Seen;
use model::{MachineId, OrganizationId};
use parking_lot::Mutex;
use sys::identity::{Identity, Stat};

use crate::brake::Brake;
use crate::clock::SystemClock;
use crate::core::{Core, Nudge, Parts};
use crate::guard::client::{Event, Guard};
use crate::inventory::{Inventory, Known, Note};
use crate::ledger::Ledger;
use crate::looking::{Looker, Ours};
use crate::places::{self, Place, Watched};
use crate::recorder::{Noticed, Recorder, wait_recorded};
use crate::ruleset::RuleSet;
use crate::spool::Spool;
use crate::standing::{self, Warden};
use crate::sweep::{Errands, Milestone, Sweep};
use crate::vault::Vault;
use crate::warden::Tether;
use crate::watch::{Pending, Watch};
use crate::{attach, local, looking, perform, spared};

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
    /// The process with which it ends.
    pub parent: i32,
    /// What ties it to its warden, if it has one.
    pub tether: Option<Tether>,
    /// Where root releases the guard.
    pub brake: Brake,
}

/// How long the guard is waited for at a time.
const GUARD_PATIENCE: Duration = Duration::from_secs(2);
/// How often the package database is asked whether it has changed.
const PACKAGES: Duration = Duration::from_secs(5);
/// How long what was noticed last may take to reach the disk when the agent is told to stop.
const FLUSH: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When what is on the disk can't be opened, or a place that was named is not there.
pub fn run(config: Config) -> anyhow::Result<()> {
    sys::process::die_with_parent(config.parent).context("whoever started this agent has gone")?;
    sys::process::offer_to_oom_killer();
    sys::lease::ignore_break_signals()?;
    die_of_panics();
    let signals =
        signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?;
    let data_dir = config.data_dir.canonicalize()?;

    let clock = Arc::new(SystemClock);
    let mut ledger = Ledger::open(&data_dir.join("ledger"), config.machine, config.organization)?;
    if ledger.baseline().is_empty() {
        ledger.set_baseline(spared::survey(None))?;
    }
    let places = places::resolve(&config.watched, &config.guarded)?;
    let (guard, guard_events) = attach_guard(&config, &data_dir, &ledger);
    let (noticed, notices) = bounded(4096);
    let (nudges, nudged) = unbounded();
    let (large, large_looks) = bounded(looking::LARGE_ROOM);
    let errands = Errands::default();
    let inventory = Arc::new(Inventory::open(&data_dir.join("inventory.redb"))?);
    let spool = Spool::open(&data_dir.join("spool"), clock.clone())?;
    remember(&inventory, &spool)?;
    let spool = Arc::new(Mutex::new(spool));
    let vault = Arc::new(Vault::open(&data_dir, clock.clone())?);
    let core = Arc::new(Core::new(Parts {
        machine: config.machine,
        clock,
        ledger,
        spool: spool.clone(),
        inventory: inventory.clone(),
        vault,
        guard,
        warden: Warden { tether: config.tether, brake: config.brake },
        places,
        pending: Pending::default(),
        looker: Looker { inventory: inventory.clone(), noticed: noticed.clone(), large: Some(large) },
        nudges: nudges.clone(),
    }));

    let recorder = Recorder { inventory, spool, nudges, errands: errands.clone(), lost: None };
    spawn("recorder", move || recorder.run(&notices))?;
    let patient = Looker { large: None, ..core.looker.clone() };
    spawn("look large", move || {
        sys::process::run_when_idle();
        let _ = large_looks.iter().try_for_each(|path| patient.look(path));
    })?;
    let beating = core.clone();
    spawn("beat", move || standing::keep(&beating))?;
    enforce_from_ledger(&core)?;
    hear_guard(&core, guard_events, noticed.clone())?;
    look_around(&core, &data_dir, errands)?;
    keep_spared(&core)?;

    let (taken, takes) = bounded(1);
    let acting = core.clone();
    spawn("acts", move || perform::run(&acting, &takes))?;
    let (linked, socket) = (core.clone(), data_dir.join("link.sock"));
    spawn("link", move || attach::run(&linked, &socket, &nudged, &taken))?;
    let (serving, dir) = (core.clone(), data_dir);
    spawn("local", move || {
        if let Err(error) = local::serve(&serving, &dir) {
            tracing::error!(%error, "root on this machine can't ask the agent");
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
fn attach_guard(config: &Config, data_dir: &Path, ledger: &Ledger) -> (Option<Guard>, Receiver<Event>) {
    let (sender, events) = bounded(4096);
    let guard = (!config.guarded.is_empty()).then(|| {
        let guard = Guard::attach(data_dir.join("guard.sock"), sender);
        let rules = RuleSet::new(ledger.rules());
        let spared = spared::SparedSet::new(ledger.baseline().to_vec()).inodes();
        // Nobody is told that they are in force: that is waited for later.
        let _ = guard.adopt(Arc::new(rules), Arc::new(spared), Duration::ZERO);
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

/// Takes in what the guard tells: denials, and files that were hashed for it.
fn hear_guard(core: &Arc<Core>, events: Receiver<Event>, noticed: Sender<Noticed>) -> anyhow::Result<()> {
    let core = core.clone();
    spawn("guard events", move || {
        for event in events {
            let told = match event {
                Event::Denied { digests, size, path, pid, rule, late, spared } => {
                    tracing::warn!(path = %path.display(), sha256 = %digests.sha256, pid, rule = %rule, late, spared, "execution met a rule");
                    let facts = core.inventory.at(&path).map(|known| known.facts);
                    let facts = facts.unwrap_or(Facts { size, ..Facts::default() });
                    let seen = match (spared, late) {
                        (true, _) => Seen::Running,
                        (false, true) => Seen::DeniedLate(rule),
                        (false, false) => Seen::Denied(rule),
                    };
                    Some(Noticed::Run(path, digests, facts, seen))
                }
                Event::Hashed { path, hashed } => {
                    let known = Known::new(hashed.digests, hashed.facts, &hashed.stat);
                    let is_news = hashed.stat.links > 0
                        && lies_at(&core.places, &path, &hashed.stat)
                        && known.facts.file_type.is_executable()
                        && core.inventory.at(&path).as_ref() != Some(&known);
                    is_news.then_some(Noticed::Here(path, known))
                }
                Event::Ready | Event::Lost => {
                    core.nudge(Nudge::Changed);
                    None
                }
            };
            if told.is_some_and(|told| noticed.send(told).is_err()) {
                return;
            }
        }
    })
}

/// Whether the file is what this path leads to here. It was run by whoever it was, perhaps in a mount namespace of
/// its own making, where the same path means something else. No other filesystem is entered to find out.
fn lies_at(places: &[Place], path: &Path, stat: &Stat) -> bool {
    use rustix::fs::{Mode, OFlags, ResolveFlags};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let found = places.iter().filter_map(|place| {
        let below = path.strip_prefix(&place.mount.point).ok()?;
        let file = rustix::fs::openat2(&place.root, below, flags, Mode::empty(), resolve).ok()?;
        Identity::of(file.as_fd()).ok()
    });
    let is_it = |found: Stat| (found.device, found.inode) == (stat.device, stat.inode);
    found.into_iter().any(is_it)
}

/// Watches, looks at what changed, and sweeps.
fn look_around(core: &Arc<Core>, data_dir: &Path, errands: Errands) -> anyhow::Result<()> {
    let ours = Ours::new(data_dir.to_owned(), &core.watched_roots());
    let (looks, looked) = bounded(4096);
    let watch = Watch::new(&core.places, ours.clone(), core.pending.clone(), looks)?;
    spawn("watch", move || {
        if let Err(error) = watch.run() {
            tracing::error!(%error, "changes are no longer noticed; restart the agent");
        }
    })?;
    let (looker, pending, asked) = (core.looker.clone(), core.pending.clone(), errands.clone());
    spawn("look", move || looker.run(&looked, &pending, &asked))?;
    let sweep = Sweep {
        looker: core.looker.clone(),
        guarded: core.roots(|place| place.is_guarded),
        watched: core.roots(|place| !place.is_guarded),
        ours,
        progress: core.progress.clone(),
        halt: core.halt.clone(),
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
        sweep.run(&errands, |milestone| {
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
    core.nudge(Nudge::Changed);
}

/// Surveys the spared set now and after each change of the packages.
fn keep_spared(core: &Arc<Core>) -> anyhow::Result<()> {
    let core = core.clone();
    let baseline = core.ledger.lock().baseline().to_vec();
    spawn("spared", move || {
        let mut surveyed = None;
        while !core.halt.is_asked() {
            let changed = spared::packages_changed();
            if surveyed != Some(changed) {
                let set = spared::SparedSet::new(spared::survey(Some(&baseline)));
                *core.spared.write() = Arc::new(set);
                surveyed = Some(changed);
                if let Err(error) = core.enforce(GUARD_PATIENCE) {
                    tracing::debug!(%error, "the guard hears of the spared set later");
                }
                core.nudge(Nudge::Spared);
            }
            thread::sleep(PACKAGES);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_another_mount_namespace_says_nothing_here() {
        let dir = tempfile::tempdir().unwrap();
        let point = dir.path().canonicalize().unwrap();
        let mount = sys::mounts::Mount { point: point.clone(), ..sys::mounts::containing(&point).unwrap() };
        let root = std::fs::File::open(&point).unwrap();
        let places = [Place { mount, root, is_guarded: true }];
        std::fs::write(point.join("sudo"), "innocent").unwrap();
        std::fs::write(point.join("other"), "run as /sudo elsewhere").unwrap();
        let stat = |name: &str| Identity::of(std::fs::File::open(point.join(name)).unwrap().as_fd()).unwrap();
        assert!(lies_at(&places, &point.join("sudo"), &stat("sudo")));
        assert!(!lies_at(&places, &point.join("sudo"), &stat("other")));
        assert!(!lies_at(&places, Path::new("/sudo"), &stat("other")));
    }
}
