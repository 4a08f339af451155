//! What a crash left undone: finished or undone by looking at what is there.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use sys::place::sync_dir;

use super::Vault;
use super::copying::PART;
use super::fresh::holds;
use super::holding::{Holding, file_name};
use super::metadata::Metadata;
use super::place::{Place, directory, open_regular};
use super::records::{Entry, Stage};
use super::refusal::Refusal;
use super::resting::Resting;
use super::restore::{at_home, part_name};
use crate::digest::{Unsteady, hash_steadily};

/// How long a writer may still take who came while nobody kept it out.
const PATIENCE: Duration = Duration::from_millis(100);

/// What became of an interrupted copy.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    /// It is whole in the vault.
    Rests,
    /// It is where it lay, or its owner has moved it on: it was not taken.
    InPlace,
    /// It came back.
    Restored,
    /// What would decide it is not there to be looked at. It is looked for again at the next start.
    Unknown,
}

impl Vault {
    /// Brings each copy to one of two ends: in place, or whole in the vault.
    pub(super) fn recover(&self) {
        self.finish(|stage| stage != Stage::Rests);
        self.remove_parts();
        let compacted = self.records().compact();
        if let Err(error) = compacted {
            tracing::warn!(%error, "the vault's journal can't be rewritten");
        }
    }

    /// Does so with what a failing disk has left uncertain since the start. For the begin of an act.
    pub fn settle(&self) {
        let _alone = self.alone();
        self.finish(|stage| !matches!(stage, Stage::Rests | Stage::Restored));
    }

    fn finish(&self, is_meant: impl Fn(Stage) -> bool) {
        let interrupted: Vec<Entry> =
            self.records().all().into_iter().filter(|entry| is_meant(entry.stage)).collect();
        for Entry { resting, stage } in interrupted {
            let found = match (stage, resting.renamed) {
                (Stage::Rests, _) => continue,
                (Stage::Restored, _) => Ok(Finding::Restored),
                (Stage::Intended | Stage::Copied, true) => after_renaming(&resting),
                (Stage::Intended | Stage::Copied, false) => after_copying(&resting, stage),
                (Stage::Returning, true) => after_renaming_back(&resting),
                (Stage::Returning, false) => after_rewriting(&resting),
            };
            let (id, path) = (resting.id, resting.path.display());
            match found {
                Ok(Finding::Rests) => self.rest(id),
                // What a power cut would bring back must not be forgotten.
                Ok(Finding::InPlace) if self.clear(&resting).is_ok() => self.records().give_up(id),
                Ok(Finding::InPlace) => {}
                Ok(Finding::Restored) => {
                    let known =
                        stage == Stage::Restored || self.records().advance(id, Stage::Restored).is_ok();
                    if known && let Err(error) = self.clear(&resting) {
                        tracing::warn!(%id, %error, "the vault can't be cleared of what is home");
                    }
                }
                Ok(Finding::Unknown) => {
                    tracing::warn!(%id, %path, "an interrupted move can't be finished: is its filesystem mounted?");
                }
                Err(error) => tracing::error!(%id, %path, %error, "an interrupted move can't be looked at"),
            }
        }
    }

    /// Removes the vault's copy of what is elsewhere: durable when it returns.
    fn clear(&self, resting: &Resting) -> io::Result<()> {
        if resting.renamed {
            return Ok(());
        }
        let dir = directory(&self.dir)?;
        match rustix::fs::unlinkat(&dir, file_name(resting.id), AtFlags::empty()) {
            Err(Errno::NOENT) => {}
            outcome => outcome?,
        }
        sync_dir(dir.as_fd())
    }

