//! The table that tells the loader what to do.

use std::io;

use super::form::Form;
use super::reading::Reading;
use super::tables::{PT_DYNAMIC, Tables};

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_SONAME: u64 = 14;
const DT_DEBUG: u64 = 21;
const DT_BIND_NOW: u64 = 24;
const DT_FLAGS: u64 = 30;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_BIND_NOW: u64 = 8;
const DF_1_NOW: u64 = 1;
const DF_1_PIE: u64 = 0x0800_0000;

/// More entries are not read; real files have some dozens.
const MOST_ENTRIES: usize = 4096;
/// Nor are more libraries.
const MOST_NEEDED: usize = 256;

/// What the table says.
#[derive(Debug, Default)]
pub(super) struct Dynamic {
    pub(super) needed: Vec<String>,
    pub(super) soname: Option<String>,
    /// Everything is bound before it runs.
    pub(super) binds_now: bool,
    /// It calls itself a program, or has what linkers leave in programs alone.
    pub(super) is_program: bool,
}

impl Dynamic {
    /// None for a file without such a table.
    pub(super) fn read(reading: &Reading<'_>, form: Form, tables: &Tables) -> io::Result<Option<Self>> {
        let Some(segment) = tables.last(PT_DYNAMIC) else { return Ok(None) };
        // The loader looks at the memory; the segment's own offset is only a hint.
        let (offset, length) = tables.loaded_from(segment.address).unwrap_or((segment.offset, segment.size));
        let entry = 2 * form.word_length();
        let bytes = reading.piece(offset, length.min(segment.size), MOST_ENTRIES * entry)?;
        let entries = bytes.chunks_exact(entry).map_while(|row| {
            let (tag, value) = (form.word(row, 0)?, form.word(row, form.word_length())?);
            (tag != DT_NULL).then_some((tag, value))
        });
        let entries: Vec<_> = entries.collect();
        if entries.is_empty() {
            return Ok(None);
        }
        if entries.len() >= MOST_ENTRIES {
            reading.too_big();
        }
        let last =
            |wanted: u64| entries.iter().rev().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
        let flags = last(DT_FLAGS).unwrap_or_default();
        let flags_1 = last(DT_FLAGS_1).unwrap_or_default();
        let strings = last(DT_STRTAB).and_then(|address| tables.loaded_from(address));
        let strings = strings.map(|(offset, left)| (offset, left.min(last(DT_STRSZ).unwrap_or(left))));
        let mut dynamic = Self {
            binds_now: last(DT_BIND_NOW).is_some() || flags & DF_BIND_NOW != 0 || flags_1 & DF_1_NOW != 0,
            is_program: flags_1 & DF_1_PIE != 0 || last(DT_DEBUG).is_some(),
            ..Self::default()
        };
        let needed: Vec<u64> =
            entries.iter().filter(|(tag, _)| *tag == DT_NEEDED).map(|(_, at)| *at).collect();
        if needed.len() > MOST_NEEDED {
            reading.too_big();
        }
        for at in needed.into_iter().take(MOST_NEEDED) {
            dynamic.needed.extend(text(reading, strings, at)?);
        }
        if let Some(at) = last(DT_SONAME) {
            dynamic.soname = text(reading, strings, at)?;
        }
        Ok(Some(dynamic))
    }
}

/// A text of the table's strings, which lie at an offset and are so many bytes.
fn text(reading: &Reading<'_>, strings: Option<(u64, u64)>, at: u64) -> io::Result<Option<String>> {
    let place = strings.and_then(|(offset, length)| Some((offset.checked_add(at)?, length.checked_sub(at)?)));
    let text = match place {
        Some((offset, left)) => reading.text(offset, left)?,
        None => None,
    };
    if text.is_none() {
        reading.malformed("a name of its dynamic table is not there");
    }
    Ok(text)
}
