//! The way home of a copy: the directory that held it, or one that is as safe in its place.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::place::{Place, mount_id};
use super::refusal::Refusal;
use super::resting::{Parent, Resting};

/// A directory tree is not deeper; a path of 4,096 bytes has no more names.
const DEEPEST: usize = 4096;

/// Opens the directory and makes sure that nobody leads us astray: it is the one that held the copy, and whose it was;
/// or neither it nor a directory above it is in the hands of others than root and its former owner.
pub(super) fn way_home(resting: &Resting) -> Result<Place, Refusal> {
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
        let above = rustix::fs::openat(&dir, c"..", flags, Mode::empty())?;
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
