//! Back to where a copy lay, in place of nothing.
//!
//! Names of one inode: those that were renamed are links again by themselves. Of those that were copied, the
//! first to come back brings the content; a later one becomes its hard link if it is in place unchanged, and
//! else a file of its own, because the bytes must always come back.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use model::VaultId;
use model::act::Terms;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use sys::place::{link_unnamed, rename_no_replace, set_times_ns, sync_dir};

use super::fresh::{Fresh, holds, read_back};
use super::holding::file_name;
use super::home::{names, way_home, where_it_is_now};
use super::kept::Returned;
use super::metadata::Metadata;
use super::place::{Place, directory, open_regular};
use super::records::{Entry, Stage, Way};
use super::refusal::Refusal;
use super::resting::Resting;
use super::{Step, Vault, fixed};

/// A copy on its way out: what rests, opened, and what it is to carry at home.
struct Leaving {
    resting: Resting,
    file: File,
    vault: OwnedFd,
    metadata: Metadata,
    keep_privileges: bool,
}

impl Vault {
    /// Brings a copy back and says where and as what. When this returns an error, the copy still rests.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    pub fn restore(
        &self,
        id: VaultId,
        terms: Terms,
        step: &mut dyn FnMut(Step),
    ) -> Result<Returned, Refusal> {
        let _alone = self.alone();
        let resting = where_it_is_now(self.resting(id)?)?;
        let mut place = way_home(&resting)?;
        let is_taken = place.is_taken().map_err(Refusal::when("looked at", &resting.path))?;
        if is_taken && !terms.beside {
            return Err(Refusal::Taken { path: resting.path });
        }
        let leaving = self.leaving(resting, terms)?;
        step(Step::RestoreChecked);
        for name in names(&leaving.resting, terms.beside) {
            place.path.set_file_name(&name);
            place.name = name;
            match self.bring_home(&leaving, &place, step) {
                Err(Refusal::Taken { .. }) if terms.beside => {}
                outcome => return outcome,
            }
        }
        Err(Refusal::Taken { path: leaving.resting.path })
    }

    /// The copy, if it rests.
    ///
    /// # Errors
    /// When it does not, and what became of it.
    pub fn resting(&self, id: VaultId) -> Result<Resting, Refusal> {
        let records = self.records();
        match records.entry(id) {
            Some(entry) if entry.stage == Stage::Rests => Ok(entry.resting.clone()),
            Some(Entry { stage: Stage::Removed, end: Some(end), resting, .. }) => {
                let (path, why, at) = (resting.path.clone(), end.why.clone(), end.at);
                Err(Refusal::Removed { path, why, at })
            }
            _ => Err(Refusal::NotResting { id }),
        }
    }

    /// Opens what rests and makes sure that it is what was taken.
    fn leaving(&self, resting: Resting, terms: Terms) -> Result<Leaving, Refusal> {
        let at = &resting.rests_at;
        let (file, vault) = directory(at.parent().unwrap_or(&self.dir))
            .and_then(|vault| Ok((open_regular(vault.as_fd(), file_name(resting.id).as_ref())?, vault)))
            .map_err(Refusal::when("opened", at))?;
        if !holds(&file, &resting.digests).map_err(Refusal::when("read", at))? {
            return Err(Refusal::Changed { at: resting.rests_at });
        }
        let kept = resting.metadata.clone();
        let metadata = if terms.keep_privileges { kept } else { kept.without_privileges() };
        if resting.renamed && !terms.keep_privileges {
            self.shared_by_none(&resting, &file)?;
        }
        let keep_privileges = terms.keep_privileges;
        Ok(Leaving { resting, file, vault, metadata, keep_privileges })
    }

    /// Names of the inode outside the vault would lose their privileges too.
    fn shared_by_none(&self, resting: &Resting, file: &File) -> Result<(), Refusal> {
        let looked = Refusal::when("looked at", &resting.rests_at);
        let (stat, metadata) = rustix::fs::fstat(file)
            .map_err(io::Error::from)
            .and_then(|stat| Ok((stat, Metadata::of(file.as_fd())?)))
            .map_err(looked)?;
        let key = (resting.device, resting.inode);
        let here =
            self.records().at(Stage::Rests).filter(|r| r.renamed && (r.device, r.inode) == key).count();
        if metadata.privileges().is_empty() || u64::try_from(here).is_ok_and(|here| stat.st_nlink <= here) {
            return Ok(());
        }
        Err(Refusal::Shared { path: resting.path.clone(), what: metadata.privileges().join(" and ") })
    }

    fn bring_home(
        &self,
        leaving: &Leaving,
        place: &Place,
        step: &mut dyn FnMut(Step),
    ) -> Result<Returned, Refusal> {
        let resting = &leaving.resting;
        let (id, path) = (resting.id, &place.path);
        let on_it = fixed::bits(fixed::of(leaving.file.as_fd()));
        let way = Way {
            path: path.clone(),
            keep_privileges: leaving.keep_privileges,
            flags: resting.flags | on_it,
        };
        self.records()
            .send_home(id, way.clone())
            .map_err(Refusal::when("written down in the vault's journal", path))?;
        step(Step::RestoreIntended);
        let returned = if resting.renamed {
            rename_back(leaving, place, on_it)
        } else {
            self.link_to_fellow(leaving, place)
                .and_then(|linked| if linked { Ok(()) } else { rewrite(leaving, place, step) })
        };
        if let Err(error) = returned {
            if Errno::from_io_error(&error) == Some(Errno::IO) {
                return Err(Refusal::uncertain("restored", &resting.path)(error));
            }
            self.rest(id);
            return Err(match Errno::from_io_error(&error) {
                Some(Errno::EXIST) => Refusal::Taken { path: path.clone() },
                // Its name beside it would be longer than a name can be.
                Some(Errno::NAMETOOLONG) if *path != resting.path => Refusal::Taken { path: path.clone() },
                _ => Refusal::Io { doing: "restored", path: path.clone(), error },
            });
        }
        step(Step::Returned);
        fix_again(resting, place, way.flags);
        // What has its name again is whole; if it can't be made durable, the journal must not say that it is.
        if let Err(error) = sync_dir(place.dir.as_fd()).and_then(|()| sync_dir(leaving.vault.as_fd())) {
            return Err(Refusal::uncertain("restored", path)(error));
        }
        step(Step::ReturnSynced);
        let known = self.records().advance(id, Stage::Restored);
        step(Step::Restored);
        match known {
            Ok(()) if !resting.renamed => {
                let _ = rustix::fs::unlinkat(&leaving.vault, file_name(id), AtFlags::empty());
                step(Step::Cleared);
            }
            Ok(()) => {}
            // Recovery will find it at home, and clear the vault then.
            Err(error) => {
                tracing::warn!(%id, %error, "the vault's journal can't be written");
                self.records().assume(id, Stage::Restored);
            }
        }
        self.compact();
        Ok(Returned::by(resting, &way))
    }

    /// Gives the new name to a fellow's inode, if one is home, unchanged, and on this filesystem.
    fn link_to_fellow(&self, leaving: &Leaving, place: &Place) -> io::Result<bool> {
        let resting = &leaving.resting;
        let group = resting.link_of.unwrap_or(resting.id);
        let fellows: Vec<Entry> = self
            .records()
            .home()
            .filter(|other| other.resting.id == group || other.resting.link_of == Some(group))
            // What one name is to carry the other must carry too.
            .filter(|other| other.carried_home().is_like(&leaving.metadata))
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

/// The copy's file, if it is at home, with its content and metadata.
pub(super) fn at_home(entry: &Entry) -> io::Result<Option<File>> {
    let place = match Place::of(entry.home()) {
        Ok(place) => place,
        // It can't be said what is there.
        Err(Refusal::Io { error, .. }) => return Err(error),
        Err(_) => return Ok(None),
    };
    let file = match place.open() {
        Ok(file) => file,
        Err(error) if is_another(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_like = Metadata::of(file.as_fd())?.is_like(&entry.carried_home());
    Ok((is_like && holds(&file, &entry.resting.digests)?).then_some(file))
}

/// Whether a copy can't have the name: nothing has it, or something else.
fn is_another(error: &io::Error) -> bool {
    let errnos = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::XDEV];
    // It is no plain file.
    error.kind() == io::ErrorKind::InvalidInput
        || Errno::from_io_error(error).is_some_and(|errno| errnos.contains(&errno))
}

/// Fixes again what was fixed before it was moved. It is home without that, too.
pub(super) fn fix_again(resting: &Resting, place: &Place, flags: u32) {
    if flags == 0 {
        return;
    }
    let fixed = place.open().and_then(|file| {
        let is_it = !resting.renamed || rustix::fs::fstat(&file)?.st_ino == resting.inode;
        if is_it { fixed::put_back(file.as_fd(), flags) } else { Ok(()) }
    });
    if let Err(error) = fixed {
        tracing::warn!(path = %place.path.display(), %error, "a file came back without its immutable flag");
    }
}

/// The name of a file that is being made anew, where the filesystem has no files without names.
pub(super) fn part_name(id: VaultId) -> OsString {
    format!(".quell-returning-{id}").into()
}

/// In the vault it becomes what it is to be at home, so that nobody ever runs it as more.
fn rename_back(leaving: &Leaving, place: &Place, on_it: u32) -> io::Result<()> {
    let Leaving { resting, file, vault, metadata, .. } = leaving;
    let renamed = (|| {
        if on_it != 0 {
            fixed::clear(file.as_fd())?;
        }
        metadata.apply_privileges(file.as_fd())?;
        // Somebody may have looked at it in the vault.
        let _ = set_times_ns(file.as_fd(), metadata.accessed_ns, metadata.modified_ns);
        rename_no_replace(vault.as_fd(), &file_name(resting.id), place.dir.as_fd(), &place.name)
    })();
    // Where it may be home, it must not be more than it was to be there.
    if renamed.as_ref().is_err_and(|error| Errno::from_io_error(error) != Some(Errno::IO)) {
        let _ = resting.metadata.apply_privileges(file.as_fd());
        let _ = fixed::put_back(file.as_fd(), on_it);
    }
    renamed
}

/// A new file with the bytes and all that the old one carried, whole before it has its name.
fn rewrite(leaving: &Leaving, place: &Place, step: &mut dyn FnMut(Step)) -> io::Result<()> {
    let fresh = Fresh::copy(place.dir.as_fd(), part_name(leaving.resting.id), &leaving.file)?;
    read_back(&fresh.file, &leaving.resting.digests)?;
    leaving.metadata.apply(fresh.file.as_fd())?;
    fresh.file.sync_all()?;
    step(Step::Rewritten);
    fresh.name(&place.name)
}
