//! Filesystems that are mounted in other mount namespaces only: those that containers have for themselves.
//!
//! What lies there has a path here all the same. It begins with who has the filesystem mounted, and goes on as its
//! processes see it: `/container:docker-0123456789ab/tmp/x`, `/namespace:4026532567/srv/x`. No such path is given to the
//! kernel. [`directory`] goes to the mount, makes sure that it still is that one, and from there below it: never into
//! another mount, through no link.
//!
//! Whoever rules there is taken for an enemy. It may exchange names, links and mounts at any moment; it must not lead us
//! to anything that it could not reach itself, nor keep us waiting.
//!
//! Overlays are not among them: what they show lies in their layers, and is looked at there.

mod label;
mod meet;
mod reach;

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use rustix::fs::{AtFlags, OFlags, Statx, StatxFlags};
use rustix::io::Errno;
use sys::mounts::Mount;
use sys::place::open_on_mount;

pub(crate) use meet::{Meeting, meet};

/// Before the name of a container, and before the number of a namespace that is none.
const CONTAINER: &str = "container:";
const NAMESPACE: &str = "namespace:";

/// A filesystem that is mounted in other mount namespaces only, at the best of its mounts there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its mount point is the path that it has here.
    pub mount: Mount,
    /// Where its namespace has it mounted.
    pub inside: PathBuf,
    /// That namespace, as [`sys::mounts::Namespace::id`].
    pub namespace: u64,
    /// Whether nobody but root can have made that namespace.
    pub is_of_our_users: bool,
    /// What it is known by, as [`sys::mounts::lasting_name`].
    pub lasting: Vec<u8>,
    /// The device that its files have.
    pub device: u64,
    /// What the kernel's notes call it.
    pub fsid: [u8; 8],
}

/// As mount tables are the kernel's, and there is one of each: what is known of other namespaces is the process's.
static NOW: LazyLock<ArcSwap<Vec<Arc<Elsewhere>>>> = LazyLock::new(ArcSwap::default);
static WAS_LOOKED_FOR: AtomicBool = AtomicBool::new(false);

/// All of them, as they were found last.
pub(crate) fn known() -> Arc<Vec<Arc<Elsewhere>>> {
    NOW.load_full()
}

/// Looks for them now.
pub fn look() -> Arc<Vec<Arc<Elsewhere>>> {
    look_and_tell().0
}

/// As [`look`]; also whether these are certainly all.
pub(crate) fn look_and_tell() -> (Arc<Vec<Arc<Elsewhere>>>, bool) {
    let looked = crate::filesystems::elsewhere();
    let mut found = looked.found;
    if !looked.is_whole {
        let known = known();
        let left_out = still_there(&known, &found, looked.namespaces.as_ref());
        found.extend(left_out);
    }
    set(found);
    (NOW.load_full(), looked.is_whole)
}

/// What was known and not found again by a look that left something out: all but what was found elsewhere, and what was in
/// namespaces that are gone.
fn still_there(
    known: &[Arc<Elsewhere>],
    found: &[Arc<Elsewhere>],
    namespaces: Option<&BTreeSet<u64>>,
) -> Vec<Arc<Elsewhere>> {
    let is_found = |there: &Elsewhere| {
        let is_it = |other: &Arc<Elsewhere>| {
            other.lasting == there.lasting || other.mount.device == there.mount.device
        };
        found.iter().any(is_it)
    };
    let may_be = |there: &&Arc<Elsewhere>| {
        !is_found(there) && namespaces.is_none_or(|ids| ids.contains(&there.namespace))
    };
    known.iter().filter(may_be).cloned().collect()
}

/// These are all of them, from now on.
pub(crate) fn set(found: Vec<Arc<Elsewhere>>) {
    WAS_LOOKED_FOR.store(true, Ordering::Release);
    NOW.store(Arc::new(found));
}

/// Whether a path is of that kind: it means nothing to the kernel.
pub fn is_elsewhere(path: &Path) -> bool {
    let mut components = path.components();
    let is_rooted = components.next() == Some(Component::RootDir);
    is_rooted
        && matches!(components.next(), Some(Component::Normal(name)) if {
            let name = name.as_encoded_bytes();
            name.starts_with(CONTAINER.as_bytes()) || name.starts_with(NAMESPACE.as_bytes())
        })
}

