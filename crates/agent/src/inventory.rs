//! Which copies this machine has: path → file and inode, file → paths. On the disk, so that a restart does
//! not read everything again; rebuilt by a sweep when it is lost, so it is never fsynced for its own sake.

use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use model::facts::{Facts, FileType};
use model::{Digests, FileId, Md5, Sha1, Sha256};
use parking_lot::RwLock;
use redb::{Database, Durability, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use sys::identity::Stat;

/// Path → [`Known`], encoded.
const COPIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("copies");
/// Kind and digest followed by path → nothing: the paths of a file are a range.
const PATHS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("paths");
/// Memory that the database may use as its cache, in bytes.
const CACHE: usize = 4 << 20;

/// A copy that this machine has, as it was when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Which file.
    pub(crate) digests: Digests,
    /// What its bytes say.
    pub(crate) facts: Facts,
    /// The device it lies on.
    pub(crate) device: u64,
    /// Its inode there.
    pub(crate) inode: u64,
    /// When it last changed, in nanoseconds since 1970.
    pub(crate) ctime_ns: i64,
}

impl Known {
    /// A copy as it was hashed.
    pub(crate) fn new(digests: Digests, facts: Facts, stat: &Stat) -> Self {
        Self { digests, facts, device: stat.device, inode: stat.inode, ctime_ns: stat.ctime_ns }
    }

    /// A copy of which only the sighting is left: the next look at its path reads it again.
    pub(crate) fn told(digests: Digests, facts: Facts) -> Self {
        Self { digests, facts, device: 0, inode: 0, ctime_ns: 0 }
    }

    /// Whether the inode still looks as it did.
    pub(crate) fn is_unchanged(&self, stat: &Stat) -> bool {
        (self.device, self.inode, self.ctime_ns, self.facts.size)
            == (stat.device, stat.inode, stat.ctime_ns, stat.size)
    }
}

/// A change to the inventory.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// This copy is there.
    Here(PathBuf, Known),
    /// Nothing that matters is at this path any more.
    Gone(PathBuf),
}

/// The open inventory.
pub(crate) struct Inventory {
    /// None when it failed and could not be opened again.
    database: RwLock<Option<Database>>,
    path: PathBuf,
    /// Something was noted that is not durable yet.
    is_unsettled: AtomicBool,
}

