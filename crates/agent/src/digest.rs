//! Reading a file once, for all its names and its facts.

use std::cell::RefCell;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use md5::Md5;
use model::facts::Facts;
use model::{Digests, Kinds, Names};
use rustix::io::ReadWriteFlags;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use sys::identity::Stat;
use sys::lease::Lease;

/// How much is read at a time: large enough that calls don't count, small enough to stay in the cache and for memory that
/// was used before.
const PIECE: usize = 64 * 1024;
/// How long whoever is in no hurry gives way after each piece, at the most.
const GIVEN_WAY: Duration = Duration::from_millis(5);
/// How long to wait before asking again whether the writer has gone.
const RETRY: Duration = Duration::from_millis(1);

/// A file as it was while nobody could write to it.
#[derive(Clone, Debug)]
pub struct Hashed {
    /// Its names.
    pub digests: Digests,
    /// What its bytes say.
    pub facts: Facts,
    /// Its inode, the same before and after it was read.
    pub stat: Stat,
}

/// Why a file has no certain digest now.
#[derive(Debug, thiserror::Error)]
pub enum Unsteady {
    /// Somebody has it open for writing.
    #[error("it is being written")]
    Busy,
    /// It changed while it was read.
    #[error("it changed while it was read")]
    Changed,
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// Hashes a file while a read lease keeps every writer out, waiting up to `patience` for one to go.
///
/// The lease stays until the last descriptor of this open file description is closed, so that the caller can
/// act on what it learnt. Opening the file for writing waits that long.
///
/// # Errors
/// When the content can't be told for certain.
pub fn hash_steadily(file: BorrowedFd<'_>, patience: Duration) -> Result<Hashed, Unsteady> {
    let deadline = Instant::now() + patience;
    while let Lease::Writer = sys::lease::take_read(file)? {
        if Instant::now() >= deadline {
            return Err(Unsteady::Busy);
        }
        std::thread::sleep(RETRY);
    }
    let before = sys::identity::Identity::of(file)?;
    let (digests, facts) = hash_plainly(file)?;
    let after = sys::identity::Identity::of(file)?;
    if (before.ctime_ns, before.size) != (after.ctime_ns, after.size) || facts.size != after.size {
        return Err(Unsteady::Changed);
    }
    Ok(Hashed { digests, facts, stat: after })
}

/// Hashes a file as it is, from its beginning, wherever its offset stands.
///
/// # Errors
/// Those of reading.
pub fn hash_plainly(file: BorrowedFd<'_>) -> io::Result<(Digests, Facts)> {
    let mut hasher = Hasher::new(Kinds::ALL);
    while !hasher.read_on(file, u64::MAX)? {}
    hasher.all()
}

/// Files that are being read now and that somebody waits for.
static AWAITED: AtomicUsize = AtomicUsize::new(0);

/// Somebody waits for what is read, until this is dropped.
#[derive(Debug)]
pub(crate) struct Awaited(());

impl Awaited {
    pub(crate) fn new() -> Self {
        AWAITED.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        AWAITED.fetch_sub(1, Ordering::Relaxed);
    }
}

/// As [`hash_plainly`], and gives way to those for whom somebody waits: where two processors share what computes, a
/// file that nobody waits for costs them as much as another one of their own.
///
/// # Errors
/// Those of reading.
pub(crate) fn hash_idly(file: BorrowedFd<'_>) -> io::Result<(Digests, Facts)> {
    let mut hasher = Hasher::new(Kinds::ALL);
    loop {
        let begun = Instant::now();
        while AWAITED.load(Ordering::Relaxed) > 0 && begun.elapsed() < GIVEN_WAY {
            std::thread::sleep(RETRY);
        }
        if hasher.read_on(file, PIECE as u64)? {
            return hasher.all();
        }
    }
}

/// A file that is being hashed, for as long at a time as its owner likes.
pub(crate) struct Hasher {
    sha256: Sha256,
    sha1: Option<Sha1>,
    md5: Option<Md5>,
    facts: Option<Facts>,
    size: u64,
}

thread_local! {
    /// What a thread reads into: fresh memory for each file would cost as much as reading a tenth of a small one.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Hasher {
    /// Computes the SHA-256, and digests of these kinds.
    pub(crate) fn new(kinds: Kinds) -> Self {
        Self {
            sha256: Sha256::new(),
            sha1: kinds.sha1.then(Sha1::new),
            md5: kinds.md5.then(Md5::new),
            facts: None,
            size: 0,
        }
    }

    /// Goes on reading, for about `most` bytes. True at the end of the file.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn read_on(&mut self, file: BorrowedFd<'_>, most: u64) -> io::Result<bool> {
        self.read_as(file, most, ReadWriteFlags::empty())
    }

