//! The section table, read as far as `pefile` believes it.

use std::io;

use super::layout::Layout;
use crate::le;
use crate::source::Source;

/// More are not read.
const MOST: u16 = 96;
const ENTRY: usize = 40;
const PAGE: u32 = 0x1000;
/// No section begins elsewhere in a file, whatever the header says.
const SECTOR: u32 = 0x200;
/// Beyond this an address or a length is taken for a lie.
const FAR: u32 = 0x1000_0000;
/// An entry with so many lies ends the table.
const LIES: usize = 3;

/// An entry of the section table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) virtual_size: u32,
    pub(super) address: u32,
    pub(super) raw_size: u32,
    pub(super) raw_at: u32,
    pub(super) characteristics: u32,
}

/// How a file's sections are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alignment {
    section: u32,
    file: u32,
}

impl Alignment {
    pub(super) fn of(layout: &Layout) -> Self {
        let optional = layout.optional();
        Self { section: le::word(optional, 32).unwrap_or(0), file: le::word(optional, 36).unwrap_or(0) }
    }

    /// Where in memory `entry` really begins.
    pub(super) fn address(self, entry: &Entry) -> u32 {
        let unit = if self.section < PAGE { self.file } else { self.section };
        let beyond = entry.address.checked_rem(unit).unwrap_or(0);
        entry.address.saturating_sub(beyond)
    }

    /// Where in the file `entry` really begins.
    pub(super) fn raw_at(self, entry: &Entry) -> u32 {
        if self.section < PAGE && entry.raw_at == entry.address {
            return entry.raw_at;
        }
        entry.raw_at & !(SECTOR.saturating_sub(1))
    }

    fn lies(self, entry: &Entry, size: u64) -> usize {
        let raw_end = u64::from(entry.raw_at).saturating_add(entry.raw_size.into());
        [
            raw_end > size,
            u64::from(entry.raw_at & !(SECTOR.saturating_sub(1))) > size,
            entry.virtual_size > FAR,
            self.address(entry) > FAR,
            entry.raw_at.checked_rem(self.file).is_some_and(|beyond| beyond != 0),
        ]
        .into_iter()
        .filter(|lie| *lie)
        .count()
    }
}

impl Entry {
    fn read(bytes: &[u8]) -> Option<Self> {
        let name = bytes.get(..8)?;
        let end = name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        Some(Self {
            name: name.get(..end)?.to_vec(),
            virtual_size: le::word(bytes, 8)?,
            address: le::word(bytes, 12)?,
            raw_size: le::word(bytes, 16)?,
            raw_at: le::word(bytes, 20)?,
            characteristics: le::word(bytes, 36)?,
        })
    }
}

/// How many sections the header claims.
pub(super) fn count(layout: &Layout) -> u16 {
    le::half(&layout.header, 6).unwrap_or(0)
}

/// The entries in the order of the table: up to an empty one, one that the file does not hold, or one that lies too
/// often.
pub(super) fn read(source: &dyn Source, layout: &Layout) -> io::Result<Vec<Entry>> {
    let optional_length = le::half(&layout.header, 20).unwrap_or(0);
    let at = layout.signature_at.saturating_add(24).saturating_add(optional_length.into());
    let length = usize::from(count(layout).min(MOST)).saturating_mul(ENTRY);
    let table = source.piece(at, length)?;
    let alignment = Alignment::of(layout);
    let size = source.size();
    let whole = table.chunks_exact(ENTRY).take_while(|bytes| bytes.iter().any(|byte| *byte != 0));
    let entries = whole.map_while(Entry::read);
    Ok(entries.take_while(|entry| alignment.lies(entry, size) < LIES).collect())
}
