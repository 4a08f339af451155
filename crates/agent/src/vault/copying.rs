//! Into the vault by copying: from filesystems that are gone with the power, and where nothing can be
//! renamed. The original is removed only after its bytes were read back from the data directory's disk, and
//! only in a directory where no other file can have taken its name.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use model::VaultId;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use sys::place::sync_dir;

use super::fresh::{Fresh, read_back};
use super::held::Held;
use super::holding::{Holding, file_name};
use super::place::{directory, open_regular};
use super::records::Stage;
use super::refusal::Refusal;
use super::resting::Resting;
use super::take::loosen;
use super::{Step, Vault};

/// Behind the name of a file that is not whole yet, where the filesystem has no files without names.
pub(super) const PART: &str = ".part";

impl Vault {
    pub(super) fn take_by_copying(
        &self,
        held: &Held,
        step: &mut dyn FnMut(Step),
    ) -> Result<VaultId, Refusal> {
        let id = held.resting.id;
        let rests_at = self.dir.join(file_name(id));
        let doing = "copied into the vault";
        let dir = directory(&self.dir).map_err(Refusal::when(doing, &held.resting.path))?;
        self.intend(Resting { renamed: false, rests_at, ..held.resting.clone() })?;
        step(Step::Intended);
        loosen(held);
        let outcome = self
            .copy(held, dir.as_fd(), step)
            .map_err(|error| held.explain(doing, error))
            .and_then(|()| self.remove_original(held, step));
        match outcome {
            Ok(()) => {
                self.rest(id);
                step(Step::Rests);
                Ok(id)
            }
            Err(refusal) => {
                if refusal.is_certain() {
                    let _ = rustix::fs::unlinkat(&dir, file_name(id), AtFlags::empty());
                    // What a power cut would bring back must not be forgotten.
                    let cleared = sync_dir(dir.as_fd()).and_then(|()| sync_dir(held.place.dir.as_fd()));
                    if cleared.is_ok() {
                        self.records().give_up(id);
                    }
                }
                Err(refusal)
            }
        }
    }

    /// Until the journal knows that the vault has all of it.
    fn copy(&self, held: &Held, dir: BorrowedFd<'_>, step: &mut dyn FnMut(Step)) -> io::Result<()> {
        let name = file_name(held.resting.id);
        // Names of one inode share their bytes here too; each can leave without the others.
        let first = held.resting.link_of.map(file_name);
        let linked =
            first.is_some_and(|first| rustix::fs::linkat(dir, &first, dir, &name, AtFlags::empty()).is_ok());
        if !linked {
            let mut part = name.clone();
            part.push(PART);
            let fresh = Fresh::copy(dir, part, &held.file)?;
            step(Step::Written);
            fresh.name(&name)?;
        }
        sync_dir(dir)?;
        step(Step::Named);
        read_back(&open_regular(dir, Path::new(&name))?, &held.resting.digests)?;
        self.records().advance(held.resting.id, Stage::Copied)?;
        step(Step::Copied);
        Ok(())
    }

    fn remove_original(&self, held: &Held, step: &mut dyn FnMut(Step)) -> Result<(), Refusal> {
        let holding = self.hold(held, step)?;
        let removed = rustix::fs::unlinkat(&holding.dir, file_name(held.resting.id), AtFlags::empty());
        if let Err(error) = removed {
            let refusal = held.explain("removed", error.into());
            return Err(self.give_back(held, &holding, |_| refusal));
        }
        step(Step::Removed);
        let synced = sync_dir(holding.dir.as_fd());
        let discarded = holding.discard();
        // Otherwise the copy is whole in the vault, and a power cut may bring the original back.
        synced
            .and(discarded)
            .and_then(|()| sync_dir(held.place.dir.as_fd()))
            .map_err(Refusal::uncertain("removed", &held.resting.path))?;
        step(Step::Synced);
        Ok(())
    }

    /// Moves the original into a root-only directory: at the mount's root, or beside it if need be.
    fn hold(&self, held: &Held, step: &mut dyn FnMut(Step)) -> Result<Holding, Refusal> {
        if let Ok(Some(holding)) = Holding::at_root(&held.place.mount) {
            match self.move_and_compare(held, &holding, step) {
                Ok(()) => return Ok(holding),
                Err(Refusal::Io { error, .. })
                    if matches!(Errno::from_io_error(&error), Some(Errno::XDEV | Errno::INVAL)) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        let holding = Holding::beside(&held.place, held.resting.id)
            .and_then(|holding| holding.ok_or_else(|| io::ErrorKind::PermissionDenied.into()))
            .map_err(|error| held.explain("moved", error))?;
        match self.move_and_compare(held, &holding, step) {
            Ok(()) => Ok(holding),
            Err(refusal) => {
                let _ = holding.discard();
                Err(refusal)
            }
        }
    }
}
