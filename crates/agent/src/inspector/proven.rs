//! The bytes of a file of which each is proven to belong to one content, however the file changes.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::BorrowedFd;

use inspect::Source;
use sha2::Digest;

/// What is read and proven at a time.
const BLOCK: usize = 64 << 10;
/// Blocks that are kept: a small file is read once.
const MOST_KEPT: usize = 32;

/// A block and its number.
type Kept = (u64, Box<[u8]>);

/// A file that was read from its beginning to its end. A block that is read again later is the one of then, or an error.
///
/// What is compared is a keyed hash of each block, so that nobody can make another block with the same one.
pub(super) struct Proven<'a> {
    file: BorrowedFd<'a>,
    size: u64,
    blocks: Vec<u64>,
    keys: RandomState,
    kept: RefCell<Vec<Option<Kept>>>,
    is_changed: Cell<bool>,
}

impl<'a> Proven<'a> {
    /// Reads all of a file, and tells its digest.
    ///
    /// # Errors
    /// Those of reading; `UnexpectedEof` when it became shorter meanwhile.
    pub(super) fn read(file: BorrowedFd<'a>) -> io::Result<(Self, model::Sha256)> {
        let size = u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0);
        let (keys, kept) = (RandomState::new(), RefCell::new(vec![None; MOST_KEPT]));
        let mut proven = Self { file, size, blocks: Vec::new(), keys, kept, is_changed: Cell::new(false) };
        let mut digest = sha2::Sha256::new();
        for index in 0..size.div_ceil(BLOCK as u64) {
            let block = proven.fetch(index)?;
            digest.update(&block);
            proven.blocks.push(proven.keys.hash_one(&*block));
            proven.keep(index, block);
        }
        Ok((proven, model::Sha256(digest.finalize().into())))
    }

    /// Whether a block was another than before.
    pub(super) fn is_changed(&self) -> bool {
        self.is_changed.get()
    }

    /// Reads a block as it is now.
    fn fetch(&self, index: u64) -> io::Result<Box<[u8]>> {
        let offset = index * BLOCK as u64;
        let mut block = vec![0; self.size.saturating_sub(offset).min(BLOCK as u64) as usize];
        let mut filled = 0;
        while filled < block.len() {
            match rustix::io::pread(self.file, &mut block[filled..], offset + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => filled += length,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(block.into_boxed_slice())
    }

    /// Reads a block as it was.
    fn again(&self, index: u64) -> io::Result<Box<[u8]>> {
        let block = match self.fetch(index) {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
            other => other.ok(),
        };
        let expected = usize::try_from(index).ok().and_then(|index| self.blocks.get(index));
        match block.filter(|block| Some(&self.keys.hash_one(&**block)) == expected) {
            Some(block) => Ok(block),
            None => {
                self.is_changed.set(true);
                Err(io::Error::other("the file changed while it was inspected"))
            }
        }
    }

    fn keep(&self, index: u64, block: Box<[u8]>) {
        self.kept.borrow_mut()[(index % MOST_KEPT as u64) as usize] = Some((index, block));
    }

    /// Copies from a block, from `within` on, what of it fits.
    fn copy(&self, index: u64, within: usize, into: &mut [u8]) -> io::Result<usize> {
        let is_kept = |kept: &Option<Kept>| kept.as_ref().is_some_and(|(at, _)| *at == index);
        let slot = (index % MOST_KEPT as u64) as usize;
        if !is_kept(&self.kept.borrow()[slot]) {
            let block = self.again(index)?;
            self.keep(index, block);
        }
        let kept = self.kept.borrow();
        let block = kept[slot].as_ref().map(|(_, block)| &**block).unwrap_or_default();
        let bytes = block.get(within..).unwrap_or_default();
        let length = bytes.len().min(into.len());
        into[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }
}

impl Source for Proven<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            let Some(at) = offset.checked_add(filled as u64).filter(|at| *at < self.size) else { break };
            let (index, within) = (at / BLOCK as u64, (at % BLOCK as u64) as usize);
            filled += self.copy(index, within, &mut into[filled..])?;
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    /// More than is kept, and no whole number of blocks.
    const SIZE: usize = (MOST_KEPT + 3) * BLOCK + 777;

    fn file() -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..SIZE).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        (file, bytes)
    }

    #[test]
    fn what_is_read_is_what_lies_there() {
        let (file, bytes) = file();
        let (proven, digest) = Proven::read(file.as_fd()).unwrap();
        assert_eq!(digest, model::Sha256(sha2::Sha256::digest(&bytes).into()));
        assert_eq!(proven.size(), SIZE as u64);
        for (offset, length) in
            [(0, 10), (BLOCK - 5, 10), (BLOCK, 2 * BLOCK), (SIZE - 3, 99), (3, SIZE), (SIZE, 4)]
        {
            let end = (offset + length).min(SIZE);
            assert!(proven.piece(offset as u64, length).unwrap() == bytes[offset..end], "{offset}");
        }
        assert_eq!(proven.read_at(u64::MAX, &mut [0; 4]).unwrap(), 0);
        assert!(!proven.is_changed());
    }

    #[test]
    fn what_changed_meanwhile_is_never_read() {
        let (file, bytes) = file();
        let (proven, _) = Proven::read(file.as_fd()).unwrap();
        // Its block was read long ago and is not kept any more.
        file.write_all_at(&[bytes[100] ^ 1], 100).unwrap();
        assert_eq!(proven.piece(BLOCK as u64, 9).unwrap(), bytes[BLOCK..BLOCK + 9], "the next one did not");
        proven.piece(0, 9).unwrap_err();
        assert!(proven.is_changed());

        file.write_all_at(&bytes[100..101], 100).unwrap();
        let (proven, _) = Proven::read(file.as_fd()).unwrap();
        file.set_len(BLOCK as u64 / 2).unwrap();
        proven.piece(0, 9).unwrap_err();
        assert!(proven.is_changed());
    }

    #[test]
    fn an_empty_file_has_the_digest_of_nothing() {
        let file = tempfile::tempfile().unwrap();
        let (proven, digest) = Proven::read(file.as_fd()).unwrap();
        assert_eq!(digest, model::Sha256(sha2::Sha256::digest([]).into()));
        assert_eq!(proven.piece(0, 9).unwrap(), b"");
    }
}
