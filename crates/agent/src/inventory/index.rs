//! The tables, and how they hang together.
//!
//! A file is an entry below a directory's entry, which is one below another's, up to a filesystem's root. So a
//! directory that is renamed is one entry that changes, and a filesystem that is mounted elsewhere is none.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use model::{Digests, FileId};
use redb::{ReadableTable, StorageError, Table, TableDefinition, WriteTransaction};
use sha2::{Digest, Sha256};

use super::blocks::{BLOCKS, Blocks};
use super::entry::{Entry, File, Number};
use super::read::Directory;
use super::seats::{Seat, Seats};

pub(super) type Name = [u8; 12];
pub(super) type Short = [u8; 13];

/// The directory's number and what its name hashes to → the number of what has that name there.
pub(super) const NAMES: TableDefinition<'_, Name, Number> = TableDefinition::new("names");
/// The beginning of a file's SHA-256, and its number.
pub(super) const SHA256: TableDefinition<'_, Short, ()> = TableDefinition::new("sha256");
/// The beginning of its SHA-1, and its number.
pub(super) const SHA1: TableDefinition<'_, Short, ()> = TableDefinition::new("sha1");
/// The number of a filesystem's root and a directory's inode → the directory's number.
pub(super) const DIRECTORIES: TableDefinition<'_, Short, Number> = TableDefinition::new("directories");
/// What a filesystem is known by → the number of its root.
pub(super) const ROOTS: TableDefinition<'_, &[u8], Number> = TableDefinition::new("roots");
/// A directory that was moved → its path as the server knows it.
pub(super) const MOVED: TableDefinition<'_, Number, &[u8]> = TableDefinition::new("moved");
/// What else there is to say, by name.
pub(super) const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");

/// Where directories are whose place another one took, until somebody meets them again.
pub(super) const LIMBO: Number = (1 << 40) - 1;
/// No path has more components: it is at most 4,096 bytes long.
const DEEPEST: usize = 4096;

fn short(lead: [u8; 8], number: Number) -> Short {
    let mut key = [0; 13];
    key[..8].copy_from_slice(&lead);
    key[8..].copy_from_slice(&number.to_be_bytes()[3..]);
    key
}

pub(super) fn numbered(root: Number, inode: u64) -> Short {
    let mut key = [0; 13];
    key[..5].copy_from_slice(&root.to_be_bytes()[3..]);
    key[5..].copy_from_slice(&inode.to_be_bytes());
    key
}

fn lead(digest: &[u8]) -> [u8; 8] {
    digest.first_chunk().copied().unwrap_or_default()
}

/// Nobody who does not know `salt` can make two names that hash to one. By chance two of a million in one directory
/// do with a probability of one in a hundred thousand: one of them is then not known.
pub(super) fn name_key(salt: &[u8; 16], parent: Number, name: &[u8]) -> Name {
    let digest = Sha256::new().chain_update(salt).chain_update(name).finalize();
    let mut key = [0; 12];
    key[..5].copy_from_slice(&parent.to_be_bytes()[3..]);
    key[5..].copy_from_slice(&digest[..7]);
    key
}

/// The keys of all that lies in a directory.
pub(super) fn names_in(parent: Number) -> std::ops::RangeInclusive<Name> {
    let edge = |rest: u8| {
        let mut key = [rest; 12];
        key[..5].copy_from_slice(&parent.to_be_bytes()[3..]);
        key
    };
    edge(0)..=edge(u8::MAX)
}

/// The numbers of files that may be this one: what they hold is to be compared.
pub(super) fn candidates(
    sha256: &impl ReadableTable<Short, ()>,
    sha1: &impl ReadableTable<Short, ()>,
    file: &FileId,
) -> Result<Vec<Number>, StorageError> {
    let lead = match file {
        FileId::Sha256(digest) => lead(&digest.0),
        FileId::Sha1(digest) => lead(&digest.0),
    };
    let (from, to) = (short(lead, 0), short(lead, LIMBO));
    let found = match file {
        FileId::Sha256(_) => sha256.range(from..=to)?,
        FileId::Sha1(_) => sha1.range(from..=to)?,
    };
    found
        .map(|entry| {
            let mut number = [0; 8];
            number[3..].copy_from_slice(&entry?.0.value()[8..]);
            Ok(Number::from_be_bytes(number))
        })
        .collect()
}

