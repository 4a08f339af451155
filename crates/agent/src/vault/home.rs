//! The way home of a copy: the directory that held it, or one that is as safe in its place.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use sys::mounts::{Tree, is_local};

use super::place::{Place, mount_id};
use super::refusal::Refusal;
use super::resting::{Parent, Resting};
use crate::elsewhere::{self, Elsewhere};
use crate::filesystems::local;

/// A directory tree is not deeper; a path of 4,096 bytes has no more names.
const DEEPEST: usize = 4096;

/// Opens the directory and makes sure that nobody leads us astray: it is the one that held the copy, and whose it was;
/// or neither it nor a directory above it is in the hands of others than root and its former owner.
pub(super) fn way_home(resting: &Resting) -> Result<Place, Refusal> {
    if elsewhere::is_elsewhere(&resting.path) && elsewhere::holding(&resting.path).is_none() {
        return Err(Refusal::Away { path: resting.path.clone() });
    }
    let place = Place::of(&resting.path)?;
    let looked = |error| Refusal::Io { doing: "looked at", path: resting.path.clone(), error };
    let (now, then) = (place.parent().map_err(looked)?, &resting.parent);
    let refused = |reason| {
        let path = resting.path.parent().map(ToOwned::to_owned).unwrap_or_default();
        Err(Refusal::Parent { path, reason })
    };
    if (now.device, now.inode, &now.handle) == (then.device, then.inode, &then.handle) {
        // Directories change hands.
        return if is_safe(&now, then) { Ok(place) } else { refused("it belongs to somebody else now") };
    }
    if place.mount.point != resting.mount {
        return refused("it is on another mount");
    }
    if !is_safe(&now, then) {
        return refused("it was made anew and belongs to somebody else");
    }
    if others_may_write(&now, then)
        || (now.mode & 0o020 != 0 && has_acl(place.dir.as_fd()).map_err(looked)?)
    {
        return refused("it was made anew and others may write to it");
    }
    if !is_led_to_safely(&place, then).map_err(looked)? {
        return refused("it was made anew, in a directory that others may write to");
    }
    Ok(place)
}

/// Where the filesystem of a copy is.
#[derive(Debug)]
pub(super) enum Whereabouts {
    /// The copy as of where its filesystem is mounted now.
    Now(Box<Resting>),
    /// It is mounted nowhere.
    Nowhere,
    /// Not everything that is mounted could be looked at.
    Unknown,
}

/// The copy as of where its filesystem is mounted now: in the same container or in another, or here. Where it was mounted
/// here when the copy was taken, it is as it was.
pub(super) fn where_it_is_now(resting: Resting) -> Result<Resting, Refusal> {
    let away = Refusal::Away { path: resting.path.clone() };
    match whereabouts(resting) {
        Whereabouts::Now(resting) => Ok(*resting),
        Whereabouts::Nowhere | Whereabouts::Unknown => Err(away),
    }
}

/// Where a copy's filesystem is now, and whether it is certain that it is nowhere.
pub(super) fn whereabouts(resting: Resting) -> Whereabouts {
    let Some((lasting, root)) = resting.elsewhere.clone() else { return Whereabouts::Now(Box::new(resting)) };
    let Ok(below) = resting.path.strip_prefix(&resting.mount) else { return Whereabouts::Unknown };
    let inside = root.join(below);
    let at = |point: &Path, root: &Path| Some(point.join(inside.strip_prefix(root).ok()?));
    let ways_of = |all: &[Arc<Elsewhere>]| -> Vec<(PathBuf, PathBuf)> {
        let it = all.iter().filter(|there| there.lasting == lasting && is_there(there));
        it.map(|there| (there.mount.point.clone(), there.mount.root.clone())).collect()
    };
    let mut ways = ways_of(&elsewhere::known());
    let mut is_certain = true;
    if ways.is_empty() {
        // What is known of other namespaces may be old.
        let (all, is_whole) = elsewhere::look_and_tell();
        (ways, is_certain) = (ways_of(&all), is_whole);
    }
    if ways.is_empty() {
        let own = sys::mounts::current();
        is_certain &= own.is_ok();
        let tree = Tree::new(own.unwrap_or_default());
        let here = local(&tree);
        is_certain &= tree.mounts().iter().all(|mount| !is_local(mount) || here.contains_key(&mount.device));
        for mount in here.into_values().filter_map(|ways| ways.first().copied()) {
            match sys::mounts::open(mount).and_then(|root| sys::mounts::lasting_name(root.as_fd())) {
                Ok(named) if named == lasting => ways.push((mount.point.clone(), mount.root.clone())),
                Ok(_) => {}
                Err(_) => is_certain = false,
            }
        }
    }
    ways.sort_by_key(|(point, _)| *point != resting.mount);
    let found = ways.iter().find_map(|(point, root)| Some((at(point, root)?, point.clone())));
    match found {
        Some((path, mount)) => Whereabouts::Now(Box::new(Resting { path, mount, ..resting })),
        None if ways.is_empty() && is_certain => Whereabouts::Nowhere,
        None => Whereabouts::Unknown,
    }
}

