//! What the inventory answers.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use model::FileId;
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError,
    TableError,
};

use super::blocks::{self, BLOCKS};
use super::entry::{Entry, File, Number};
use super::index::{
    DIRECTORIES, FACTS, LIMBO, MOVED, NAMES, Name, ROOTS, SHA1, SHA256, by_inode, candidates, is_lost,
    name_key, names_in, path_of,
};
use super::{Inventory, Known};

/// A directory as somebody saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its inode.
    pub(crate) inode: u64,
    /// The inode of the directory it lies in; 0 when nobody has looked.
    pub(crate) within: u64,
}

/// What lies in a directory by what is known.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) number: Number,
    pub(crate) name: OsString,
    /// None for a directory.
    pub(crate) file: Option<Known>,
}

/// A directory of which the server does not know yet where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) number: Number,
    /// Where the server thinks that it lies.
    pub(crate) told: PathBuf,
    /// Where it lies; none when it can't be reached now.
    pub(crate) now: Option<PathBuf>,
    /// It will never be met again.
    pub(crate) is_lost: bool,
}

/// As many are looked at in one transaction.
const AT_ONCE: usize = 500;

/// The tables are opened when they are needed: a look at a name that is not known needs one.
struct Reading {
    transaction: ReadTransaction,
    blocks: OnceCell<ReadOnlyTable<Number, &'static [u8]>>,
    salt: [u8; 16],
}

impl Reading {
    fn entry(&self, number: Number) -> Result<Option<Entry>, StorageError> {
        if let Some(blocks) = self.blocks.get() {
            return blocks::get(blocks, number);
        }
        let opened = self.transaction.open_table(BLOCKS).map_err(|error| match error {
            TableError::Storage(error) => error,
            error => StorageError::Corrupted(error.to_string()),
        })?;
        blocks::get(self.blocks.get_or_init(|| opened), number)
    }

    fn child(&self, parent: Number, name: &[u8]) -> Result<Option<(Number, Entry)>, redb::Error> {
        let names = self.transaction.open_table(NAMES)?;
        let Some(number) = names.get(name_key(&self.salt, parent, name))? else { return Ok(None) };
        let number = number.value();
        let entry = self.entry(number)?.filter(|entry| entry.name == name);
        Ok(entry.map(|entry| (number, entry)))
    }

    /// Where these names lead from a filesystem's root.
    fn down(&self, root: Number, names: &[Vec<u8>]) -> Result<Option<Number>, redb::Error> {
        let mut at = root;
        for name in names {
            let Some((number, _)) = self.child(at, name)? else { return Ok(None) };
            at = number;
        }
        Ok(Some(at))
    }
}

/// The directory that was last asked for, and what it was found to be at that turn.
pub(super) struct Last {
    path: PathBuf,
    inode: u64,
    turn: u64,
    found: Option<(Number, u64)>,
}

impl Inventory {
    fn reading(&self) -> Result<Reading, redb::Error> {
        match &*self.database.read() {
            Some(opened) => {
                let transaction = opened.database.begin_read()?;
                Ok(Reading { transaction, blocks: OnceCell::new(), salt: opened.salt })
            }
            None => Err(redb::Error::PreviousIo),
        }
    }

    /// The copy at `path`, if one is known.
    pub(crate) fn at(&self, path: &Path) -> Option<Known> {
        let reading = self.reading().ok()?;
        let parent = self.number_in(&reading, path.parent()?).ok()??;
        let (_, entry) = reading.child(parent, path.file_name()?.as_encoded_bytes()).ok()??;
        let directory = reading.entry(parent).ok()??.inode;
        let device = self.seats.read().inside(path)?.0.device;
        known(entry, device, directory)
    }

    /// As [`Self::at`], in a directory of that inode, wherever that is known to lie.
    pub(crate) fn within(&self, directory: u64, path: &Path) -> Option<Known> {
        // Before the transaction begins: what it does not see yet must not count for what is seen later.
        let turn = self.turns.load(Ordering::Acquire);
        let reading = self.reading().ok()?;
        let (number, device) = self.directory_within(&reading, turn, directory, path.parent()?).ok()??;
        let (_, entry) = reading.child(number, path.file_name()?.as_encoded_bytes()).ok()??;
        known(entry, device, directory)
    }

