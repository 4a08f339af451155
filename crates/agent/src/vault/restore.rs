//! Back to where a copy lay, in place of nothing.
//!
//! Names of one inode: those that were renamed are links again by themselves. Of those that were copied, the
//! first to come back brings the content; a later one becomes its hard link if it is in place unchanged, and
//! else a file of its own, because the bytes must always come back.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use model::VaultId;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use sys::place::{link_unnamed, rename_no_replace, set_times_ns, sync_dir};

use super::fresh::{Fresh, holds, read_back};
use super::holding::file_name;
use super::metadata::Metadata;
use super::place::{Place, directory, open_regular};
use super::records::Stage;
use super::refusal::Refusal;
use super::resting::Resting;
use super::{Step, Vault};

impl Vault {
    /// Brings a copy back and says where. When this returns an error, the copy still rests.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    pub fn restore(&self, id: VaultId, step: &mut dyn FnMut(Step)) -> Result<PathBuf, Refusal> {
        let _alone = self.alone();
        let resting = self
            .records()
            .entry(id)
            .filter(|entry| entry.stage == Stage::Rests)
            .map(|entry| entry.resting.clone())
            .ok_or(Refusal::NotResting { id })?;
        let place = way_home(&resting)?;
        let vault_path = resting.rests_at.parent().unwrap_or(&self.dir);
        let opened = Refusal::when("opened", &resting.rests_at);
        let (file, vault) = directory(vault_path)
            .and_then(|vault| Ok((open_regular(vault.as_fd(), file_name(id).as_ref())?, vault)))
            .map_err(opened)?;
        if !holds(&file, &resting.digests).map_err(Refusal::when("read", &resting.rests_at))? {
            return Err(Refusal::Changed { at: resting.rests_at });
        }
        step(Step::RestoreChecked);
        self.records()
            .advance(id, Stage::Returning)
            .map_err(Refusal::when("written down in the vault's journal", &resting.path))?;
        step(Step::RestoreIntended);
        let returned = if resting.renamed {
            // Somebody may have looked at it in the vault.
            let _ = set_times_ns(file.as_fd(), resting.metadata.accessed_ns, resting.metadata.modified_ns);
            rename_no_replace(vault.as_fd(), &file_name(id), place.dir.as_fd(), &place.name)
        } else {
            self.link_to_fellow(&resting, &place)
                .and_then(|linked| if linked { Ok(()) } else { rewrite(&resting, &file, &place, step) })
        };
        if let Err(error) = returned {
            if Errno::from_io_error(&error) == Some(Errno::IO) {
                return Err(Refusal::uncertain("restored", &resting.path)(error));
            }
            self.rest(id);
            return Err(match Errno::from_io_error(&error) {
                Some(Errno::EXIST) => Refusal::Taken { path: resting.path },
                _ => Refusal::Io { doing: "restored", path: resting.path, error },
            });
        }
        step(Step::Returned);
        // What has its name again is whole; if it can't be made durable, the journal must not say that it is.
        if let Err(error) = sync_dir(place.dir.as_fd()).and_then(|()| sync_dir(vault.as_fd())) {
            return Err(Refusal::uncertain("restored", &resting.path)(error));
        }
        step(Step::ReturnSynced);
        let known = self.records().advance(id, Stage::Restored);
        step(Step::Restored);
        match known {
            Ok(()) if !resting.renamed => {
                let _ = rustix::fs::unlinkat(&vault, file_name(id), AtFlags::empty());
                step(Step::Cleared);
            }
            Ok(()) => {}
            // Recovery will find it at home, and clear the vault then.
            Err(error) => {
                tracing::warn!(%id, %error, "the vault's journal can't be written");
                self.records().assume(id, Stage::Restored);
            }
        }
        Ok(resting.path)
    }

    /// Gives the new name to a fellow's inode, if one is home, unchanged, and on this filesystem.
    fn link_to_fellow(&self, resting: &Resting, place: &Place) -> io::Result<bool> {
        let group = resting.link_of.unwrap_or(resting.id);
        let fellows: Vec<Resting> = self
            .records()
            .at(Stage::Restored)
            .filter(|other| other.id == group || other.link_of == Some(group))
            .cloned()
            .collect();
        for fellow in fellows {
            let Ok(Some(file)) = at_home(&fellow) else { continue };
            match link_unnamed(file.as_fd(), place.dir.as_fd(), &place.name) {
                Ok(()) => return Ok(true),
                Err(error) if Errno::from_io_error(&error) == Some(Errno::EXIST) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(false)
    }
}

/// The copy's file, if it is where it lay, with its content and metadata.
pub(super) fn at_home(resting: &Resting) -> io::Result<Option<File>> {
    let Ok(place) = Place::of(&resting.path) else { return Ok(None) };
    let Ok(file) = place.open() else { return Ok(None) };
    let is_like = Metadata::of(file.as_fd())?.is_like(&resting.metadata);
    Ok((is_like && holds(&file, &resting.digests)?).then_some(file))
}

/// The directory that held the copy, or one that is as safe in its place; its name there is free.
fn way_home(resting: &Resting) -> Result<Place, Refusal> {
    let place = Place::of(&resting.path)?;
    let looked = |error| Refusal::Io { doing: "looked at", path: resting.path.clone(), error };
    let parent = place.parent().map_err(looked)?;
    let refused = |reason| {
        let path = resting.path.parent().map(ToOwned::to_owned).unwrap_or_default();
        Err(Refusal::Parent { path, reason })
    };
    if (parent.device, parent.inode) != (resting.parent.device, resting.parent.inode) {
        if place.mount.point != resting.mount {
            return refused("it is on another mount");
        }
        if parent.uid != 0 && parent.uid != resting.parent.uid {
            return refused("it was made anew and belongs to somebody else");
        }
        if place.is_everybodys().map_err(looked)? {
            return refused("it was made anew and everybody may write to it");
        }
    }
    if place.is_taken().map_err(looked)? {
        return Err(Refusal::Taken { path: resting.path.clone() });
    }
    Ok(place)
}

/// The name of a file that is being made anew, where the filesystem has no files without names.
pub(super) fn part_name(id: VaultId) -> OsString {
    format!(".quell-returning-{id}").into()
}

/// A new file with the bytes and all that the old one carried, whole before it has its name.
fn rewrite(resting: &Resting, from: &File, place: &Place, step: &mut dyn FnMut(Step)) -> io::Result<()> {
    let fresh = Fresh::copy(place.dir.as_fd(), part_name(resting.id), from)?;
    read_back(&fresh.file, &resting.digests)?;
    resting.metadata.apply(fresh.file.as_fd())?;
    fresh.file.sync_all()?;
    step(Step::Rewritten);
    fresh.name(&place.name)
}
