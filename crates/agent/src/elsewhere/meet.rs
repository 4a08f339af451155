//! What one mount namespace has mounted that is mounted nowhere here.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use rustix::io::Errno;
use sys::identity::Stat;
use sys::mounts::{Mount, Namespace, Tree, Visitor, is_local, lasting_name};

use super::Elsewhere;
use super::label::{self, Census};
use crate::filesystems::local;

/// As many filesystems of one namespace are looked after, and as many of all. Whoever makes more has them guarded and not
/// known: their files can be denied, and must not take our time and memory.
const MOST_OF_ONE: usize = 64;
const MOST: usize = 1024;
/// A larger table takes so long to read that nothing is looked for in it.
const LARGEST_TABLE: usize = 4096;
/// Ways to one filesystem that are tried.
const TRIES: usize = 3;

/// A round through all namespaces.
#[derive(Debug)]
pub(crate) struct Meeting {
    /// Devices that are mounted here, or were met.
    known: BTreeSet<u64>,
    met: usize,
    has_left_out: bool,
    census: Option<Census>,
}

impl Meeting {
    /// A round that begins, where this is mounted here; `namespaces` are all there are.
    pub(crate) fn begin(own: &Tree, namespaces: &BTreeSet<u64>) -> Self {
        label::keep(namespaces);
        Self { known: local(own).into_keys().collect(), met: 0, has_left_out: false, census: None }
    }

    /// Whether there may be more than was told of.
    pub(crate) fn has_left_out(&self) -> bool {
        self.has_left_out
    }
}

/// What a namespace has that no namespace before it has. The thread is in it. `goes` is asked before a mount is opened,
/// and may say no.
pub(crate) fn meet(
    round: &mut Meeting,
    visitor: &Visitor,
    namespace: &Namespace,
    tree: &Tree,
    goes: &mut dyn FnMut(&Mount) -> bool,
) -> Vec<Arc<Elsewhere>> {
    if tree.mounts().len() > LARGEST_TABLE {
        say_too_many(namespace);
        round.has_left_out = true;
        return Vec::new();
    }
    let mut found = Vec::new();
    let all = local(tree);
    let is_covered =
        |mount: &Mount| is_local(mount) && mount.filesystem != "overlay" && !all.contains_key(&mount.device);
    let mut covered = tree.mounts().iter().filter(|mount| is_covered(mount));
    round.has_left_out |= covered.any(|mount| !round.known.contains(&mount.device));
    for (device, ways) in all {
        if round.known.contains(&device) || ways.first().is_none_or(|mount| mount.filesystem == "overlay") {
            continue;
        }
        if found.len() >= MOST_OF_ONE || round.met >= MOST {
            say_too_many(namespace);
            round.has_left_out = true;
            break;
        }
        let mut is_lost = false;
        for mount in ways.into_iter().take(TRIES) {
            if !goes(mount) {
                is_lost = true;
                continue;
            }
            match look(round, visitor, namespace, mount) {
                Ok(there) => {
                    round.known.insert(device);
                    round.met += 1;
                    found.push(Arc::new(there));
                    is_lost = false;
                    break;
                }
                Err(error) => {
                    let point = mount.point.display();
                    tracing::debug!(namespace = namespace.inode, %point, %error, "a mount there can't be opened");
                    // A device or socket that is mounted alone holds no files.
                    is_lost |= Errno::from_io_error(&error) != Some(Errno::INVAL);
                }
            }
        }
        round.has_left_out |= is_lost;
    }
    found
}

fn look(
    round: &mut Meeting,
    visitor: &Visitor,
    namespace: &Namespace,
    mount: &Mount,
) -> std::io::Result<Elsewhere> {
    let root = visitor.open(mount)?;
    let name = label::of(namespace, &mut round.census);
    Ok(Elsewhere {
        inside: mount.point.clone(),
        mount: Mount { point: here(&name, &mount.point), ..mount.clone() },
        namespace: namespace.id,
        is_of_our_users: namespace.is_of_our_users,
        lasting: lasting_name(root.as_fd())?,
        device: Stat::of(root.as_fd())?.device,
        fsid: sys::handle::fsid(root.as_fd())?,
    })
}

/// Once: it would be said at each round.
fn say_too_many(namespace: &Namespace) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let namespace = namespace.inode;
        tracing::warn!(namespace, "too much is mounted in other namespaces; some files there are not known");
    });
}

/// The path that one of a namespace of this name has here.
fn here(name: &str, inside: &Path) -> PathBuf {
    let below = inside.strip_prefix("/").unwrap_or(inside);
    let root = Path::new("/").join(name);
    if below.as_os_str().is_empty() { root } else { root.join(below) }
}
