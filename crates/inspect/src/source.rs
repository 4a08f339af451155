//! Where bytes come from.

use std::io;

/// The bytes of one file. They may change while they are read, and no offset is trusted.
pub trait Source {
    /// Length in bytes, when it was opened.
    fn size(&self) -> u64;

    /// Fills `into` from `offset` on as far as there are bytes, and says how many there were.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// At most `most` bytes from `offset` on, but no more than there are.
    fn piece(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let there = usize::try_from(self.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut piece = vec![0; most.min(there)];
        let length = self.read_at(offset, &mut piece)?;
        piece.truncate(length);
        Ok(piece)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, into)
    }
}

impl Source for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let length = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_there_is() {
        let bytes: &[u8] = b"abcdef";
        assert_eq!(bytes.piece(2, 3).unwrap(), b"cde");
        assert_eq!(bytes.piece(4, 99).unwrap(), b"ef");
        assert_eq!(bytes.piece(7, 1).unwrap(), b"");
        assert_eq!(bytes.piece(u64::MAX, 1).unwrap(), b"");
    }
}