    /// The number of a directory by its inode, or else by its path, and the device it is on.
    fn directory_within(
        &self,
        reading: &Reading,
        turn: u64,
        inode: u64,
        path: &Path,
    ) -> Result<Option<(Number, u64)>, redb::Error> {
        // Files come together. Nobody is waited for: whoever holds it may run only when others don't.
        if let Some(last) = self.last.try_lock()
            && let Some(last) = last.as_ref()
            && (last.inode, last.turn) == (inode, turn)
            && last.path == path
        {
            return Ok(last.found);
        }
        let found = {
            let seats = self.seats.read();
            let Some((seat, names)) = seats.inside(path) else { return Ok(None) };
            let root = reading.transaction.open_table(ROOTS)?.get(seat.name.as_slice())?;
            match root.map(|root| root.value()) {
                None => None,
                Some(root) => {
                    let directories = reading.transaction.open_table(DIRECTORIES)?;
                    let by_inode = by_inode(&directories, |number| reading.entry(number), root, inode)?;
                    let number = match by_inode {
                        Some(number) => Some(number),
                        None => reading.down(root, &names)?,
                    };
                    number.map(|number| (number, seat.device))
                }
            }
        };
        if let Some(mut last) = self.last.try_lock() {
            *last = Some(Last { path: path.to_owned(), inode, turn, found });
        }
        Ok(found)
    }

    /// The number of the directory at a path.
    pub(crate) fn number(&self, directory: &Path) -> Option<Number> {
        self.number_in(&self.reading().ok()?, directory).ok()?
    }

    fn number_in(&self, reading: &Reading, directory: &Path) -> Result<Option<Number>, redb::Error> {
        let seats = self.seats.read();
        let Some((seat, names)) = seats.inside(directory) else { return Ok(None) };
        let root = reading.transaction.open_table(ROOTS)?.get(seat.name.as_slice())?;
        match root.map(|root| root.value()) {
            Some(root) => reading.down(root, &names),
            None => Ok(None),
        }
    }

    /// The paths at which a file is known to lie.
    ///
    /// # Errors
    /// When it can't be read: that nothing is found must never be taken for that nothing is there.
    pub(crate) fn copies_of(&self, file: &FileId) -> io::Result<Vec<PathBuf>> {
        let paths = || -> Result<Vec<PathBuf>, redb::Error> {
            let reading = self.reading()?;
            let sha256 = reading.transaction.open_table(SHA256)?;
            let sha1 = reading.transaction.open_table(SHA1)?;
            let seats = self.seats.read();
            let mut directories: BTreeMap<Number, Option<PathBuf>> = BTreeMap::new();
            let mut paths = Vec::new();
            for number in candidates(&sha256, &sha1, file)? {
                let Some(entry) = reading.entry(number)? else { continue };
                if !entry.file.is_some_and(|known| file.names(&known.digests)) {
                    continue;
                }
                let directory = match directories.get(&entry.parent) {
                    Some(directory) => directory.clone(),
                    None => {
                        let path = path_of(|number| reading.entry(number), &seats, entry.parent)?;
                        directories.insert(entry.parent, path.clone());
                        path
                    }
                };
                paths.extend(directory.map(|directory| directory.join(OsString::from_vec(entry.name))));
            }
            paths.sort();
            Ok(paths)
        };
        paths().map_err(io::Error::other)
    }

    /// What lies in a directory, some at a time. It may change between two of them.
    pub(crate) fn pages(&self, directory: Number) -> impl Iterator<Item = Vec<Child>> {
        let (mut after, mut is_over) = (None, false);
        std::iter::from_fn(move || {
            while !is_over {
                let page;
                (page, after) = self.children(directory, after);
                is_over = after.is_none();
                if !page.is_empty() {
                    return Some(page);
                }
            }
            None
        })
    }

    /// Some of it, behind `after`, and where to go on; nowhere at the end. Of some names what they lead to may be missing:
    /// these end nothing.
    fn children(&self, directory: Number, after: Option<Name>) -> (Vec<Child>, Option<Name>) {
        let some = || -> Result<(Vec<Child>, Option<Name>), redb::Error> {
            let reading = self.reading()?;
            let names = reading.transaction.open_table(NAMES)?;
            let all = names_in(directory);
            let from = match after {
                Some(after) => std::ops::Bound::Excluded(after),
                None => std::ops::Bound::Included(*all.start()),
            };
            let within = reading.entry(directory)?.map_or(0, |entry| entry.inode);
            let (mut children, mut seen, mut last) = (Vec::new(), 0, None);
            for entry in names.range((from, std::ops::Bound::Included(*all.end())))?.take(AT_ONCE) {
                let (at, number) = entry.map(|(at, number)| (at.value(), number.value()))?;
                (seen, last) = (seen + 1, Some(at));
                let Some(entry) = reading.entry(number)? else { continue };
                let name = OsString::from_vec(entry.name.clone());
                children.push(Child { number, name, file: known(entry, 0, within) });
            }
            Ok((children, last.filter(|_| seen == AT_ONCE)))
        };
        some().unwrap_or_default()
    }