/// The directory of that inode.
pub(super) fn by_inode(
    directories: &impl ReadableTable<Short, Number>,
    get: impl Fn(Number) -> Result<Option<Entry>, StorageError>,
    root: Number,
    inode: u64,
) -> Result<Option<Number>, StorageError> {
    let Some(number) = directories.get(numbered(root, inode))?.map(|number| number.value()) else {
        return Ok(None);
    };
    // Another one has its place where the row was left behind by what is not known any more.
    let is_it = |entry: Entry| entry.file.is_none() && entry.inode == inode;
    Ok(get(number)?.is_some_and(is_it).then_some(number))
}

/// From an entry up: the names that lead to it, and the filesystem. None in limbo.
pub(super) fn climb(
    get: impl Fn(Number) -> Result<Option<Entry>, StorageError>,
    number: Number,
    mut each: impl FnMut(Number, &[Vec<u8>]) -> Result<bool, StorageError>,
) -> Result<Option<(Vec<u8>, PathBuf)>, StorageError> {
    let (mut number, mut names) = (number, Vec::new());
    for _ in 0..DEEPEST {
        if each(number, &names)? {
            return Ok(None);
        }
        let Some(entry) = get(number)? else { return Ok(None) };
        if entry.parent == 0 {
            return Ok(Some((entry.name, joined(&names))));
        }
        names.push(entry.name);
        number = entry.parent;
    }
    Ok(None)
}

/// The path of names that were met on the way up.
fn joined(names: &[Vec<u8>]) -> PathBuf {
    names.iter().rev().map(|name| OsString::from_vec(name.clone())).collect()
}

/// The path of an entry, if it can be reached now.
pub(super) fn path_of(
    get: impl Fn(Number) -> Result<Option<Entry>, StorageError>,
    seats: &Seats,
    number: Number,
) -> Result<Option<PathBuf>, StorageError> {
    let place = climb(get, number, |_, _| Ok(false))?;
    Ok(place.and_then(|(name, inside)| seats.outside(&name, &inside)))
}

/// Whether an entry, and what is below it, can't be reached any more and never will be.
pub(super) fn is_lost(entry: &Entry, seats: &Seats) -> bool {
    let is_gone = || entry.parent == 0 && super::seats::is_volatile(&entry.name);
    entry.parent == LIMBO || (is_gone() && seats.named(&entry.name).is_none())
}

/// The tables of a transaction that writes.
pub(super) struct Index<'t> {
    blocks: Blocks<'t>,
    names: Table<'t, Name, Number>,
    sha256: Table<'t, Short, ()>,
    sha1: Table<'t, Short, ()>,
    directories: Table<'t, Short, Number>,
    roots: Table<'t, &'static [u8], Number>,
    moved: Table<'t, Number, &'static [u8]>,
    pub(super) facts: Table<'t, &'static str, &'static [u8]>,
    salt: [u8; 16],
    seats: &'t Seats,
    /// The directory that was last asked for: files come together.
    last: Option<(PathBuf, u64, Number)>,
    /// A directory's path may be another.
    has_turned: bool,
}

