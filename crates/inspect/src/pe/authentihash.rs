//! The digest that Authenticode signs: the file without its checksum, the directory entry of its certificate table, and
//! that table.

use std::io;
use std::ops::Range;

use digest::{Digest, Output};

use super::layout::Layout;
use crate::source::Source;

/// How much is read at once.
const PIECE: u64 = 256 * 1024;
/// Signers fill an unsigned file up to a multiple of this before they put the table behind it.
const ALIGNMENT: u64 = 8;

/// The ranges of a file of `size` bytes that the digest covers, in their order; empty ones among them.
///
/// A certificate table that does not lie whole in the file is none. What lies behind a table is covered.
pub(crate) fn covered(layout: &Layout, size: u64) -> [Range<u64>; 4] {
    let checksum_end = layout.checksum_at.saturating_add(4).min(size);
    let to_checksum = 0..layout.checksum_at.min(size);
    let Some(security_at) = layout.security_at else {
        return [to_checksum, checksum_end..size, size..size, size..size];
    };
    let security_end = security_at.saturating_add(8).min(size);
    let to_security = checksum_end..security_at.min(size);
    let table = layout.certificates_within(size).map_or(size..size, |span| {
        let end = span.offset.saturating_add(span.size);
        span.offset..end
    });
    [to_checksum, to_security, security_end..table.start, table.end..size]
}

/// How many zero bytes are digested behind a file without a certificate table, so that its digest is the one it will
/// have when it is signed.
pub(crate) fn padding(layout: &Layout, size: u64) -> &'static [u8] {
    const ZEROS: &[u8] = &[0; ALIGNMENT as usize];
    if layout.certificates_within(size).is_some() {
        return &[];
    }
    let missing = size.checked_next_multiple_of(ALIGNMENT).unwrap_or(size).saturating_sub(size);
    usize::try_from(missing).ok().and_then(|missing| ZEROS.get(..missing)).unwrap_or_default()
}

/// The Authenticode digest of `source`, read in pieces.
pub(crate) fn authentihash<D: Digest>(
    source: &(impl Source + ?Sized),
    layout: &Layout,
) -> io::Result<Output<D>> {
    let size = source.size();
    let mut digest = D::new();
    let mut piece = vec![0; usize::try_from(PIECE.min(size)).unwrap_or_default()];
    for range in covered(layout, size) {
        let mut at = range.start;
        while at < range.end {
            let most = usize::try_from(range.end.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
            let part = piece.get_mut(..most).unwrap_or_default();
            let length = source.read_at(at, part)?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            digest.update(part.get(..length).unwrap_or_default());
            at = at.saturating_add(length as u64);
        }
    }
    digest.update(padding(layout, size));
    Ok(digest.finalize())
}
