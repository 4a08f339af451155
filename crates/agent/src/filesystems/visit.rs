//! One round through all mount namespaces, by a thread that may hang without anybody waiting for it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use sys::mounts::{Kind, Mount, MountGroup, Namespace, Tree, Visitor, kind};

use super::local;
use super::overlay::{Asked, By, asked};
use crate::elsewhere::{Elsewhere, Meeting, meet};

/// Whether a filesystem, by one of its mounts, is one that should be guarded.
pub(super) type Choose = dyn Fn(&Mount) -> bool + Send + Sync;

/// What a round goes by.
pub(super) struct Plan {
    /// Told of changes in every namespace from the moment before it is looked into.
    pub(super) told: Option<Arc<MountGroup>>,
    /// Nothing is looked into when these are still all namespaces.
    pub(super) unless: Option<BTreeSet<u64>>,
    /// What is marked already; none when there is nobody who marks.
    pub(super) marked: Option<BTreeSet<u64>>,
    /// Which filesystems should be guarded.
    pub(super) choose: Arc<Choose>,
    /// Whether it is told what is mounted in other namespaces only.
    pub(super) looks_elsewhere: bool,
    /// Where a visitor hangs: nobody goes there again.
    pub(super) avoid: BTreeSet<Spot>,
}

impl Plan {
    /// Nothing is brought to a guard.
    pub(super) fn to_look_elsewhere() -> Self {
        let choose: Arc<Choose> = Arc::new(|_| false);
        let (told, unless, marked) = (None, None, None);
        Self { told, unless, marked, choose, looks_elsewhere: true, avoid: BTreeSet::new() }
    }
}

/// Where a visitor is: a namespace, and the mount that it opens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) namespace: u64,
    pub(super) mount: Option<u64>,
}

/// What a visitor tells on its way.
pub(super) enum Step {
    /// It is about to do what could take for ever.
    At(Spot),
    /// These are all namespaces.
    Namespaces(BTreeSet<u64>),
    /// What is mounted in the agent's own namespace.
    Own(Tree),
    /// Something there can't be seen, or will not be told of.
    Missed,
    /// It met a filesystem.
    Met(Met),
    /// Something that may be mounted in other namespaces only was not opened.
    LeftOut,
    /// This is mounted in other namespaces only.
    Elsewhere(Arc<Elsewhere>),
    /// This is to be marked.
    Opened(Mount, OwnedFd),
    /// This should be marked, and why it can't be.
    Unreached(u64, String),
    /// We have no right to go into a namespace: what is mounted there alone stays unknown.
    Barred(u64),
}

/// A filesystem, at the first mount of it that was met.
pub(super) struct Met {
    pub(super) device: u64,
    pub(super) path: PathBuf,
    pub(super) filesystem: String,
    pub(super) is_local: bool,
    /// It should be guarded.
    pub(super) is_chosen: bool,
    /// It is guarded when these are.
    pub(super) layers: Option<Vec<u64>>,
}

/// How long a step may take before the visitor is left to itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Ways to one filesystem that are tried in one namespace.
const TRIES: usize = 4;

/// Sends a visitor on a round. It has come back when the channel is closed.
pub(super) fn set_out(plan: Plan) -> std::io::Result<(Receiver<Step>, JoinHandle<Duration>)> {
    let (steps, told) = unbounded();
    let visitor = std::thread::Builder::new().name("mounts visit".to_owned()).spawn(move || {
        // Whoever set it out may be gone, and then nobody is told.
        if let Err(error) = go_round(&plan, &steps) {
            tracing::warn!(%error, "mount namespaces can't be looked into");
        }
        sys::process::thread_time()
    })?;
    Ok((told, visitor))
}

fn go_round(plan: &Plan, steps: &Sender<Step>) -> std::io::Result<()> {
    let ids: BTreeSet<u64> = sys::mounts::namespaces()?.map(|namespace| namespace.id).collect();
    if plan.unless.as_ref() == Some(&ids) {
        return Ok(());
    }
    let _ = steps.send(Step::Namespaces(ids.clone()));
    let visitor = Visitor::new()?;
    let mut met: BTreeMap<u64, bool> = BTreeMap::new();
    let (mut own, mut meeting) = (None, None);
    for (number, namespace) in sys::mounts::namespaces()?.enumerate() {
        let spot = Spot { namespace: namespace.id, mount: None };
        if plan.avoid.contains(&spot) {
            let _ = steps.send(Step::Missed);
            continue;
        }
        let _ = steps.send(Step::At(spot));
        if let Some(Err(error)) = plan.told.as_ref().map(|told| told.add(&namespace)) {
            tracing::debug!(namespace = namespace.id, %error, "mounts there are noticed late");
            let _ = steps.send(Step::Missed);
        }
        let is_own = number == 0;
        let entered = if is_own { Ok(()) } else { visitor.enter(&namespace) };
        let tree = match entered.and_then(|()| visitor.mounts()) {
            Ok(mounts) => Tree::new(mounts),
            // It may have ended meanwhile.
            Err(error) => {
                let is_barred = error.kind() == std::io::ErrorKind::PermissionDenied;
                let _ = steps.send(if is_barred { Step::Barred(namespace.id) } else { Step::Missed });
                tracing::debug!(namespace = namespace.id, %error, "a mount namespace can't be looked into");
                continue;
            }
        };
        let own_tree: &Tree = if is_own { own.insert(tree.clone()) } else { own.as_ref().unwrap_or(&tree) };
        look_round(plan, &namespace, &tree, own_tree, &mut met, steps);
        if is_own {
            meeting = plan.looks_elsewhere.then(|| Meeting::begin(&tree, &ids));
            let _ = steps.send(Step::Own(tree));
        } else if let Some(meeting) = &mut meeting {
            meet_elsewhere(plan, meeting, &visitor, &namespace, &tree, steps);
        }
    }
    Ok(())
}

