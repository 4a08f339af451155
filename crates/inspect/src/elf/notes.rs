//! The note that names a build.

use std::io;

use super::form::Form;
use super::reading::Reading;
use super::tables::{PT_NOTE, SHT_NOTE, Tables};

const NT_GNU_BUILD_ID: u32 = 3;
/// More places with notes are not looked at, nor more bytes of each.
const MOST_PLACES: usize = 32;
const LONGEST: usize = 64 << 10;
/// No more of it is kept.
const LONGEST_ID: usize = 64;

/// The build id; empty when there is none.
pub(super) fn build_id(reading: &Reading<'_>, form: Form, tables: &Tables) -> io::Result<Vec<u8>> {
    let segments = tables.segments.iter().filter(|segment| segment.kind == PT_NOTE);
    let segments = segments.map(|segment| (segment.offset, segment.size, segment.align));
    let sections = tables.sections.iter().filter(|section| section.kind == SHT_NOTE);
    let sections = sections.map(|section| (section.offset, section.size, section.align));
    for (offset, size, align) in segments.take(MOST_PLACES).chain(sections.take(MOST_PLACES)) {
        let notes = reading.piece(offset, size, LONGEST)?;
        if let Some(id) = named(form, &notes, if align == 8 { 8 } else { 4 }) {
            return Ok(id.get(..LONGEST_ID).unwrap_or(id).to_vec());
        }
    }
    Ok(Vec::new())
}

fn named(form: Form, notes: &[u8], align: usize) -> Option<&[u8]> {
    let mut rest = notes;
    loop {
        let length = |at: usize| form.u32(rest, at).and_then(|length| usize::try_from(length).ok());
        let (name_length, length, kind) = (length(0)?, length(4)?, form.u32(rest, 8)?);
        let name = rest.get(12..)?.get(..name_length)?;
        let begin = 12_usize.checked_add(name_length)?.checked_next_multiple_of(align)?;
        let description = rest.get(begin..)?.get(..length)?;
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" && !description.is_empty() {
            return Some(description);
        }
        rest = rest.get(begin.checked_add(length)?.checked_next_multiple_of(align)?..)?;
    }
}
