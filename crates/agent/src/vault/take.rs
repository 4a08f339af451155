//! Into the vault by renaming: no byte is copied, the inode keeps everything it has.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use model::VaultId;
use rustix::io::Errno;
use sys::place::rename_no_replace;

use super::held::{Found, Held, Taking};
use super::holding::{Holding, file_name};
use super::place::open_regular;
use super::records::Stage;
use super::refusal::Refusal;
use super::resting::Resting;
use super::{Step, Vault, fixed};
use crate::elsewhere;

impl Vault {
    /// Moves a copy into the vault. When this returns an error, the copy is where it was, unless the error says that
    /// this is uncertain.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    pub fn take(&self, copy: Found, why: Taking, step: &mut dyn FnMut(Step)) -> Result<VaultId, Refusal> {
        let _alone = self.alone();
        let mut held = Held::of(copy, why, self.clock.now(), &self.vouched)?;
        held.resting.link_of = self.first_name_of(&held.resting);
        held.make_durable()?;
        step(Step::Checked);
        let taken = self.take_held(&held, step);
        // It is in place again: as fixed as it was.
        if taken.as_ref().is_err_and(|refusal| !matches!(refusal, Refusal::Stranded { .. }))
            && let Err(error) = fixed::put_back(held.file.as_fd(), held.resting.flags)
        {
            let path = held.resting.path.display();
            tracing::warn!(%path, %error, "a file that stays where it is has lost its immutable flag");
        }
        taken
    }

    fn take_held(&self, held: &Held, step: &mut dyn FnMut(Step)) -> Result<VaultId, Refusal> {
        // Root in a container can enter a vault there, and what lies in it is gone with the container.
        if !sys::mounts::is_volatile(&held.place.mount) && !elsewhere::is_elsewhere(&held.place.path) {
            let holding =
                Holding::at_root(&held.place.mount).map_err(|error| held.explain("moved", error))?;
            if let Some(holding) = holding
                && let Some(id) = self.take_by_renaming(held, &holding, step)?
            {
                return Ok(id);
            }
        }
        self.take_by_copying(held, step)
    }

    /// `None` when nothing can be renamed from there to the vault of its mount; nothing was changed then.
    fn take_by_renaming(
        &self,
        held: &Held,
        holding: &Holding,
        step: &mut dyn FnMut(Step),
    ) -> Result<Option<VaultId>, Refusal> {
        let id = held.resting.id;
        let rests_at = holding.path.join(file_name(id));
        self.intend(Resting { renamed: true, rests_at, ..held.resting.clone() })?;
        step(Step::Intended);
        loosen(held);
        match self.move_and_compare(held, holding, step) {
            Ok(()) => {}
            // Within one mount: project quotas, encryption policies, filesystems that can't promise not to
            // replace.
            Err(Refusal::Io { error, .. })
                if matches!(Errno::from_io_error(&error), Some(Errno::XDEV | Errno::INVAL)) =>
            {
                self.records().give_up(id);
                return Ok(None);
            }
            Err(refusal) => {
                // What is not certain is looked at by recovery.
                if refusal.is_certain() {
                    self.records().give_up(id);
                }
                return Err(refusal);
            }
        }
        let path = &held.resting.path;
        holding.sync_with(&held.place).map_err(Refusal::uncertain("in the vault", path))?;
        step(Step::Synced);
        self.rest(id);
        step(Step::Rests);
        Ok(Some(id))
    }

    /// Moves the name into the root-only directory, where nobody can swap it any more, and looks what it
    /// is. Anything but the copy that was hashed goes back.
    pub(super) fn move_and_compare(
        &self,
        held: &Held,
        holding: &Holding,
        step: &mut dyn FnMut(Step),
    ) -> Result<(), Refusal> {
        let (place, id) = (&held.place, held.resting.id);
        let name = file_name(id);
        rename_no_replace(place.dir.as_fd(), &place.name, holding.dir.as_fd(), &name).map_err(|error| {
            match Errno::from_io_error(&error) {
                Some(Errno::NOENT) => Refusal::Gone {
                    path: held.resting.path.clone(),
                    reason: "its name was taken away meanwhile",
                },
                Some(Errno::IO) => Refusal::uncertain("in the vault", &held.resting.path)(error),
                _ => held.explain("moved", error),
            }
        })?;
        step(Step::Moved);
        let path = held.resting.path.clone();
        let moved =
            open_regular(holding.dir.as_fd(), Path::new(&name)).and_then(|moved| held.is(moved.as_fd()));
        match moved {
            Ok(true) => {}
            Err(error) if Errno::from_io_error(&error).is_some_and(|errno| errno != Errno::LOOP) => {
                return Err(self.give_back(held, holding, |_| Refusal::Io {
                    doing: "looked at",
                    path,
                    error,
                }));
            }
            _ => return Err(self.give_back(held, holding, |returned| Refusal::Swapped { path, returned })),
        }
        if !held.kept_writers_out() {
            return Err(self.give_back(held, holding, |_| Refusal::Busy { path }));
        }
        step(Step::Compared);
        Ok(())
    }

    /// Puts back what was moved and can't stay, and says why it can't.
    pub(super) fn give_back(
        &self,
        held: &Held,
        holding: &Holding,
        refusal: impl FnOnce(Option<PathBuf>) -> Refusal,
    ) -> Refusal {
        match holding.give_back(held.resting.id, &held.place) {
            Ok(returned) => match holding.sync_with(&held.place) {
                Ok(()) => refusal(returned),
                Err(error) => Refusal::uncertain("back in its place", &held.resting.path)(error),
            },
            Err(error) => Refusal::Stranded {
                path: held.resting.path.clone(),
                at: holding.path.join(file_name(held.resting.id)),
                error,
            },
        }
    }

    pub(super) fn intend(&self, resting: Resting) -> Result<(), Refusal> {
        let path = resting.path.clone();
        self.records().intend(resting).map_err(Refusal::when("written down in the vault's journal", &path))
    }

    /// The copy is whole in the vault, whether or not the journal can say so: the intent is there, and
    /// recovery comes to the same end by looking.
    pub(super) fn rest(&self, id: VaultId) {
        let mut records = self.records();
        if let Err(error) = records.advance(id, Stage::Rests) {
            tracing::warn!(%id, %error, "the vault's journal can't be written");
            records.assume(id, Stage::Rests);
        }
    }

    /// The copy of this act that is another name of the same inode.
    ///
    /// Its number alone could have been given to a new file, hence the comparison of all that links share.
    fn first_name_of(&self, resting: &Resting) -> Option<VaultId> {
        let records = self.records();
        let fellow = records.at(Stage::Rests).find(|other| {
            (other.act, other.device, other.inode) == (resting.act, resting.device, resting.inode)
                && other.digests == resting.digests
                && other.metadata.is_like(&resting.metadata)
        })?;
        Some(fellow.link_of.unwrap_or(fellow.id))
    }
}

/// After the intent, which knows the flags. What can't be cleared shows itself when the copy is moved.
pub(super) fn loosen(held: &Held) {
    if held.resting.flags != 0 {
        let _ = fixed::clear(held.file.as_fd());
    }
}