    fn remove_parts(&self) {
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().ends_with(PART.as_bytes()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Was it moved? Then what is there is compared, as it would have been.
fn after_renaming(resting: &Resting) -> io::Result<Finding> {
    let Some(holding) = Holding::existing(resting.rests_at.parent().unwrap_or(Path::new("/")))? else {
        return Ok(if at_home(resting)?.is_some() { Finding::InPlace } else { Finding::Unknown });
    };
    match open_regular(holding.dir.as_fd(), Path::new(&file_name(resting.id))) {
        // Moved back, perhaps, a moment before.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            sync_with_home(&holding, resting).map(|()| Finding::InPlace)
        }
        // Whatever it is by inode: a file of this content is a copy.
        Ok(file) if is_still(&file, resting)? => sync_with_home(&holding, resting).map(|()| Finding::Rests),
        Err(error) if Errno::from_io_error(&error).is_some() => Err(error),
        _ => give_back(&holding, resting).map(|()| Finding::InPlace),
    }
}

/// The vault may have a part of it or all, and the original may be in three places.
fn after_copying(resting: &Resting, stage: Stage) -> io::Result<Finding> {
    let is_whole = match open_in_vault(resting) {
        Ok(file) => holds(&file, &resting.digests)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    for candidate in Holding::candidates(&resting.mount, &resting.path, resting.id) {
        let Some(holding) = Holding::existing(&candidate)? else { continue };
        match open_regular(holding.dir.as_fd(), Path::new(&file_name(resting.id))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(file) if is_whole && is_meant(&file, resting)? => {
                rustix::fs::unlinkat(&holding.dir, file_name(resting.id), AtFlags::empty())?;
            }
            Err(error) if Errno::from_io_error(&error).is_some() => return Err(error),
            _ => give_back(&holding, resting)?,
        }
        sync_dir(holding.dir.as_fd())?;
        holding.discard()?;
    }
    if let Ok(place) = Place::of(&resting.path) {
        sync_dir(place.dir.as_fd())?;
    }
    Ok(match (at_home(resting)?.is_some(), is_whole) {
        (true, _) => Finding::InPlace,
        (false, true) => Finding::Rests,
        // It was whole once: the disk lost it, and forgetting that would hide it.
        (false, false) if stage == Stage::Copied => Finding::Unknown,
        // Its owner has moved it on.
        (false, false) => Finding::InPlace,
    })
}

fn after_renaming_back(resting: &Resting) -> io::Result<Finding> {
    let Some(holding) = Holding::existing(resting.rests_at.parent().unwrap_or(Path::new("/")))? else {
        return Ok(if at_home(resting)?.is_some() { Finding::Restored } else { Finding::Unknown });
    };
    match open_regular(holding.dir.as_fd(), Path::new(&file_name(resting.id))) {
        Ok(_) => Ok(Finding::Rests),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            sync_with_home(&holding, resting).map(|()| Finding::Restored)
        }
        Err(error) => Err(error),
    }
}

fn after_rewriting(resting: &Resting) -> io::Result<Finding> {
    let Ok(place) = Place::of(&resting.path) else { return Ok(Finding::Rests) };
    let _ = rustix::fs::unlinkat(&place.dir, part_name(resting.id), AtFlags::empty());
    if at_home(resting)?.is_none() {
        return Ok(Finding::Rests);
    }
    sync_dir(place.dir.as_fd())?;
    Ok(Finding::Restored)
}

/// Whether a file that was moved has the content that was meant, and nobody is writing to it.
fn is_still(file: &File, resting: &Resting) -> io::Result<bool> {
    match hash_steadily(file.as_fd(), PATIENCE) {
        Ok(hashed) => Ok(hashed.digests == resting.digests),
        Err(Unsteady::Unreadable(error)) => Err(error),
        Err(Unsteady::Busy | Unsteady::Changed) => Ok(false),
    }
}

/// Makes what was moved between the vault and a copy's directory durable, if that is still there.
fn sync_with_home(holding: &Holding, resting: &Resting) -> io::Result<()> {
    match Place::of(&resting.path) {
        Ok(place) => holding.sync_with(&place),
        Err(_) => sync_dir(holding.dir.as_fd()),
    }
}

fn is_meant(file: &File, resting: &Resting) -> io::Result<bool> {
    Ok(rustix::fs::fstat(file)?.st_ino == resting.inode
        && Metadata::of(file.as_fd())?.is_like(&resting.metadata)
        && is_still(file, resting)?)
}

fn open_in_vault(resting: &Resting) -> io::Result<File> {
    let dir = directory(resting.rests_at.parent().unwrap_or(Path::new("/")))?;
    open_regular(dir.as_fd(), Path::new(&file_name(resting.id)))
}

fn give_back(holding: &Holding, resting: &Resting) -> io::Result<()> {
    let place = Place::of(&resting.path).map_err(|refusal: Refusal| io::Error::other(refusal.to_string()))?;
    if let Some(at) = holding.give_back(resting.id, &place)? {
        tracing::warn!(path = %resting.path.display(), at = %at.display(), "a file was put back beside its name");
    }
    holding.sync_with(&place)
}