impl Inventory {
    /// Opens the inventory; one that is damaged is begun anew, since a sweep fills it.
    ///
    /// # Errors
    /// When another process has it open, or the disk fails.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let database = RwLock::new(Some(Self::database(path)?));
        let inventory = Self { database, path: path.to_owned(), is_unsettled: AtomicBool::new(false) };
        inventory.write(true, |_, _| Ok(())).map_err(io::Error::other)?;
        Ok(inventory)
    }

    fn database(path: &Path) -> io::Result<Database> {
        let open = |path: &Path| redb::Builder::new().set_cache_size(CACHE).create(path);
        match open(path) {
            Ok(database) => Ok(database),
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
                Err(io::Error::new(io::ErrorKind::WouldBlock, format!("{} is in use", path.display())))
            }
            // A disk that fails is no damage: what is on it may be read again later.
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(error)))
                if error.kind() == io::ErrorKind::StorageFull =>
            {
                Err(error)
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the inventory is begun anew");
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => open(path).map_err(io::Error::other),
                }
            }
        }
    }

    fn reading(&self) -> Result<redb::ReadTransaction, redb::Error> {
        match &*self.database.read() {
            Some(database) => Ok(database.begin_read()?),
            None => Err(redb::Error::PreviousIo),
        }
    }

    /// The copy at `path`, if one is known.
    pub(crate) fn at(&self, path: &Path) -> Option<Known> {
        let copies = self.reading().ok()?.open_table(COPIES).ok()?;
        let value = copies.get(path.as_os_str().as_bytes()).ok()??;
        decode(value.value())
    }

    /// The paths at which a file is known to lie.
    ///
    /// # Errors
    /// When it can't be read: that nothing is found must never be taken for that nothing is there.
    pub(crate) fn copies_of(&self, file: &FileId) -> io::Result<Vec<PathBuf>> {
        let digest = match file {
            FileId::Sha1(sha1) => key(1, &sha1.0),
            FileId::Sha256(sha256) => key(2, &sha256.0),
        };
        let paths = || -> Result<Vec<PathBuf>, redb::Error> {
            let mut paths = Vec::new();
            for entry in self.reading()?.open_table(PATHS)?.range(digest.as_slice()..)? {
                match entry?.0.value().strip_prefix(digest.as_slice()) {
                    Some(path) => paths.push(path_of(path)),
                    None => break,
                }
            }
            Ok(paths)
        };
        paths().map_err(io::Error::other)
    }

    /// The known paths below `directory`.
    pub(crate) fn below(&self, directory: &Path) -> Vec<PathBuf> {
        let directory = directory.as_os_str().as_bytes();
        let prefix = [directory.strip_suffix(b"/").unwrap_or(directory), b"/"].concat();
        let Ok(transaction) = self.reading() else { return Vec::new() };
        let Ok(copies) = transaction.open_table(COPIES) else { return Vec::new() };
        let Ok(range) = copies.range(prefix.as_slice()..) else { return Vec::new() };
        let paths = range.map_while(|entry| {
            let (path, _) = entry.ok()?;
            path.value()
                .starts_with(&prefix)
                .then(|| std::ffi::OsString::from_vec(path.value().to_vec()).into())
        });
        paths.collect()
    }

    /// How many copies are known.
    pub(crate) fn len(&self) -> u64 {
        let count = || self.reading().ok()?.open_table(COPIES).ok()?.len().ok();
        count().unwrap_or(0)
    }

    /// Takes notes, in one step. What a crash forgets a sweep finds again.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn note(&self, notes: &[Note]) -> io::Result<()> {
        let write = self.write(false, |copies, paths| {
            for note in notes {
                let (Note::Here(path, _) | Note::Gone(path)) = note;
                let path = path.as_os_str().as_bytes();
                let before = copies.remove(path)?.and_then(|value| decode(value.value()));
                for digest in before.iter().flat_map(|known| digests_of(&known.digests)) {
                    paths.remove([&digest, path].concat().as_slice())?;
                }
                if let Note::Here(_, known) = note {
                    copies.insert(path, encode(known).as_slice())?;
                    for digest in digests_of(&known.digests) {
                        paths.insert([&digest, path].concat().as_slice(), ())?;
                    }
                }
            }
            Ok(())
        });
        self.is_unsettled.store(true, Ordering::Release);
        write.map_err(io::Error::other)
    }

    /// Makes durable what was noted so far; an idle machine's disk is left alone.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn settle(&self) -> io::Result<()> {
        if !self.is_unsettled.swap(false, Ordering::AcqRel) && self.database.read().is_some() {
            return Ok(());
        }
        self.write(true, |_, _| Ok(())).map_err(|error| {
            self.is_unsettled.store(true, Ordering::Release);
            io::Error::other(error)
        })
    }

    fn write(
        &self,
        durable: bool,
        change: impl FnOnce(
            &mut redb::Table<'_, &[u8], &[u8]>,
            &mut redb::Table<'_, &[u8], ()>,
        ) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        let written = match &*self.database.read() {
            Some(database) => written(database, durable, change),
            None => Err(redb::Error::PreviousIo),
        };
        if written.is_err() {
            self.open_again();
        }
        written
    }

    /// After a failure, a full disk for one, the database refuses all that follows until it is opened anew.
    fn open_again(&self) {
        let mut database = self.database.write();
        *database = None;
        match Self::database(&self.path) {
            Ok(again) => *database = Some(again),
            Err(error) => tracing::error!(%error, "the inventory can't be opened again; it is tried later"),
        }
    }
}

fn written(
    database: &Database,
    durable: bool,
    change: impl FnOnce(
        &mut redb::Table<'_, &[u8], &[u8]>,
        &mut redb::Table<'_, &[u8], ()>,
    ) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    let durability = if durable { Durability::Immediate } else { Durability::None };
    transaction.set_durability(durability).map_err(redb::Error::from)?;
    change(&mut transaction.open_table(COPIES)?, &mut transaction.open_table(PATHS)?)?;
    transaction.commit()?;
    Ok(())
}

fn path_of(bytes: &[u8]) -> PathBuf {
    std::ffi::OsString::from_vec(bytes.to_vec()).into()
}

fn digests_of(digests: &Digests) -> [Vec<u8>; 2] {
    [key(1, &digests.sha1.0), key(2, &digests.sha256.0)]
}