    /// As [`Self::read_on`], as far as the file is in memory. What was read is kept, and one may read on.
    ///
    /// # Errors
    /// EAGAIN when a disk would have to be waited for, EOPNOTSUPP when the filesystem can't tell; those of reading.
    pub(crate) fn read_from_memory(&mut self, file: BorrowedFd<'_>, most: u64) -> io::Result<bool> {
        self.read_as(file, most, ReadWriteFlags::NOWAIT)
    }

    fn read_as(&mut self, file: BorrowedFd<'_>, most: u64, flags: ReadWriteFlags) -> io::Result<bool> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(PIECE, 0);
            let limit = self.size.saturating_add(most);
            while self.size < limit {
                // Whole or not at all: the facts are those of the whole beginning.
                let length = read_at(file, buffer, self.size, flags)?;
                self.take(&buffer[..length]);
                if length == 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    fn take(&mut self, bytes: &[u8]) {
        self.facts.get_or_insert_with(|| inspect::facts(&bytes[..bytes.len().min(inspect::HEAD)], 0));
        self.sha256.update(bytes);
        self.sha1.iter_mut().for_each(|sha1| sha1.update(bytes));
        self.md5.iter_mut().for_each(|md5| md5.update(bytes));
        self.size += bytes.len() as u64;
    }

    /// All names of what was read, if all were asked for.
    fn all(self) -> io::Result<(Digests, Facts)> {
        let (names, facts) = self.finish();
        let digests = names.all().ok_or_else(|| io::Error::other("a digest of each kind was asked for"))?;
        Ok((digests, facts))
    }

    /// What was read is called so.
    pub(crate) fn finish(self) -> (Names, Facts) {
        let names = Names {
            sha256: model::Sha256(self.sha256.finalize().into()),
            sha1: self.sha1.map(|sha1| model::Sha1(sha1.finalize().into())),
            md5: self.md5.map(|md5| model::Md5(md5.finalize().into())),
        };
        (names, Facts { size: self.size, ..self.facts.unwrap_or_default() })
    }
}

/// What the beginning of a file says of it, without hashing it.
///
/// # Errors
/// Those of reading.
pub fn look(file: BorrowedFd<'_>, size: u64) -> io::Result<Facts> {
    let mut head = [0; inspect::HEAD];
    let length = read_at(file, &mut head, 0, ReadWriteFlags::empty())?;
    Ok(inspect::facts(&head[..length], size))
}

/// Fills `buffer` from `offset` on, as far as the file goes.
fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64, flags: ReadWriteFlags) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let slices = &mut [io::IoSliceMut::new(&mut buffer[filled..])];
        match rustix::io::preadv2(file, slices, offset + filled as u64, flags) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn one_pass_gives_all_three_digests() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let (digests, facts) = hash_plainly(File::open(&path).unwrap().as_fd()).unwrap();
        assert_eq!(digests.md5.to_string(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(digests.sha1.to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            digests.sha256.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(facts.size, 3);
    }

    #[test]
    fn a_file_read_in_parts_has_the_same_names_and_only_those_asked_for() {
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![7; 3 * PIECE + 5], 0).unwrap();
        let whole = Names::from(hash_plainly(file.as_fd()).unwrap().0);
        let mut hasher = Hasher::new(Kinds { sha1: true, md5: false });
        let mut parts = 0;
        while !hasher.read_on(file.as_fd(), 1).unwrap() {
            parts += 1;
        }
        assert_eq!(parts, 4);
        assert_eq!(hasher.finish().0, Names { md5: None, ..whole });
    }

    #[test]
    fn a_file_with_a_writer_is_busy_and_a_hashed_one_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let writer = File::create(&path).unwrap();
        let file = File::open(&path).unwrap();
        let busy = hash_steadily(file.as_fd(), Duration::from_millis(3));
        assert!(matches!(busy, Err(Unsteady::Busy)), "{busy:?}");
        drop(writer);
        let hashed = hash_steadily(file.as_fd(), Duration::from_secs(1)).unwrap();
        assert_eq!(hashed.facts.size, 0);
    }
}
