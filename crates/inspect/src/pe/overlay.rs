//! What lies behind everything that a program's header speaks of.

use std::io;

use model::inspection::Span;

use super::image::Image;
use crate::le;

const SECURITY: usize = 4;
const DIRECTORIES: usize = 16;
/// Signers fill a file up to a multiple of eight before they put the certificate table behind it.
const PADDING: u64 = 8;

/// The overlay: from the end of the furthest part that lies within the file, as `pefile` finds it, up to the certificate
/// table or the end of the file.
pub(super) fn find(image: &Image<'_>) -> io::Result<Option<Span>> {
    let size = image.source.size();
    let start = parts_end(image, size);
    let Some(table) = image.layout.certificates_within(size).filter(|table| table.offset >= start) else {
        return Ok(span(start, size));
    };
    let before = span(start, table.offset);
    let is_padding = match before {
        Some(gap) if gap.size < PADDING => {
            image.source.piece(gap.offset, gap.size as usize)?.iter().all(|byte| *byte == 0)
        }
        Some(_) => false,
        None => true,
    };
    Ok(if is_padding { span(table.offset.saturating_add(table.size), size) } else { before })
}

fn span(start: u64, end: u64) -> Option<Span> {
    let size = end.checked_sub(start).filter(|size| *size > 0)?;
    Some(Span { offset: start, size })
}

fn parts_end(image: &Image<'_>, size: u64) -> u64 {
    let layout = image.layout;
    let optional_at = layout.signature_at.saturating_add(24);
    let optional_length = le::half(&layout.header, 20).unwrap_or(0);
    let header = (optional_at, u64::from(optional_length));
    let sections = image.entries.iter().map(|entry| (u64::from(entry.raw_at), u64::from(entry.raw_size)));
    let directories = (0..DIRECTORIES).filter(|index| *index != SECURITY).filter_map(|index| {
        let (address, length) = layout.directory(index)?;
        Some((image.offset(address.into())?, u64::from(length)))
    });
    let ends = std::iter::once(header).chain(sections).chain(directories);
    ends.map(|(offset, length)| offset.saturating_add(length)).filter(|end| *end <= size).max().unwrap_or(0)
}