/// Tells what only this namespace has mounted.
fn meet_elsewhere(
    plan: &Plan,
    meeting: &mut Meeting,
    visitor: &Visitor,
    namespace: &Namespace,
    tree: &Tree,
    steps: &Sender<Step>,
) {
    let mut goes = |mount: &Mount| {
        let spot = Spot { namespace: namespace.id, mount: Some(mount.id) };
        let is_bad = plan.avoid.contains(&spot);
        let _ = steps.send(if is_bad { Step::Missed } else { Step::At(spot) });
        !is_bad
    };
    for found in meet(meeting, visitor, namespace, tree, &mut goes) {
        let _ = steps.send(Step::Elsewhere(found));
    }
    if meeting.has_left_out() {
        let _ = steps.send(Step::LeftOut);
    }
}

/// Tells what is mounted in one namespace, and opens what is to be marked and was not reached yet.
fn look_round(
    plan: &Plan,
    namespace: &Namespace,
    tree: &Tree,
    own: &Tree,
    met: &mut BTreeMap<u64, bool>,
    steps: &Sender<Step>,
) {
    let ways = local(tree);
    for mount in tree.mounts() {
        if kind(mount) == Kind::Pseudo || met.get(&mount.device).is_some_and(|is_settled| *is_settled) {
            continue;
        }
        let best = ways.get(&mount.device).and_then(|ways| ways.first()).copied().unwrap_or(mount);
        let is_chosen = kind(best) == Kind::Local && (plan.choose)(best);
        // The paths of an overlay's layers mostly mean what they mean here.
        let is_here = || own.mounts().iter().any(|own| own.device == best.device);
        let (around, by) = match namespace.is_of_our_users {
            true if best.filesystem == "overlay" && is_here() => (own, By::Us),
            true => (tree, By::Root),
            false => (tree, By::Anybody),
        };
        let asked = asked(best, around, by);
        if !met.contains_key(&best.device) {
            let layers = if let Asked::ByLayers(layers) = &asked { Some(layers.clone()) } else { None };
            let _ = steps.send(Step::Met(Met {
                device: best.device,
                path: best.point.clone(),
                filesystem: best.filesystem.clone(),
                is_local: kind(best) == Kind::Local,
                is_chosen,
                layers,
            }));
        }
        let is_settled = match asked {
            Asked::Itself
                if is_chosen && plan.marked.as_ref().is_some_and(|marked| !marked.contains(&best.device)) =>
            {
                let tries = ways.get(&best.device).map_or(&[][..], |ways| &ways[..ways.len().min(TRIES)]);
                reach(plan, namespace, best, tries, steps)
            }
            Asked::Not(reason) if is_chosen => {
                let _ = steps.send(Step::Unreached(best.device, reason.to_owned()));
                true
            }
            _ => true,
        };
        met.insert(best.device, is_settled);
    }
}

/// Opens a filesystem by the first way that works. Whether one did.
fn reach(plan: &Plan, namespace: &Namespace, best: &Mount, ways: &[&Mount], steps: &Sender<Step>) -> bool {
    let mut reason = "no path leads to it but through what is not local, or covered".to_owned();
    for mount in ways {
        let spot = Spot { namespace: namespace.id, mount: Some(mount.id) };
        if plan.avoid.contains(&spot) {
            reason = "looking it up does not end".to_owned();
            let _ = steps.send(Step::Missed);
            continue;
        }
        let _ = steps.send(Step::At(spot));
        match sys::mounts::open(mount) {
            Ok(object) => {
                let _ = steps.send(Step::Opened((*mount).clone(), object));
                return true;
            }
            Err(error) => reason = format!("it can't be opened: {error}"),
        }
    }
    let _ = steps.send(Step::Unreached(best.device, reason));
    false
}
