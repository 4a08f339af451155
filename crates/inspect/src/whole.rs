//! Everything that a file's bytes say.

use std::io;

use model::Time;
use model::inspection::Inspection;

use crate::kind::{self, HEAD};
use crate::pe;
use crate::signature::{self, Known};
use crate::source::Source;
use crate::trust::Trust;

/// Everything that the bytes of `source` say: signatures are judged by `trust` as of `now`.
///
/// Fails only when the bytes cannot be read: what is wrong with them is told in the record.
pub fn inspect(source: &dyn Source, trust: &Trust, now: Time) -> io::Result<Inspection> {
    let head = source.piece(0, HEAD)?;
    let layout = pe::Layout::read(source)?;
    let (signature, further_signatures) =
        signature::inspect(source, layout.as_ref(), Known::default(), trust, now)?;
    let facts = kind::facts(&head, source.size());
    Ok(Inspection { facts, signature, further_signatures, ..Inspection::default() })
}
