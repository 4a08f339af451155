//! What lies at an address of a program, found as `pefile` finds it.

use std::io;

use super::layout::Layout;
use super::sections::{self, Alignment, Entry};
use crate::source::Source;

/// A program's bytes by their addresses in memory, relative to its beginning.
pub(super) struct Image<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) layout: &'a Layout,
    /// In the order of the table.
    pub(super) entries: Vec<Entry>,
    /// In the order of their addresses.
    ranges: Vec<Range>,
}

/// A section, where it lies in memory and in the file.
struct Range {
    start: u64,
    end: u64,
    raw_at: u64,
    raw_end: u64,
}

impl<'a> Image<'a> {
    pub(super) fn read(source: &'a dyn Source, layout: &'a Layout) -> io::Result<Self> {
        let entries = sections::read(source, layout)?;
        let ranges = ranges(&entries, Alignment::of(layout), source.size());
        Ok(Self { source, layout, entries, ranges })
    }

    /// Where in the file `address` lies. What is in no section lies where its address says.
    pub(super) fn offset(&self, address: u64) -> Option<u64> {
        match self.range(address) {
            Some(range) => address.checked_sub(range.start)?.checked_add(range.raw_at),
            None => (address < self.source.size()).then_some(address),
        }
    }

    /// At most `most` bytes from `address` on, as far as its section has them in the file; none if nothing is there.
    pub(super) fn bytes(&self, address: u64, most: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(offset) = self.offset(address) else { return Ok(None) };
        let most = match self.range(address) {
            Some(range) => {
                let rest = range.raw_end.saturating_sub(offset);
                most.min(usize::try_from(rest).unwrap_or(usize::MAX))
            }
            None => most,
        };
        self.source.piece(offset, most).map(Some)
    }

    /// The bytes from `address` up to a zero byte, at most `most`.
    pub(super) fn text(&self, address: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = self.bytes(address, most)?.unwrap_or_default();
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            bytes.truncate(end);
        }
        Ok(bytes)
    }

    fn range(&self, address: u64) -> Option<&Range> {
        self.ranges.iter().find(|range| (range.start..range.end).contains(&address))
    }
}

fn ranges(entries: &[Entry], alignment: Alignment, size: u64) -> Vec<Range> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.address);
    let following = sorted.iter().skip(1).map(|entry| Some(entry.address)).chain([None]);
    sorted.iter().zip(following).map(|(entry, next)| range(entry, next, alignment, size)).collect()
}

/// A section ends where the next begins. A length in the file that the file does not have counts for nothing.
fn range(entry: &Entry, next: Option<u32>, alignment: Alignment, size: u64) -> Range {
    let start = u64::from(alignment.address(entry));
    let raw_at = u64::from(alignment.raw_at(entry));
    let length = if size.saturating_sub(raw_at) < entry.raw_size.into() {
        entry.virtual_size
    } else {
        entry.virtual_size.max(entry.raw_size)
    };
    let end = start.saturating_add(length.into());
    let cut = next.filter(|next| *next > entry.address).map_or(end, |next| end.min(next.into()));
    let raw_end = u64::from(entry.raw_at).saturating_add(entry.raw_size.into());
    Range { start, end: cut, raw_at, raw_end }
}
