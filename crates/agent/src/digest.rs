//! Reading a file once, for all its names and its facts.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use md5::Md5;
use model::Digests;
use model::facts::Facts;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use sys::identity::Stat;
use sys::lease::Lease;

/// How much is read at a time: large enough that calls don't count, small enough to stay in the cache.
const PIECE: usize = 256 * 1024;
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
    let (mut md5, mut sha1, mut sha256) = (Md5::new(), Sha1::new(), Sha256::new());
    let mut piece = vec![0; PIECE];
    let mut size = 0;
    let mut facts = None;
    loop {
        let length = read_at(file, &mut piece, size)?;
        let bytes = &piece[..length];
        facts.get_or_insert_with(|| inspect::facts(&bytes[..length.min(inspect::HEAD)], 0));
        if length == 0 {
            break;
        }
        md5.update(bytes);
        sha1.update(bytes);
        sha256.update(bytes);
        size += length as u64;
    }
    let digests = Digests {
        sha256: model::Sha256(sha256.finalize().into()),
        sha1: model::Sha1(sha1.finalize().into()),
        md5: model::Md5(md5.finalize().into()),
    };
    Ok((digests, Facts { size, ..facts.unwrap_or_default() }))
}

/// What the beginning of a file says of it, without hashing it.
///
/// # Errors
/// Those of reading.
pub fn look(file: BorrowedFd<'_>, size: u64) -> io::Result<Facts> {
    let mut head = [0; inspect::HEAD];
    let length = read_at(file, &mut head, 0)?;
    Ok(inspect::facts(&head[..length], size))
}

/// Fills `buffer` from `offset` on, as far as the file goes.
fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], offset + filled as u64) {
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
