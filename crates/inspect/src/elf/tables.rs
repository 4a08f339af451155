//! Segments and sections.

use std::io;

use super::form::Form;
use super::header::{Header, Table};
use super::reading::Reading;

pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_DYNAMIC: u32 = 2;
pub(super) const PT_INTERP: u32 = 3;
pub(super) const PT_NOTE: u32 = 4;
pub(super) const PT_GNU_STACK: u32 = 0x6474_e551;
pub(super) const PT_GNU_RELRO: u32 = 0x6474_e552;
pub(super) const PF_X: u32 = 1;
pub(super) const PF_W: u32 = 2;
pub(super) const SHT_SYMTAB: u32 = 2;
pub(super) const SHT_NOTE: u32 = 7;
pub(super) const SHT_NOBITS: u32 = 8;
pub(super) const SHF_EXECINSTR: u64 = 4;

/// The count stands in the first section.
const PN_XNUM: u16 = 0xffff;
/// The number stands in the first section.
const SHN_XINDEX: u16 = 0xffff;
/// More entries of a table are not read.
const MOST: u64 = 1 << 16;
/// Nor is more of the sections' names, in bytes.
const LONGEST_NAMES: usize = 8 << 20;

/// A part of the file that is loaded, or says how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    /// In the file.
    pub(super) size: u64,
    pub(super) align: u64,
}

/// A part of the file that has a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    name: u32,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    link: u32,
    /// What it is about; of the first one a count.
    info: u32,
    pub(super) align: u64,
}

/// Both tables, as far as they are there.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
    names: Vec<u8>,
}

impl Tables {
    pub(super) fn read(reading: &Reading<'_>, header: &Header) -> io::Result<Self> {
        let form = header.form;
        // Counts that don't fit into the header stand in the first section.
        let first = Table { count: 1, ..header.sections };
        let first = if header.sections.offset == 0 {
            Vec::new()
        } else {
            rows(reading, first, 1, "section table", section_length(form))?
        };
        let first = Section::parse(form, &first);
        let section_count = match (header.sections.count, &first) {
            (0, Some(first)) => first.size,
            (count, _) => u64::from(count),
        };
        let segment_count = match (header.segments.count, &first) {
            (PN_XNUM, Some(first)) => u64::from(first.info),
            (count, _) => u64::from(count),
        };
        let segments =
            rows(reading, header.segments, segment_count, "program header table", segment_length(form))?;
        let sections = if header.sections.offset == 0 {
            Vec::new()
        } else {
            rows(reading, header.sections, section_count, "section table", section_length(form))?
        };
        let mut tables = Self {
            segments: segments
                .chunks_exact(segment_length(form))
                .filter_map(|row| Segment::parse(form, row))
                .collect(),
            sections: sections
                .chunks_exact(section_length(form))
                .filter_map(|row| Section::parse(form, row))
                .collect(),
            names: Vec::new(),
        };
        let names = match (header.names, &first) {
            (SHN_XINDEX, Some(first)) => first.link,
            (number, _) => u32::from(number),
        };
        // The first section is none, and means that there are no names.
        if let Some(names) = usize::try_from(names)
            .ok()
            .filter(|names| *names != 0)
            .and_then(|names| tables.sections.get(names))
        {
            tables.names = tables.content(reading, names, LONGEST_NAMES)?;
        }
        Ok(tables)
    }

    /// The first section of this name.
    pub(super) fn named(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| {
            let at = usize::try_from(section.name).ok();
            let there = at.and_then(|at| self.names.get(at..)?.strip_prefix(name.as_bytes()));
            there.is_some_and(|rest| rest.first() == Some(&0))
        })
    }

    /// What a section holds, but no more than `most` bytes.
    pub(super) fn content(
        &self,
        reading: &Reading<'_>,
        section: &Section,
        most: usize,
    ) -> io::Result<Vec<u8>> {
        if section.kind == SHT_NOBITS {
            return Ok(Vec::new());
        }
        reading.piece(section.offset, section.size, most)
    }

    /// Where in the file what is loaded at `address` lies, and how much of the file is loaded behind it. Of segments
    /// that overlap the later one is loaded over the earlier.
    pub(super) fn loaded_from(&self, address: u64) -> Option<(u64, u64)> {
        let loads = self.segments.iter().rev().filter(|segment| segment.kind == PT_LOAD);
        loads.into_iter().find_map(|load| {
            let within = address.checked_sub(load.address)?;
            let left = load.size.checked_sub(within).filter(|left| *left > 0)?;
            Some((load.offset.checked_add(within)?, left))
        })
    }

    /// The last segment of a kind: the one that counts for kernel and loader.
    pub(super) fn last(&self, kind: u32) -> Option<&Segment> {
        self.segments.iter().rev().find(|segment| segment.kind == kind)
    }
}

const fn segment_length(form: Form) -> usize {
    if form.is_wide { 56 } else { 32 }
}

const fn section_length(form: Form) -> usize {
    if form.is_wide { 64 } else { 40 }
}

/// The bytes of a table's entries, as far as they are there. What is wrong with it is noted.
fn rows(reading: &Reading<'_>, table: Table, count: u64, what: &str, length: usize) -> io::Result<Vec<u8>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if usize::from(table.entry) != length {
        reading.malformed(format!("entries of its {what} are of the wrong length"));
        return Ok(Vec::new());
    }
    if count > MOST {
        reading.too_big();
    }
    let length = count.min(MOST).saturating_mul(length as u64);
    let there = reading.piece(table.offset, length, usize::MAX)?;
    if (there.len() as u64) < length {
        reading.malformed(format!("its {what} lies outside of the file"));
    }
    Ok(there)
}

impl Segment {
    fn parse(form: Form, row: &[u8]) -> Option<Self> {
        let word = |number: usize| form.word(row, if form.is_wide { 8 * number } else { 4 * number });
        Some(Self {
            kind: form.u32(row, 0)?,
            flags: form.u32(row, if form.is_wide { 4 } else { 24 })?,
            offset: word(1)?,
            address: word(2)?,
            size: word(4)?,
            align: word(if form.is_wide { 6 } else { 7 })?,
        })
    }
}

impl Section {
    fn parse(form: Form, row: &[u8]) -> Option<Self> {
        let word = form.word_length();
        Some(Self {
            name: form.u32(row, 0)?,
            kind: form.u32(row, 4)?,
            flags: form.word(row, 8)?,
            offset: form.word(row, 8 + 2 * word)?,
            size: form.word(row, 8 + 3 * word)?,
            link: form.u32(row, 8 + 4 * word)?,
            info: form.u32(row, 12 + 4 * word)?,
            align: form.word(row, 16 + 4 * word)?,
        })
    }
}
