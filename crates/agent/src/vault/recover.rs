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
use super::home::{Whereabouts, whereabouts};
use super::metadata::Metadata;
use super::place::{Place, directory, open_regular};
use super::records::{Entry, Stage, Way};
use super::refusal::Refusal;
use super::removal::discard;
use super::resting::Resting;
use super::restore::{at_home, fix_again, part_name};
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
    /// It was removed for good.
    Removed,
    /// What would decide it is not there to be looked at. It is looked for again at the next start.
    Unknown,
}

impl Vault {
    /// Brings each copy to one of two ends: in place, or whole in the vault.
    pub(super) fn recover(&self) {
        self.finish(|stage| stage != Stage::Rests);
        self.remove_parts();
        self.compact();
    }

    /// Does so with what a failing disk has left uncertain since the start. For the begin of an act.
    pub fn settle(&self) {
        let _alone = self.alone();
        self.finish(|stage| !matches!(stage, Stage::Rests | Stage::Restored));
    }

    fn finish(&self, is_meant: impl Fn(Stage) -> bool) {
        let interrupted: Vec<Entry> =
            self.records().all().into_iter().filter(|entry| is_meant(entry.stage)).collect();
        for entry in interrupted {
            let (entry, found) = match entry.stage {
                Stage::Rests | Stage::Removed => continue,
                Stage::Removing => {
                    let found = after_removing(&entry.resting);
                    (entry, found)
                }
                Stage::Restored => (entry, Ok(Finding::Restored)),
                Stage::Intended | Stage::Copied | Stage::Returning => match as_of_now(&entry) {
                    Some(now) => {
                        let found = look(&now);
                        // It may have stopped answering meanwhile.
                        let found = if as_of_now(&entry).is_some() { found } else { Ok(Finding::Unknown) };
                        (now, found)
                    }
                    None => (entry, Ok(Finding::Unknown)),
                },
            };
            let (resting, stage) = (&entry.resting, entry.stage);
            let (id, path) = (resting.id, resting.path.display());
            match found {
                Ok(Finding::Rests) => self.rest(id),
                // What a power cut would bring back must not be forgotten.
                Ok(Finding::InPlace) if self.clear(resting).is_ok() => {
                    if let Ok(place) = Place::of(&resting.path) {
                        fix_again(resting, &place, resting.flags);
                    }
                    self.records().give_up(id);
                }
                Ok(Finding::InPlace) => {}
                Ok(Finding::Restored) => {
                    let known =
                        stage == Stage::Restored || self.records().advance(id, Stage::Restored).is_ok();
                    if known && let Err(error) = self.clear(resting) {
                        tracing::warn!(%id, %error, "the vault can't be cleared of what is home");
                    }
                }
                Ok(Finding::Removed) => {
                    let known = self.records().advance(id, Stage::Removed);
                    if let Err(error) = known {
                        tracing::warn!(%id, %error, "the vault's journal can't be written");
                    }
                }
                Ok(Finding::Unknown) => {
                    tracing::warn!(%id, %path, "an interrupted move can't be finished: is its filesystem mounted?");
                }
                Err(error) => tracing::error!(%id, %path, %error, "an interrupted move can't be looked at"),
            }
        }
    }

    /// Forgets, now and then, what left the vault long ago.
    pub(super) fn compact(&self) {
        let compacted = self.records().compact();
        if let Err(error) = compacted {
            tracing::warn!(%error, "the vault's journal can't be rewritten");
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

/// What became of a copy that was on its way in or out.
fn look(entry: &Entry) -> io::Result<Finding> {
    match (entry.stage == Stage::Returning, entry.resting.renamed) {
        (false, true) => after_renaming(&entry.resting),
        (false, false) => after_copying(entry),
        (true, true) => after_renaming_back(entry),
        (true, false) => after_rewriting(entry),
    }
}

/// The entry as of where the copy's filesystem is mounted now. `None` while that can't be told, or does not answer: what
/// can't be reached may lie in place.
fn as_of_now(entry: &Entry) -> Option<Entry> {
    if entry.resting.elsewhere.is_none() {
        return Some(entry.clone());
    }
    let resting = match whereabouts(entry.resting.clone()) {
        Whereabouts::Now(resting) => *resting,
        Whereabouts::Nowhere => return Some(entry.clone()),
        Whereabouts::Unknown => return None,
    };
    directory(&resting.mount).ok()?;
    let name = |way: &Way| Some(resting.path.with_file_name(way.path.file_name()?));
    let way = entry.way.as_ref().and_then(|way| Some(Way { path: name(way)?, ..way.clone() }));
    Some(Entry { resting, way, ..entry.clone() })
}

/// Was it moved? Then what is there is compared, as it would have been.
fn after_renaming(resting: &Resting) -> io::Result<Finding> {
    let Some(holding) = Holding::existing(resting.rests_at.parent().unwrap_or(Path::new("/")))? else {
        return Ok(if in_place(resting)? { Finding::InPlace } else { Finding::Unknown });
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
fn after_copying(entry: &Entry) -> io::Result<Finding> {
    let (resting, stage) = (&entry.resting, entry.stage);
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
    Ok(match (in_place(resting)?, is_whole) {
        (true, _) => Finding::InPlace,
        (false, true) => Finding::Rests,
        // It was whole once: the disk lost it, and forgetting that would hide it.
        (false, false) if stage == Stage::Copied => Finding::Unknown,
        // Its owner has moved it on.
        (false, false) => Finding::InPlace,
    })
}

fn after_renaming_back(entry: &Entry) -> io::Result<Finding> {
    let resting = &entry.resting;
    let Some(holding) = Holding::existing(resting.rests_at.parent().unwrap_or(Path::new("/")))? else {
        return Ok(if at_home(entry)?.is_some() { Finding::Restored } else { Finding::Unknown });
    };
    match open_regular(holding.dir.as_fd(), Path::new(&file_name(resting.id))) {
        Ok(_) => Ok(Finding::Rests),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let place = Place::of(entry.home());
            if let Ok(place) = &place {
                fix_again(resting, place, entry.way.as_ref().map_or(0, |way| way.flags));
            }
            match place {
                Ok(place) => holding.sync_with(&place)?,
                Err(_) => sync_dir(holding.dir.as_fd())?,
            }
            Ok(Finding::Restored)
        }
        Err(error) => Err(error),
    }
}

fn after_rewriting(entry: &Entry) -> io::Result<Finding> {
    let resting = &entry.resting;
    let place = match Place::of(entry.home()) {
        Ok(place) => place,
        Err(Refusal::Io { error, .. }) => return Err(error),
        Err(_) => return Ok(Finding::Rests),
    };
    let _ = rustix::fs::unlinkat(&place.dir, part_name(resting.id), AtFlags::empty());
    if at_home(entry)?.is_none() {
        return Ok(Finding::Rests);
    }
    fix_again(resting, &place, entry.way.as_ref().map_or(0, |way| way.flags));
    sync_dir(place.dir.as_fd())?;
    Ok(Finding::Restored)
}

/// What was meant to be removed is removed: whoever asked was told so, or will be.
fn after_removing(resting: &Resting) -> io::Result<Finding> {
    if open_in_vault(resting).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
        return Ok(Finding::Unknown);
    }
    discard(resting).map_err(|refusal| io::Error::other(refusal.to_string()))?;
    Ok(Finding::Removed)
}

/// Whether the copy lies where it lay, with its content and metadata.
fn in_place(resting: &Resting) -> io::Result<bool> {
    let entry = Entry { resting: resting.clone(), stage: Stage::Intended, way: None, end: None };
    Ok(at_home(&entry)?.is_some())
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
