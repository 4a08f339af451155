//! Small reads here and there, served from pieces that were read before.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

use crate::source::Source;

const BLOCK: u64 = 16 * 1024;
/// All blocks are let go when there are this many: 2 MiB.
const MOST: usize = 128;

/// A source that is read in blocks and remembers them.
pub(crate) struct Blocks<'a> {
    source: &'a dyn Source,
    blocks: RefCell<HashMap<u64, Vec<u8>>>,
}

impl<'a> Blocks<'a> {
    /// Remembers nothing yet.
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, blocks: RefCell::default() }
    }

    /// Copies from the block that holds `offset`; 0 at the end.
    fn copy(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let start = offset - offset % BLOCK;
        let mut blocks = self.blocks.borrow_mut();
        if blocks.len() >= MOST && !blocks.contains_key(&start) {
            blocks.clear();
        }
        let block = match blocks.entry(start) {
            std::collections::hash_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::hash_map::Entry::Vacant(room) => {
                room.insert(self.source.piece(start, BLOCK as usize)?)
            }
        };
        let rest = block.get((offset % BLOCK) as usize..).unwrap_or_default();
        let length = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(length)
    }
}

impl Source for Blocks<'_> {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0_usize;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(at) = offset.checked_add(done as u64) else { break };
            match self.copy(at, rest)? {
                0 => break,
                length => done = done.saturating_add(length),
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_read_what_the_source_holds() {
        let bytes: Vec<u8> = (0..BLOCK * 300 + 5).map(|n| (n % 251) as u8).collect();
        let bytes = bytes.as_slice();
        let blocks = Blocks::new(&bytes);
        let end = bytes.len() as u64;
        for (offset, most) in
            [(0, 10), (BLOCK - 3, 7), (5, 3 * BLOCK as usize), (end - 2, 9), (end, 4), (u64::MAX, 1)]
        {
            assert_eq!(blocks.piece(offset, most).unwrap(), bytes.piece(offset, most).unwrap(), "{offset}");
        }
        for offset in (0..end).step_by(BLOCK as usize) {
            assert_eq!(blocks.piece(offset, 3).unwrap(), bytes.piece(offset, 3).unwrap());
        }
        assert!(blocks.blocks.borrow().len() <= MOST);
    }
}
