//! One pass over the bytes of a file, for everything that needs all of them.

use std::io;

use crate::source::Source;

/// How much is read at once.
const PIECE: u64 = 256 * 1024;

/// Hands the bytes of `source` to `take`, piece by piece, from the first to the last that it had when it was opened.
/// Fails if there are fewer now.
pub(crate) fn each(source: &dyn Source, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let size = source.size();
    let mut buffer = vec![0; usize::try_from(PIECE.min(size)).unwrap_or_default()];
    let mut at = 0_u64;
    while at < size {
        let most = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..most).unwrap_or_default();
        let length = source.read_at(at, piece)?;
        if length == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        take(piece.get(..length).unwrap_or_default());
        at = at.saturating_add(length as u64);
    }
    Ok(())
}
