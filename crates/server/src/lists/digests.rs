//! A file of sorted digests, and how one is found in it.
//!
//! A head says how many digests of each kind there are; then comes an index for each kind, which says for the first bits
//! of a digest between which two places it would be; then the digests. A look-up reads sixteen bytes of the index and
//! mostly one piece of the digests, whatever the size of the list; nothing of it is kept in memory.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;

use model::Digest;

/// So much of two files is compared at once.
const COMPARED: usize = 256 << 10;
/// What the file begins with.
pub(super) const MAGIC: &[u8; 16] = b"quell digests 1\n";
/// The head: the magic, and a count and a number of bits for each kind.
pub(super) const HEAD: u64 = 16 + 3 * 16;
/// Lengths of digests in the order in which the kinds stand in the file.
pub(super) const LENGTHS: [usize; 3] = [32, 20, 16];
/// No index is finer.
pub(super) const MOST_BITS: u32 = 20;
/// So many digests are read at once.
const PIECE: u64 = 128;

/// Which of the kinds a digest is, and its bytes.
pub(super) fn parts(digest: &Digest) -> (usize, &[u8]) {
    match digest {
        Digest::Sha256(sha256) => (0, &sha256.0),
        Digest::Sha1(sha1) => (1, &sha1.0),
        Digest::Md5(md5) => (2, &md5.0),
    }
}

/// Where in an index of so many bits a digest belongs.
pub(super) fn bucket(digest: &[u8], bits: u32) -> usize {
    let first = digest.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    // All bits are shifted out when there is one bucket.
    first.checked_shr(32 - bits).unwrap_or(0) as usize
}

/// The digests of one kind.
#[derive(Clone, Copy, Debug)]
struct Section {
    length: usize,
    count: u64,
    bits: u32,
    /// Where its index begins,
    index: u64,
    /// and where its digests do.
    at: u64,
}

/// A file of sorted digests.
#[derive(Debug)]
pub(crate) struct Digests {
    file: File,
    sections: [Section; 3],
}

/// Whether two files are the same, byte by byte: then they hold the same digests.
pub(super) fn are_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) =
        (BufReader::with_capacity(COMPARED, one), BufReader::with_capacity(COMPARED, other));
    loop {
        let (some, others) = (one.fill_buf()?, other.fill_buf()?);
        let length = some.len().min(others.len());
        if some[..length] != others[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(some.len() == others.len());
        }
        one.consume(length);
        other.consume(length);
    }
}

impl Digests {
    /// Opens it.
    ///
    /// # Errors
    /// When it is not there, or not as long as its head says.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the file of digests is damaged");
        let mut head = [0; HEAD as usize];
        file.read_exact_at(&mut head, 0)?;
        if head[..16] != *MAGIC {
            return Err(damaged());
        }
        let number = |at: usize| head[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let length = file.metadata()?.len();
        let mut place = HEAD;
        let mut sections = [Section { length: 0, count: 0, bits: 0, index: 0, at: 0 }; 3];
        for (kind, section) in sections.iter_mut().enumerate() {
            let (count, bits) = (number(16 + kind * 16), number(24 + kind * 16));
            if bits > u64::from(MOST_BITS) || count > length {
                return Err(damaged());
            }
            *section = Section { length: LENGTHS[kind], count, bits: bits as u32, index: place, at: 0 };
            place += 8 * ((1 << bits) + 1);
        }
        for section in &mut sections {
            section.at = place;
            place += section.count * section.length as u64;
        }
        if place != length {
            return Err(damaged());
        }
        Ok(Self { file, sections })
    }

    /// Whether it holds a digest.
    ///
    /// # Errors
    /// When the disk fails, or the file is damaged.
    pub(super) fn contains(&self, digest: &Digest) -> io::Result<bool> {
        let (kind, digest) = parts(digest);
        let section = &self.sections[kind];
        if section.count == 0 {
            return Ok(false);
        }
        let mut bounds = [0; 16];
        let bucket = bucket(digest, section.bits) as u64;
        self.file.read_exact_at(&mut bounds, section.index + bucket * 8)?;
        let bound = |at: usize| bounds[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let (mut from, mut to) = (bound(0), bound(8));
        if from > to || to > section.count {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its index is damaged"));
        }
        // Many digests with the same beginning are no chance, but may be somebody's intent.
        while to - from > PIECE {
            let middle = from + (to - from) / 2;
            match self.read(section, middle, 1)?.as_slice().cmp(digest) {
                Ordering::Equal => return Ok(true),
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
            }
        }
        let piece = self.read(section, from, to - from)?;
        Ok(piece.chunks_exact(section.length).any(|one| one == digest))
    }

    fn read(&self, section: &Section, from: u64, count: u64) -> io::Result<Vec<u8>> {
        let length = section.length as u64;
        let mut bytes = vec![0; (count * length) as usize];
        self.file.read_exact_at(&mut bytes, section.at + from * length)?;
        Ok(bytes)
    }
}
