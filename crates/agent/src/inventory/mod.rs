//! Which copies this machine has: path → file and inode, file → paths. On the disk, so that a restart does
//! not read everything again; rebuilt by a sweep when it is lost, so it is never fsynced for its own sake.
//!
//! What lies on a filesystem that is not mounted now is kept and not shown.

mod blocks;
mod entry;
mod index;
mod read;
mod seats;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::Digests;
use model::facts::Facts;
use parking_lot::{Mutex, RwLock};
use redb::{Database, Durability, ReadableDatabase};
use sys::identity::Stat;

use entry::{File, Number};
use index::{FACTS, Index};
pub(crate) use read::{Directory, Moved, Placed};
use seats::Seats;
pub(crate) use seats::{Seat, VOLATILE};

/// Memory that the database may use as its cache, in bytes.
const CACHE: usize = 4 << 20;
/// What is in the file, for those who come later.
const FORM: &[u8] = b"2";
/// Files are made smaller when that much of them is not needed: bytes a copy, and once.
const ROOM: (u64, u64) = (185, 4 << 20);

/// A copy that this machine has, as it was when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Which file.
    pub(crate) digests: Digests,
    /// What its bytes say.
    pub(crate) facts: Facts,
    /// The device it lies on; 0 when that does not matter.
    pub(crate) device: u64,
    /// Its inode there.
    pub(crate) inode: u64,
    /// When it last changed, in nanoseconds since 1970.
    pub(crate) ctime_ns: i64,
    /// The inode of the directory in which it was found; 0 when nobody has looked.
    pub(crate) directory: u64,
}

impl Known {
    /// A copy as it was hashed.
    pub(crate) fn new(digests: Digests, facts: Facts, stat: &Stat) -> Self {
        let Stat { device, inode, ctime_ns, .. } = *stat;
        Self { digests, facts, device, inode, ctime_ns, directory: 0 }
    }

    /// A copy of which only the sighting is left: the next look at its path reads it again.
    pub(crate) fn told(digests: Digests, facts: Facts) -> Self {
        Self { digests, facts, device: 0, inode: 0, ctime_ns: 0, directory: 0 }
    }

    /// Whether the inode still looks as it did.
    pub(crate) fn is_unchanged(&self, stat: &Stat) -> bool {
        (self.device == 0 || self.device == stat.device)
            && (self.inode, self.ctime_ns, self.facts.size) == (stat.inode, stat.ctime_ns, stat.size)
    }

    /// Whether both are the same inode with the same content, wherever it lies.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.digests, self.inode, self.ctime_ns) == (other.digests, other.inode, other.ctime_ns)
    }
}

/// A change to the inventory.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// This copy is there.
    Here(PathBuf, Known),
    /// Nothing that matters is at this path any more, in a directory of that inode (0: not known).
    Gone(PathBuf, u64),
    /// A directory lies there.
    Directory(Directory),
    /// The server knows by this path what is below that directory.
    Told(Number, PathBuf),
    /// Nothing is left of this and of all below it.
    Forget(Number),
    /// A sweep has come to this directory; none when it is complete.
    SweptTo(Option<PathBuf>),
}

/// The open inventory.
pub(crate) struct Inventory {
    /// None when it failed and could not be opened again.
    database: RwLock<Option<Opened>>,
    path: PathBuf,
    seats: RwLock<Seats>,
    /// Something was noted that is not durable yet.
    is_unsettled: AtomicBool,
    /// Grows whenever a directory's path may be another.
    turns: AtomicU64,
    last: Mutex<Option<read::Last>>,
}

struct Opened {
    database: Database,
    salt: [u8; 16],
}