/// Whether it is still mounted there. One that does not answer may be.
fn is_there(there: &Elsewhere) -> bool {
    let gone = [Errno::NOENT, Errno::NOTDIR, Errno::STALE, Errno::INVAL, Errno::LOOP];
    let error = there.open().err().and_then(|error| Errno::from_io_error(&error));
    error.is_none_or(|errno| !gone.contains(&errno))
}

/// The names under which a copy may come back, in the order in which they are tried. A long one may be too long.
pub(super) fn names(resting: &Resting, beside: bool) -> Vec<OsString> {
    let own = resting.path.file_name().unwrap_or_default().to_owned();
    if !beside {
        return vec![own];
    }
    let mut long = own.clone();
    long.push(format!(".quell-restored-{}", resting.id));
    vec![own, long, format!("quell-restored-{}", resting.id).into()]
}

fn is_safe(now: &Parent, then: &Parent) -> bool {
    now.uid == 0 || now.uid == then.uid
}

/// Others than its owner may put names into it, who could not before. Where names are their owners' alone (sticky),
/// anybody may.
fn others_may_write(now: &Parent, then: &Parent) -> bool {
    let everybody = now.mode & 0o002 != 0 && now.mode & 0o1000 == 0;
    let was_the_groups = then.mode & 0o020 != 0 && then.gid == now.gid;
    let group = now.mode & 0o020 != 0 && now.mode & 0o1000 == 0 && now.gid != 0 && !was_the_groups;
    everybody || group
}

/// The group's bits then tell what the strongest of all who are named may do.
fn has_acl(dir: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(sys::place::xattrs(dir)?.iter().any(|(name, _)| name == "system.posix_acl_access"))
}

/// Whether nobody but root and the former owner could have exchanged a directory on the way from the root of the mount.
fn is_led_to_safely(place: &Place, then: &Parent) -> io::Result<bool> {
    let mut dir: OwnedFd = place.dir.try_clone()?;
    for _ in 0..DEEPEST {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // What the mount is mounted on is not looked at.
        let above = match rustix::fs::openat2(&dir, c"..", flags, Mode::empty(), ResolveFlags::NO_XDEV) {
            Err(Errno::XDEV) => return Ok(true),
            above => above?,
        };
        let (inner, outer) = (rustix::fs::fstat(&dir)?, rustix::fs::fstat(&above)?);
        let is_root = (inner.st_dev, inner.st_ino) == (outer.st_dev, outer.st_ino);
        if is_root || mount_id(above.as_fd())? != place.mount.id {
            return Ok(true);
        }
        let is_theirs = outer.st_uid != 0 && outer.st_uid != then.uid;
        let writable = outer.st_mode & 0o002 != 0 || (outer.st_mode & 0o020 != 0 && outer.st_gid != 0);
        let may_exchange = writable && outer.st_mode & 0o1000 == 0;
        if is_theirs || may_exchange {
            return Ok(false);
        }
        dir = above;
    }
    Ok(false)
}