/// A digest as the beginning of a key; the kind before it keeps one from being another's beginning.
fn key(kind: u8, digest: &[u8]) -> Vec<u8> {
    [&[kind], digest].concat()
}

const FIXED: usize = 32 + 20 + 16 + 8 * 4 + 1;

fn encode(known: &Known) -> Vec<u8> {
    let file_type = FileType::ALL.iter().position(|kind| *kind == known.facts.file_type).unwrap_or_default();
    let mut bytes = Vec::with_capacity(FIXED + 16);
    bytes.extend(known.digests.sha256.0);
    bytes.extend(known.digests.sha1.0);
    bytes.extend(known.digests.md5.0);
    for number in [known.device, known.inode, known.ctime_ns.cast_unsigned(), known.facts.size] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.push(file_type as u8);
    bytes.extend(known.facts.subtype.as_deref().unwrap_or_default().as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Known> {
    let (sha256, rest) = bytes.split_first_chunk::<32>()?;
    let (sha1, rest) = rest.split_first_chunk::<20>()?;
    let (md5, rest) = rest.split_first_chunk::<16>()?;
    let (numbers, rest) = rest.split_first_chunk::<32>()?;
    let number = |index: usize| numbers[index * 8..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let (kind, subtype) = rest.split_first()?;
    let subtype = std::str::from_utf8(subtype).ok().filter(|subtype| !subtype.is_empty());
    Some(Known {
        digests: Digests { sha256: Sha256(*sha256), sha1: Sha1(*sha1), md5: Md5(*md5) },
        facts: Facts {
            size: number(3)?,
            file_type: FileType::ALL.get(usize::from(*kind)).copied().unwrap_or_default(),
            subtype: subtype.map(str::to_owned),
        },
        device: number(0)?,
        inode: number(1)?,
        ctime_ns: number(2)?.cast_signed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(byte: u8) -> Known {
        Known {
            digests: Digests { sha256: Sha256([byte; 32]), sha1: Sha1([byte; 20]), md5: Md5([byte; 16]) },
            facts: Facts { size: 7, file_type: FileType::Elf, subtype: Some("Program".to_owned()) },
            device: 3,
            inode: 4,
            ctime_ns: -5,
        }
    }

    #[test]
    fn copies_are_found_by_path_and_by_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory");
        let inventory = Inventory::open(&path).unwrap();
        let notes =
            [("/a", 1), ("/b/c", 1), ("/b/d", 2)].map(|(path, byte)| Note::Here(path.into(), known(byte)));
        inventory.note(&notes).unwrap();
        let one = FileId::Sha1(Sha1([1; 20]));
        assert_eq!(inventory.copies_of(&one).unwrap(), [PathBuf::from("/a"), "/b/c".into()]);
        assert_eq!(inventory.at(Path::new("/b/d")), Some(known(2)));
        assert_eq!(inventory.below(Path::new("/b")).len(), 2);

        inventory.note(&[Note::Here("/a".into(), known(2)), Note::Gone("/b/c".into())]).unwrap();
        inventory.settle().unwrap();
        drop(inventory);
        let inventory = Inventory::open(&path).unwrap();
        assert!(inventory.copies_of(&one).unwrap().is_empty());
        assert_eq!(inventory.copies_of(&FileId::Sha256(Sha256([2; 32]))).unwrap().len(), 2);
        assert_eq!(inventory.len(), 2);
    }

    #[test]
    fn a_damaged_inventory_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inventory");
        std::fs::write(&path, "no database at all").unwrap();
        assert_eq!(Inventory::open(&path).unwrap().len(), 0);
    }

    #[test]
    fn what_can_not_be_read_is_no_empty_answer_and_a_failure_is_overcome() {
        let dir = tempfile::tempdir().unwrap();
        let inventory = Inventory::open(&dir.path().join("inventory")).unwrap();
        inventory.note(&[Note::Here("/a".into(), known(1))]).unwrap();
        inventory.settle().unwrap();
        *inventory.database.write() = None;
        let one = FileId::Sha1(Sha1([1; 20]));
        assert!(inventory.copies_of(&one).is_err());
        assert!(inventory.note(&[]).is_err());
        assert_eq!(inventory.copies_of(&one).unwrap(), [PathBuf::from("/a")]);
    }
}