    /// Whether a directory that is known by its inode lies where the inventory has it.
    pub(crate) fn places(&self, directory: &Directory) -> Placed {
        let placed = || -> Result<Placed, redb::Error> {
            let reading = self.reading()?;
            let by_path = self.number_in(&reading, &directory.path)?;
            let root = {
                let seats = self.seats.read();
                let Some((seat, _)) = seats.inside(&directory.path) else { return Ok(Placed::Unknown) };
                reading.transaction.open_table(ROOTS)?.get(seat.name.as_slice())?.map(|root| root.value())
            };
            let Some(root) = root else { return Ok(Placed::Unknown) };
            let directories = reading.transaction.open_table(DIRECTORIES)?;
            let by_inode = by_inode(&directories, |number| reading.entry(number), root, directory.inode)?;
            Ok(match (by_inode, by_path) {
                (Some(inode), Some(path)) if inode == path => Placed::Right,
                (Some(number), _) => {
                    let seats = self.seats.read();
                    Placed::Elsewhere(path_of(|number| reading.entry(number), &seats, number)?)
                }
                (None, Some(_)) => Placed::Another,
                (None, None) => Placed::Unknown,
            })
        };
        placed().unwrap_or(Placed::Unknown)
    }

    /// The directories of which the server does not know yet where they lie.
    pub(crate) fn moved(&self) -> Vec<Moved> {
        let moved = || -> Result<Vec<Moved>, redb::Error> {
            let reading = self.reading()?;
            let seats = self.seats.read();
            let mut moved = Vec::new();
            for entry in reading.transaction.open_table(MOVED)?.iter()? {
                let (number, told) = entry.map(|(number, told)| (number.value(), told.value().to_vec()))?;
                let told = PathBuf::from(OsString::from_vec(told));
                let now = path_of(|number| reading.entry(number), &seats, number)?;
                let Some(entry) = reading.entry(number)? else { continue };
                let is_lost = is_lost(&entry, &seats);
                if now.as_ref().is_none_or(|now| *now != told) {
                    moved.push(Moved { number, told, now, is_lost });
                }
            }
            Ok(moved)
        };
        moved().unwrap_or_default()
    }

    /// What can't be reached and never will be, and of which the server knows nothing that could be told to be gone: some of
    /// it.
    pub(crate) fn orphans(&self) -> Vec<Number> {
        let orphans = || -> Result<Vec<Number>, redb::Error> {
            let reading = self.reading()?;
            let seats = self.seats.read();
            let moved = reading.transaction.open_table(MOVED)?;
            let (names, roots) =
                (reading.transaction.open_table(NAMES)?, reading.transaction.open_table(ROOTS)?);
            let limbo = names.range(names_in(LIMBO))?.map(|entry| entry.map(|(_, number)| number.value()));
            let roots = roots.iter()?.map(|entry| entry.map(|(_, number)| number.value()));
            let mut orphans = Vec::new();
            for number in limbo.chain(roots) {
                let number = number?;
                let is_orphan = |entry: Entry| is_lost(&entry, &seats);
                if moved.get(number)?.is_none() && reading.entry(number)?.is_some_and(is_orphan) {
                    orphans.push(number);
                }
                if orphans.len() >= AT_ONCE {
                    break;
                }
            }
            Ok(orphans)
        };
        orphans().unwrap_or_default()
    }

    /// Where the last sweep was when it was cut short.
    pub(crate) fn swept_to(&self) -> Option<PathBuf> {
        let reading = self.reading().ok()?;
        let facts = reading.transaction.open_table(FACTS).ok()?;
        let path = facts.get("swept to").ok()??;
        Some(OsString::from_vec(path.value().to_vec()).into())
    }

    /// How many copies are known, also on filesystems that are not mounted now.
    pub(crate) fn len(&self) -> u64 {
        let count = || self.reading().ok()?.transaction.open_table(SHA256).ok()?.len().ok();
        count().unwrap_or(0)
    }
}

/// How a directory that somebody saw stands to what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It is the one that is known there.
    Right,
    /// It is known somewhere else; where, if that can be reached now.
    Elsewhere(Option<PathBuf>),
    /// Another, or one whose inode nobody has seen, is known there.
    Another,
    /// Neither it nor its path is known.
    Unknown,
}

impl Placed {
    /// Whether what the inventory has is wrong about where it lies.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Elsewhere(_) | Self::Another)
    }
}

fn known(entry: Entry, device: u64, directory: u64) -> Option<Known> {
    let File { digests, facts, ctime_ns } = entry.file?;
    Some(Known { digests, facts, device, inode: entry.inode, ctime_ns, directory })
}
