//! Every filesystem of this machine: also those that appear later, in containers and in users' own namespaces.
//!
//! # A filesystem's way
//! 1. [`follow`]: the kernel tells of a change of mounts, or it is time to look for new mount namespaces.
//! 2. [`visit`]: a thread that may hang reads the mount table of each namespace, and opens what is not marked yet.
//!    Nothing is opened whose path leads through a filesystem that could fail to answer.
//! 3. The descriptor goes to the guard, which marks the filesystem and closes it, so that it can be unmounted.
//! 4. What became of each is told to whoever follows; and, if that is wanted, what is mounted in other mount namespaces
//!    only, which [`crate::elsewhere`] makes reachable.
//!
//! The kernel's own account of the marks decides what is still to be marked. So a filesystem that was unmounted
//! while another took its device number, or a guard that was started anew, needs no record of its own.

mod follow;
mod overlay;
mod report;
mod visit;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::RecvTimeoutError;
use sys::mounts::{Mount, Tree, Way};

pub use follow::{Follower, Hint, Told};
pub(crate) use overlay::may_hang;
pub(crate) use report::shape;

/// One filesystem of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// Its device number, as `stat` says.
    pub device: u64,
    /// Where it is mounted: in the agent's mount namespace if it is there, in some other otherwise.
    pub path: PathBuf,
    /// Its type.
    pub kind: String,
    /// What Quell does there.
    pub state: State,
}

/// What Quell does on a filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Execution is denied there by the rules.
    Guarded,
    /// Its files are known, and all of them run.
    Watched,
    /// Nobody asked for either.
    NotChosen,
    /// It is left alone: whoever keeps it might never answer.
    NotLocal,
    /// It should be guarded and is not.
    Failed(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guarded => f.write_str("guarded"),
            Self::Watched => f.write_str("watched"),
            Self::NotChosen => f.write_str("not chosen"),
            Self::NotLocal => f.write_str("not local"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

/// The local filesystems of this namespace that are to be guarded when all are.
pub(crate) fn guarded_at_start() -> io::Result<Vec<Mount>> {
    let tree = Tree::new(sys::mounts::current()?);
    let is_asked =
        |mount: &Mount| matches!(overlay::asked(mount, &tree, overlay::By::Us), overlay::Asked::Itself);
    let best = local(&tree).into_values().filter_map(|ways| ways.first().copied().cloned());
    Ok(best.filter(is_asked).collect())
}

/// What a look at other mount namespaces has found.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// What is mounted there only.
    pub(crate) found: Vec<Arc<crate::elsewhere::Elsewhere>>,
    /// All that there are; none where that could not be told.
    pub(crate) namespaces: Option<BTreeSet<u64>>,
    /// Nothing was left out: what was not found is not there.
    pub(crate) is_whole: bool,
}

/// What is mounted in other mount namespaces only, as far as that can be found out without waiting for long.
pub(crate) fn elsewhere() -> Looked {
    let mut looked = Looked::default();
    let (mut has_own, mut has_missed) = (false, false);
    let steps = match visit::set_out(visit::Plan::to_look_elsewhere()) {
        Ok((steps, _)) => steps,
        Err(error) => {
            tracing::warn!(%error, "nobody can look for what containers have mounted");
            return looked;
        }
    };
    loop {
        match steps.recv_timeout(visit::PATIENCE) {
            Ok(visit::Step::Elsewhere(there)) => looked.found.push(there),
            Ok(visit::Step::Namespaces(ids)) => looked.namespaces = Some(ids),
            Ok(visit::Step::Own(_)) => has_own = true,
            Ok(visit::Step::Missed | visit::Step::LeftOut | visit::Step::Barred(_)) => has_missed = true,
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => {
                looked.is_whole = has_own && looked.namespaces.is_some() && !has_missed;
                return looked;
            }
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!(
                    "looking for what containers have mounted does not end; what follows is left out"
                );
                return looked;
            }
        }
    }
}

/// The mounts by which each local filesystem of a table can be reached, the best first: that of its own root where
/// there is one, then the shortest path.
pub(crate) fn local(tree: &Tree) -> BTreeMap<u64, Vec<&Mount>> {
    let mut devices: BTreeMap<u64, Vec<&Mount>> = BTreeMap::new();
    for mount in tree.mounts().iter().filter(|mount| sys::mounts::is_local(mount)) {
        if tree.way(mount) == Way::Clear {
            devices.entry(mount.device).or_default().push(mount);
        }
    }
    for ways in devices.values_mut() {
        ways.sort_by_key(|mount| (mount.root != Path::new("/"), mount.point.as_os_str().len()));
    }
    devices
}