impl Inventory {
    /// Opens the inventory; one that is damaged is begun anew, since a sweep fills it.
    ///
    /// # Errors
    /// When another process has it open, or the disk fails.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            database: RwLock::new(Some(Opened::at(path)?)),
            path: path.to_owned(),
            seats: RwLock::new(Seats::new(Vec::new())),
            is_unsettled: AtomicBool::new(false),
            turns: AtomicU64::new(1),
            last: Mutex::default(),
        })
    }

    /// Says which filesystems are mounted, from now on.
    pub(crate) fn set_seats(&self, mut seats: Vec<Seat>) {
        let mut now = self.seats.write();
        // Of two filesystems with one name the one that had it keeps it.
        seats.sort_by_key(|seat| !now.has(seat));
        *now = Seats::new(seats);
        drop(now);
        self.turns.fetch_add(1, Ordering::Release);
    }

    /// Whether a path lies on a filesystem that is looked after, if its device is this.
    pub(crate) fn is_seated(&self, path: &Path, device: u64) -> bool {
        self.seats.read().inside(path).is_some_and(|(seat, _)| seat.device == device)
    }

    /// Takes notes, in one step. What a crash forgets a sweep finds again.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn note(&self, notes: &[Note]) -> io::Result<()> {
        let write = self.write(false, |index| {
            for note in notes {
                match note {
                    Note::Here(path, known) => {
                        let Known { digests, facts, device, inode, ctime_ns, directory } = known.clone();
                        let file = File { digests, facts, ctime_ns };
                        index.here(path, directory, device, inode, file)?;
                    }
                    Note::Gone(path, directory) => index.gone(path, *directory)?,
                    Note::Directory(directory) => index.directory_here(directory)?,
                    Note::Told(number, path) => index.told(*number, path)?,
                    // It may have come back meanwhile.
                    Note::Forget(number) if index.is_lost(*number)? => index.drop_tree(*number)?,
                    Note::Forget(_) => {}
                    Note::SweptTo(Some(path)) => {
                        index.facts.insert("swept to", path.as_os_str().as_encoded_bytes())?;
                    }
                    Note::SweptTo(None) => drop(index.facts.remove("swept to")?),
                }
            }
            Ok(())
        });
        self.is_unsettled.store(true, Ordering::Release);
        write.map_err(io::Error::other)
    }

    /// Another number whenever a directory's path may be another.
    pub(crate) fn turn(&self) -> u64 {
        self.turns.load(Ordering::Acquire)
    }

    /// Makes durable what was noted so far; an idle machine's disk is left alone.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn settle(&self) -> io::Result<()> {
        if !self.is_unsettled.swap(false, Ordering::AcqRel) && self.database.read().is_some() {
            return Ok(());
        }
        self.write(true, |_| Ok(())).map_err(|error| {
            self.is_unsettled.store(true, Ordering::Release);
            io::Error::other(error)
        })
    }

    /// Gives room back to the disk that much writing has left behind. Nobody is answered meanwhile, which takes a
    /// second for a million copies.
    pub(crate) fn shrink(&self) {
        let needed = self.len() * ROOM.0 + ROOM.1;
        if std::fs::metadata(&self.path).is_ok_and(|file| file.len() <= needed) || self.settle().is_err() {
            return;
        }
        if let Some(opened) = &mut *self.database.write()
            && let Err(error) = opened.database.compact()
        {
            tracing::debug!(%error, "the inventory stays as large as it is");
        }
    }

    fn write(
        &self,
        durable: bool,
        change: impl FnOnce(&mut Index<'_>) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        let seats = self.seats.read();
        let written = match &*self.database.read() {
            Some(opened) => opened.write(durable, &seats, change),
            None => Err(redb::Error::PreviousIo),
        };
        match &written {
            Ok(false) => {}
            Ok(true) => drop(self.turns.fetch_add(1, Ordering::Release)),
            Err(_) => self.open_again(),
        }
        written.map(drop)
    }

    /// After a failure, a full disk for one, the database refuses all that follows until it is opened anew.
    fn open_again(&self) {
        let mut database = self.database.write();
        *database = None;
        match Opened::at(&self.path) {
            Ok(again) => *database = Some(again),
            Err(error) => tracing::error!(%error, "the inventory can't be opened again; it is tried later"),
        }
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

impl Opened {
    fn at(path: &Path) -> io::Result<Self> {
        let error = match Self::open(path) {
            Ok(opened) => return Ok(opened),
            Err(redb::Error::DatabaseAlreadyOpen) => {
                return Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    format!("{} is in use", path.display()),
                ));
            }
            // A disk that fails is no damage: what is on it may be read again later.
            Err(redb::Error::Io(error)) if !is_damage(&error) => return Err(error),
            Err(error) => error,
        };
        tracing::warn!(path = %path.display(), %error, "the inventory is begun anew");
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Self::open(path).map_err(io::Error::other),
        }
    }

    /// With the tables that readers expect.
    fn open(path: &Path) -> Result<Self, redb::Error> {
        let database = redb::Builder::new().set_cache_size(CACHE).create(path)?;
        let is_new = database.begin_read()?.list_tables()?.next().is_none();
        let mut opened = Self { database, salt: *uuid::Uuid::new_v4().as_bytes() };
        let salt = opened.salt;
        if is_new {
            opened.write(true, &Seats::new(Vec::new()), |index| {
                index.facts.insert("form", FORM)?;
                index.facts.insert("salt", salt.as_slice())?;
                Ok(())
            })?;
        }
        let facts = opened.database.begin_read()?.open_table(FACTS)?;
        let form = facts.get("form")?.is_some_and(|form| form.value() == FORM);
        let salt = facts.get("salt")?.and_then(|salt| salt.value().try_into().ok());
        opened.salt = salt
            .filter(|_| form)
            .ok_or_else(|| redb::Error::Corrupted("it is of another version".to_owned()))?;
        Ok(opened)
    }

    /// Whether a directory's path may be another.
    fn write(
        &self,
        durable: bool,
        seats: &Seats,
        change: impl FnOnce(&mut Index<'_>) -> Result<(), redb::Error>,
    ) -> Result<bool, redb::Error> {
        let mut transaction = self.database.begin_write()?;
        let durability = if durable { Durability::Immediate } else { Durability::None };
        transaction.set_durability(durability).map_err(redb::Error::from)?;
        let mut index = Index::open(&transaction, self.salt, seats)?;
        change(&mut index)?;
        let has_turned = index.close()?;
        transaction.commit()?;
        Ok(has_turned)
    }
}

#[cfg(test)]
mod tests;