impl<'t> Index<'t> {
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        salt: [u8; 16],
        seats: &'t Seats,
    ) -> Result<Self, redb::Error> {
        let facts = transaction.open_table(FACTS)?;
        let next =
            facts.get("next")?.and_then(|next| Some(Number::from_le_bytes(next.value().try_into().ok()?)));
        Ok(Self {
            blocks: Blocks::new(transaction.open_table(BLOCKS)?, next.unwrap_or(1)),
            names: transaction.open_table(NAMES)?,
            sha256: transaction.open_table(SHA256)?,
            sha1: transaction.open_table(SHA1)?,
            directories: transaction.open_table(DIRECTORIES)?,
            roots: transaction.open_table(ROOTS)?,
            moved: transaction.open_table(MOVED)?,
            facts,
            salt,
            seats,
            last: None,
            has_turned: false,
        })
    }

    /// Writes what is not written yet. Returns whether a directory's path may be another.
    pub(super) fn close(mut self) -> Result<bool, StorageError> {
        let next = self.blocks.flush()?;
        self.facts.insert("next", next.to_le_bytes().as_slice())?;
        Ok(self.has_turned)
    }

    fn turn(&mut self) {
        self.last = None;
        self.has_turned = true;
    }

    fn child(&self, parent: Number, name: &[u8]) -> Result<Option<(Number, Entry)>, StorageError> {
        let key = name_key(&self.salt, parent, name);
        let Some(number) = self.names.get(key)?.map(|number| number.value()) else { return Ok(None) };
        Ok(self.blocks.get(number)?.filter(|entry| entry.name == name).map(|entry| (number, entry)))
    }

    fn add(&mut self, entry: &Entry) -> Result<Number, StorageError> {
        let number = self.blocks.add(entry)?;
        if let Some(file) = &entry.file {
            self.index(&file.digests, number)?;
        }
        Ok(number)
    }

    fn link(&mut self, number: Number, entry: &Entry) -> Result<(), StorageError> {
        let key = name_key(&self.salt, entry.parent, &entry.name);
        let before = self.names.insert(key, number)?.map(|before| before.value());
        match before.filter(|before| *before != number) {
            // A name that hashes to the same, or was taken: nothing may be left that no name leads to.
            Some(before) => self.drop_tree(before),
            None => Ok(()),
        }
    }

    fn unlink(&mut self, number: Number, entry: &Entry) -> Result<(), StorageError> {
        let key = name_key(&self.salt, entry.parent, &entry.name);
        let is_its = self.names.get(key)?.is_some_and(|there| there.value() == number);
        if is_its {
            self.names.remove(key)?;
        }
        Ok(())
    }

    fn index(&mut self, digests: &Digests, number: Number) -> Result<(), StorageError> {
        self.sha256.insert(short(lead(&digests.sha256.0), number), ())?;
        self.sha1.insert(short(lead(&digests.sha1.0), number), ())?;
        Ok(())
    }

    fn forget(&mut self, digests: &Digests, number: Number) -> Result<(), StorageError> {
        self.sha256.remove(short(lead(&digests.sha256.0), number))?;
        self.sha1.remove(short(lead(&digests.sha1.0), number))?;
        Ok(())
    }

    /// The directory of that inode. What was lost in limbo may have left its row behind.
    fn by_inode(&self, root: Number, inode: u64) -> Result<Option<Number>, StorageError> {
        by_inode(&self.directories, |number| self.blocks.get(number), root, inode)
    }

    fn root(&mut self, seat: &Seat) -> Result<Number, StorageError> {
        if let Some(root) = self.roots.get(seat.name.as_slice())? {
            return Ok(root.value());
        }
        let entry = Entry { parent: 0, name: seat.name.clone(), inode: 0, file: None };
        self.turn();
        let number = self.blocks.add(&entry)?;
        self.roots.insert(seat.name.as_slice(), number)?;
        // Mounted elsewhere, all of it has another path.
        if seat.root == Path::new("/") {
            self.moved.insert(number, seat.point.as_os_str().as_encoded_bytes())?;
        }
        Ok(number)
    }

    /// The directory of a path; it is made where it is not known.
    fn directory(&mut self, path: &Path, inode: u64) -> Result<Option<Number>, StorageError> {
        if let Some((last, its, number)) = &self.last
            && last == path
            && *its == inode
        {
            return Ok(Some(*number));
        }
        let Some((seat, names)) = self.seats.inside(path) else { return Ok(None) };
        let root = self.root(seat)?;
        let known = match inode {
            0 => None,
            inode => self.by_inode(root, inode)?,
        };
        let number = match known {
            // Wherever it is by now: what is said of a path is said of the directory that was looked into.
            Some(number) => number,
            None => self.walk(root, names, inode)?,
        };
        self.last = Some((path.to_owned(), inode, number));
        Ok(Some(number))
    }

    fn walk(&mut self, root: Number, names: Vec<Vec<u8>>, inode: u64) -> Result<Number, StorageError> {
        let (mut at, mut left) = (root, names.len());
        for name in names {
            left -= 1;
            let inode = if left == 0 { inode } else { 0 };
            at = match self.child(at, &name)? {
                Some((number, entry)) if entry.file.is_none() && (inode == 0 || entry.inode == 0) => {
                    self.is_inode(root, number, &entry, inode)?;
                    number
                }
                there => {
                    if let Some((number, entry)) = there {
                        self.take_away(number, entry)?;
                    }
                    let entry = Entry { parent: at, name, inode, file: None };
                    self.turn();
                    let number = self.add(&entry)?;
                    self.link(number, &entry)?;
                    if inode != 0 {
                        self.directories.insert(numbered(root, inode), number)?;
                    }
                    number
                }
            };
        }
        Ok(at)
    }

    fn is_inode(
        &mut self,
        root: Number,
        number: Number,
        entry: &Entry,
        inode: u64,
    ) -> Result<(), StorageError> {
        if inode == 0 || entry.inode == inode {
            return Ok(());
        }
        self.turn();
        self.blocks.replace(number, Some(&Entry { inode, ..entry.clone() }))?;
        self.directories.insert(numbered(root, inode), number)?;
        Ok(())
    }

    /// Another has its place: a file is gone, a directory may turn up elsewhere.
    fn take_away(&mut self, number: Number, entry: Entry) -> Result<(), StorageError> {
        if entry.file.is_some() {
            return self.drop_tree(number);
        }
        self.tell_moved(number)?;
        self.unlink(number, &entry)?;
        let entry = Entry { parent: LIMBO, name: number.to_be_bytes().to_vec(), ..entry };
        self.blocks.replace(number, Some(&entry))?;
        self.turn();
        self.link(number, &entry)
    }

    /// A copy lies at this path, in a directory of that inode (0: not known).
    pub(super) fn here(
        &mut self,
        path: &Path,
        directory: u64,
        device: u64,
        inode: u64,
        file: File,
    ) -> Result<(), StorageError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let is_elsewhere = |seat: &Seat| seat.device != 0 && device != 0 && seat.device != device;
        if self.seats.inside(path).is_none_or(|(seat, _)| is_elsewhere(seat)) {
            // A filesystem that was mounted a moment ago, and is looked through soon.
            return Ok(());
        }
        let Some(parent) = self.directory(parent, directory)? else { return Ok(()) };
        let entry = Entry { parent, name: name.as_encoded_bytes().to_vec(), inode, file: Some(file) };
        match self.child(parent, &entry.name)? {
            Some((number, Entry { file: Some(before), .. })) => {
                let digests = |entry: &Entry| entry.file.as_ref().map(|file| file.digests);
                if digests(&entry) != Some(before.digests) {
                    self.forget(&before.digests, number)?;
                    if let Some(digests) = digests(&entry) {
                        self.index(&digests, number)?;
                    }
                }
                self.blocks.replace(number, Some(&entry))
            }
            there => {
                if let Some((number, directory)) = there {
                    self.take_away(number, directory)?;
                }
                let number = self.add(&entry)?;
                self.link(number, &entry)
            }
        }
    }

    /// No copy lies at this path, in a directory of that inode (0: not known).
    pub(super) fn gone(&mut self, path: &Path, directory: u64) -> Result<(), StorageError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let Some((seat, names)) = self.seats.inside(parent) else { return Ok(()) };
        let Some(root) = self.roots.get(seat.name.as_slice())?.map(|root| root.value()) else {
            return Ok(());
        };
        let known = self.by_inode(root, directory)?;
        let Some(parent) = known.map_or_else(|| self.find(root, &names), |known| Ok(Some(known)))? else {
            return Ok(());
        };
        match self.child(parent, name.as_encoded_bytes())? {
            Some((number, Entry { file: Some(_), .. })) => self.drop_tree(number),
            _ => Ok(()),
        }
    }

    fn find(&self, root: Number, names: &[Vec<u8>]) -> Result<Option<Number>, StorageError> {
        let mut at = root;
        for name in names {
            let Some((number, _)) = self.child(at, name)? else { return Ok(None) };
            at = number;
        }
        Ok(Some(at))
    }

    /// Whether what is below it can't be reached any more, and will not be.
    pub(super) fn is_lost(&mut self, number: Number) -> Result<bool, StorageError> {
        Ok(self.blocks.get(number)?.is_some_and(|entry| is_lost(&entry, self.seats)))
    }

    /// Removes an entry with all below it, and the directories above it that hold nothing more.
    pub(super) fn drop_tree(&mut self, number: Number) -> Result<(), StorageError> {
        // Before what leads to it is removed.
        let root = self.root_of(number)?;
        let mut rest = vec![number];
        let mut above = None;
        while let Some(number) = rest.pop() {
            let Some(entry) = self.blocks.get(number)? else { continue };
            if above.is_none() {
                above = Some(entry.parent);
            }
            let below: Result<Vec<(Name, Number)>, StorageError> = self
                .names
                .range(names_in(number))?
                .map(|entry| entry.map(|(key, number)| (key.value(), number.value())))
                .collect();
            for (key, child) in below? {
                self.names.remove(key)?;
                rest.push(child);
            }
            self.unlink(number, &entry)?;
            self.moved.remove(number)?;
            if let Some(file) = &entry.file {
                self.forget(&file.digests, number)?;
            } else {
                self.turn();
                self.forget_directory(root, number, &entry)?;
            }
            self.blocks.replace(number, None)?;
            if entry.parent == 0 {
                self.roots.remove(entry.name.as_slice())?;
            }
        }
        self.prune(above.unwrap_or(0))
    }

    /// Loses an entry to which its name still leads, as a damaged disk does.
    #[cfg(test)]
    pub(super) fn lose(&mut self, number: Number) -> Result<(), StorageError> {
        self.blocks.replace(number, None)
    }

    fn forget_directory(
        &mut self,
        root: Option<Number>,
        number: Number,
        entry: &Entry,
    ) -> Result<(), StorageError> {
        let Some(root) = root else { return Ok(()) };
        let key = numbered(root, entry.inode);
        let is_its = self.directories.get(key)?.is_some_and(|there| there.value() == number);
        if is_its {
            self.directories.remove(key)?;
        }
        Ok(())
    }

    fn root_of(&self, number: Number) -> Result<Option<Number>, StorageError> {
        let mut root = None;
        let climbed = climb(
            |number| self.blocks.get(number),
            number,
            |at, _| {
                root = Some(at);
                Ok(false)
            },
        )?;
        Ok(climbed.and(root))
    }

    fn prune(&mut self, mut number: Number) -> Result<(), StorageError> {
        for _ in 0..DEEPEST {
            if number == 0 || number == LIMBO || self.names.range(names_in(number))?.next().is_some() {
                break;
            }
            let Some(entry) = self.blocks.get(number)?.filter(|entry| entry.parent != 0) else { break };
            self.turn();
            let root = self.root_of(number)?;
            self.forget_directory(root, number, &entry)?;
            self.unlink(number, &entry)?;
            self.moved.remove(number)?;
            self.blocks.replace(number, None)?;
            number = entry.parent;
        }
        Ok(())
    }

    /// A directory lies there. Costs as much for one file in it as for a million.
    pub(super) fn directory_here(&mut self, directory: &Directory) -> Result<(), StorageError> {
        let Directory { path, inode, within } = directory;
        let (inode, within) = (*inode, *within);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let Some((seat, names)) = self.seats.inside(path) else { return Ok(()) };
        if seat.point == *path {
            return Ok(());
        }
        let name = name.as_encoded_bytes().to_vec();
        let root = self.root(seat)?;
        let known = self.by_inode(root, inode)?;
        let there = match self.find(root, &names[..names.len() - 1])? {
            Some(parent) => self.child(parent, &name)?,
            None => None,
        };
        let Some(number) = known else {
            return match there {
                Some((number, entry)) if entry.file.is_none() && entry.inode == 0 => {
                    self.is_inode(root, number, &entry, inode)
                }
                Some((number, entry)) => self.take_away(number, entry),
                None => Ok(()),
            };
        };
        let Some(entry) = self.blocks.get(number)? else { return Ok(()) };
        if there.as_ref().is_some_and(|(there, _)| *there == number) {
            return Ok(());
        }
        let Some(parent) = self.directory(parent, within)? else { return Ok(()) };
        let mut is_below_itself = false;
        climb(
            |number| self.blocks.get(number),
            parent,
            |at, _| {
                is_below_itself |= at == number;
                Ok(is_below_itself)
            },
        )?;
        if is_below_itself || (entry.parent, &entry.name) == (parent, &name) {
            // What is known is out of date further up; whoever looks from above puts that right first.
            return Ok(());
        }
        self.tell_moved(number)?;
        if let Some((there, its)) = self.child(parent, &name)? {
            self.take_away(there, its)?;
        }
        self.unlink(number, &entry)?;
        let left = entry.parent;
        let entry = Entry { parent, name, inode, file: None };
        self.blocks.replace(number, Some(&entry))?;
        self.link(number, &entry)?;
        self.turn();
        self.prune(left)
    }

    /// Keeps the path by which the server knows what is below a directory, before it is another.
    fn tell_moved(&mut self, number: Number) -> Result<(), StorageError> {
        if self.moved.get(number)?.is_some() {
            return Ok(());
        }
        let mut told = None;
        let place = climb(
            |number| self.blocks.get(number),
            number,
            |at, names| {
                // A root's row says where it is mounted; above it there is nothing.
                told = self.moved.get(at)?.map(|path| {
                    let path = PathBuf::from(OsString::from_vec(path.value().to_vec()));
                    path.join(joined(names))
                });
                Ok(told.is_some())
            },
        )?;
        let told = told.or_else(|| place.and_then(|(name, inside)| self.seats.outside(&name, &inside)));
        if let Some(told) = told {
            self.moved.insert(number, told.as_os_str().as_encoded_bytes())?;
        }
        Ok(())
    }

    /// The server knows what is below a directory by this path now.
    pub(super) fn told(&mut self, number: Number, path: &Path) -> Result<(), StorageError> {
        // Forgotten while it was told.
        let Some(entry) = self.blocks.get(number)? else { return Ok(()) };
        let is_root = entry.parent == 0;
        let now = path_of(|number| self.blocks.get(number), self.seats, number)?;
        if now.as_deref() == Some(path) && !is_root {
            self.moved.remove(number)?;
        } else {
            self.moved.insert(number, path.as_os_str().as_encoded_bytes())?;
        }
        Ok(())
    }
}
