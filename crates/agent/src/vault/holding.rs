//! Root-only directories on the filesystems of copies, where a name can be looked at after it was moved.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use model::VaultId;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use sys::mounts::Mount;
use sys::place::{open_on_mount, rename_no_replace, sync_dir};

use super::place::{Place, directory, mount_id};
use crate::elsewhere;

/// The vault at the root of a mount. One beside a copy has its id behind that.
pub(crate) const HOLDING: &str = ".quell-vault";

/// An open holding directory, checked to be ours alone.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) dir: OwnedFd,
    pub(super) path: PathBuf,
    outer: OwnedFd,
    name: OsString,
}

impl Holding {
    /// The one at the root of `mount`, made if it is missing. `None` when it would not be safe there: others
    /// could move it away, or something else bears its name.
    pub(super) fn at_root(mount: &Mount) -> io::Result<Option<Self>> {
        let outer = directory(&mount.point)?;
        if mount_id(outer.as_fd())? != mount.id {
            return Ok(None);
        }
        let stat = rustix::fs::fstat(&outer)?;
        let others_may_move_names = stat.st_mode & 0o022 != 0 && stat.st_mode & 0o1000 == 0;
        if stat.st_uid != us() || others_may_move_names {
            return Ok(None);
        }
        match rustix::fs::mkdirat(&outer, HOLDING, Mode::RWXU) {
            Ok(()) => sync_dir(outer.as_fd())?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        Self::open(outer, HOLDING.into(), &mount.point)
    }

    /// A new one beside a copy, for the moment in which it is compared and removed.
    pub(super) fn beside(place: &Place, id: VaultId) -> io::Result<Option<Self>> {
        let name = beside_name(id);
        rustix::fs::mkdirat(&place.dir, &name, Mode::RWXU)?;
        let made = sync_dir(place.dir.as_fd()).and_then(|()| {
            Self::open(place.dir.try_clone()?, name.clone(), place.path.parent().unwrap_or(Path::new("/")))
        });
        if !matches!(made, Ok(Some(_))) {
            let _ = rustix::fs::unlinkat(&place.dir, &name, AtFlags::REMOVEDIR);
        }
        made
    }

    /// One that was made before, at this path.
    pub(super) fn existing(path: &Path) -> io::Result<Option<Self>> {
        let (Some(outer), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        match directory(outer).and_then(|dir| Self::open(dir, name.to_owned(), outer)) {
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::NOTDIR)) => {
                Ok(None)
            }
            outcome => outcome,
        }
    }

    /// Where a copy in `place` may have been held while it was copied.
    pub(super) fn candidates(mount: &Path, copy: &Path, id: VaultId) -> [PathBuf; 2] {
        [mount.join(HOLDING), copy.with_file_name(beside_name(id))]
    }

    /// Removes the directory when nothing is in it.
    pub(super) fn discard(self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.outer, &self.name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Puts what is held as `id` back where it came from: under its own name, or under one beside it when
    /// that was taken meanwhile (then `Some`). Nothing is replaced. The move back is not durable yet.
    pub(super) fn give_back(&self, id: VaultId, place: &Place) -> io::Result<Option<PathBuf>> {
        let held = file_name(id);
        let mut beside = place.name.clone();
        beside.push(format!(".quell-returned-{id}"));
        // The long name may be longer than a name can be.
        let names = [place.name.clone(), beside, format!("quell-returned-{id}").into()];
        let mut outcome = Ok(());
        for name in &names {
            outcome = rename_no_replace(self.dir.as_fd(), &held, place.dir.as_fd(), name);
            if outcome.is_ok() {
                return Ok((*name != place.name).then(|| place.path.with_file_name(name)));
            }
        }
        outcome.map(|()| None)
    }

    /// Makes what was moved between here and `place` durable.
    pub(super) fn sync_with(&self, place: &Place) -> io::Result<()> {
        sync_dir(self.dir.as_fd()).and_then(|()| sync_dir(place.dir.as_fd()))
    }

    fn open(outer: OwnedFd, name: OsString, point: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        // Nothing can be renamed into another mount, and that may be of somebody who never answers.
        let dir = match open_on_mount(outer.as_fd(), Path::new(&name), flags) {
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::LOOP | Errno::NOTDIR | Errno::XDEV)
                ) =>
            {
                return Ok(None);
            }
            outcome => outcome?,
        };
        let stat = rustix::fs::fstat(&dir)?;
        let is_ours = stat.st_uid == us() && stat.st_mode & 0o077 == 0;
        let path = point.join(&name);
        Ok(is_ours.then_some(Self { dir, path, outer, name }))
    }
}

/// The name of a copy in a vault.
pub(super) fn file_name(id: VaultId) -> OsString {
    id.to_string().into()
}

/// Whether a directory is a holding directory: nothing in them is a copy to be found. The name alone proves
/// nothing, since anybody could hide copies behind it: it must be ours, and closed to all others.
pub(crate) fn is_holding(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let named = |name: &OsStr| name.as_encoded_bytes().starts_with(HOLDING.as_bytes());
    if !directory.file_name().is_some_and(named) {
        return false;
    }
    if elsewhere::is_elsewhere(directory) {
        // None of ours stays there for longer than a copy takes, and whoever rules there could make one.
        return false;
    }
    std::fs::symlink_metadata(directory)
        .is_ok_and(|stat| stat.is_dir() && stat.uid() == us() && stat.mode() & 0o077 == 0)
}

fn beside_name(id: VaultId) -> OsString {
    format!("{HOLDING}-{id}").into()
}

/// Removes the vault at the root of a mount, if one of ours is there and nothing rests in it. Says where it was, or why
/// it stays.
pub(crate) fn remove_at(point: &Path) -> Result<Option<PathBuf>, (PathBuf, io::Error)> {
    let path = point.join(HOLDING);
    let Ok(Some(holding)) = Holding::existing(&path) else { return Ok(None) };
    match rustix::fs::unlinkat(&holding.outer, &holding.name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(Some(path)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err((path, error.into())),
    }
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn place(dir: &tempfile::TempDir) -> Place {
        Place::of(&dir.path().canonicalize().unwrap().join("file")).unwrap()
    }

    #[test]
    fn what_others_can_enter_or_own_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(&dir);
        let holding = Holding::beside(&place, VaultId::random()).unwrap().unwrap();
        let path = holding.path.clone();
        assert!(Holding::existing(&path).unwrap().is_some());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Holding::existing(&path).unwrap().is_none());
        holding.discard().unwrap();
        assert!(Holding::existing(&path).unwrap().is_none());
        std::os::unix::fs::symlink("/", &path).unwrap();
        assert!(Holding::existing(&path).unwrap().is_none());
    }

    #[test]
    fn what_is_given_back_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(&dir);
        let id = VaultId::random();
        let holding = Holding::beside(&place, id).unwrap().unwrap();
        let hold = |content: &str| std::fs::write(holding.path.join(id.to_string()), content).unwrap();
        hold("one");
        assert_eq!(holding.give_back(id, &place).unwrap(), None);
        hold("two");
        let at = holding.give_back(id, &place).unwrap().unwrap();
        assert_eq!(std::fs::read(&place.path).unwrap(), b"one");
        assert_eq!(std::fs::read(at).unwrap(), b"two");
        hold("three");
        let at = holding.give_back(id, &place).unwrap().unwrap();
        assert_eq!(std::fs::read(at).unwrap(), b"three");
    }
}