/// The filesystem that such a path lies on. They are looked for where nobody has done that yet.
pub(crate) fn holding(path: &Path) -> Option<Arc<Elsewhere>> {
    if !is_elsewhere(path) {
        return None;
    }
    let all = if WAS_LOOKED_FOR.load(Ordering::Acquire) { known() } else { look() };
    let over = all.iter().filter(|there| path.starts_with(&there.mount.point));
    over.max_by_key(|there| there.mount.point.components().count()).cloned()
}

/// Opens a directory by a path of that kind, for what `flags` say; `None` when it is an ordinary path.
///
/// # Errors
/// ENOENT when its namespace or its mount is gone; ESTALE when another is there; EXDEV where something is mounted on the
/// way; ELOOP at a link; ETIMEDOUT when it does not answer.
pub(crate) fn directory(path: &Path, flags: OFlags) -> Option<io::Result<OwnedFd>> {
    is_elsewhere(path).then(|| {
        let there = holding(path).ok_or(Errno::NOENT)?;
        let below = path.strip_prefix(&there.mount.point).map_err(|_| Errno::NOENT)?;
        let root = reach::open(&there)?;
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        open_on_mount(root.as_fd(), below, flags | OFlags::DIRECTORY | OFlags::NOFOLLOW)
    })
}

/// What lies at a path of that kind, without following a link. Nobody but the kernel is asked.
///
/// # Errors
/// As [`directory`].
pub(crate) fn stat(path: &Path) -> io::Result<Statx> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::NOENT.into());
    };
    // A path that is the mount point itself lies on its mount, and not on the one around it.
    if holding(path).is_some_and(|there| there.mount.point == path) {
        let root = directory(path, OFlags::PATH).ok_or(Errno::NOENT)??;
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        return Ok(rustix::fs::statx(&root, c"", flags, StatxFlags::BASIC_STATS)?);
    }
    let parent = directory(parent, OFlags::PATH).ok_or(Errno::NOENT)??;
    let file = open_on_mount(parent.as_fd(), Path::new(name), OFlags::PATH | OFlags::NOFOLLOW)?;
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    Ok(rustix::fs::statx(&file, c"", flags, StatxFlags::BASIC_STATS)?)
}

/// The mount of that number, under the path that it has here.
pub(crate) fn mount_numbered(id: u64) -> Option<Mount> {
    known().iter().find(|there| there.mount.id == id).map(|there| there.mount.clone())
}

/// The path that a file has here which its process, elsewhere, knows by another.
pub(crate) fn as_known_here(device: u64, path: &Path) -> Option<PathBuf> {
    let all = known();
    let there = all.iter().find(|there| there.device == device)?;
    let below = path.strip_prefix(&there.inside).ok()?;
    Some(if below.as_os_str().is_empty() { there.mount.point.clone() } else { there.mount.point.join(below) })
}

impl Elsewhere {
    /// Opens its root, for reading. Let go of it soon.
    ///
    /// # Errors
    /// As [`directory`].
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        reach::open(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_by_its_first_name_that_it_means_nothing_to_the_kernel() {
        for path in ["/container:docker-0123456789ab", "/container:x/tmp/y", "/namespace:4026532567/tmp"] {
            assert!(is_elsewhere(Path::new(path)), "{path}");
        }
        for path in ["/", "/tmp/container:x", "container:x/tmp", "/containers/x", "/namespace", ""] {
            assert!(!is_elsewhere(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn what_a_look_left_out_stays_known_while_its_namespace_is_there() {
        let there = |namespace: u64| {
            let root = sys::mounts::containing(Path::new("/")).unwrap();
            Arc::new(Elsewhere {
                mount: Mount { id: namespace, device: namespace, ..root },
                inside: "/tmp".into(),
                namespace,
                is_of_our_users: true,
                lasting: vec![u8::try_from(namespace).unwrap()],
                device: namespace,
                fsid: [0; 8],
            })
        };
        let known = [there(1), there(2), there(3)];
        let left = |ids: Option<&BTreeSet<u64>>| still_there(&known, &[there(1)], ids);
        assert_eq!(left(Some(&BTreeSet::from([1, 2]))), [there(2)]);
        assert_eq!(left(None), [there(2), there(3)]);
    }

    #[test]
    fn what_is_gone_is_not_there_and_an_ordinary_path_is_not_our_business() {
        assert!(directory(Path::new("/tmp"), OFlags::PATH).is_none());
        let gone = directory(Path::new("/container:no-such/tmp"), OFlags::PATH).unwrap().unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        assert_eq!(stat(Path::new("/container:no-such/x")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
