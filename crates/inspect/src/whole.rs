//! Everything that a file's bytes say.

use std::io;

use model::inspection::Inspection;
use model::{Digests, Time};

use crate::digests::Digester;
use crate::source::Source;
use crate::trust::Trust;
use crate::{kind, pass, pe, signature};

/// Everything that the bytes of `source` say: signatures are judged by `trust` as of `now`.
///
/// Fails only when the bytes cannot be read, or became fewer: what is wrong with them is told in the record.
pub fn inspect(source: &dyn Source, trust: &Trust, now: Time) -> io::Result<Inspection> {
    look(source, trust, now, None)
}

/// Like [`inspect`], with all three names of the file, in the same pass over its bytes.
pub fn inspect_and_name(source: &dyn Source, trust: &Trust, now: Time) -> io::Result<(Digests, Inspection)> {
    let mut digester = Digester::default();
    let found = look(source, trust, now, Some(&mut digester))?;
    Ok((digester.finish(), found))
}

fn look(
    source: &dyn Source,
    trust: &Trust,
    now: Time,
    mut digester: Option<&mut Digester>,
) -> io::Result<Inspection> {
    let mut found = Inspection::default();
    found.facts.size = source.size();
    let refined = kind::refined(source)?;
    found.facts.file_type = refined.file_type;
    found.facts.subtype = refined.subtype.map(str::to_owned);
    found.script_interpreter = refined.interpreter;
    let mut program = pe::begin(source, &mut found)?;
    if digester.is_some() || program.is_some() {
        pass::each(source, |piece| {
            if let Some(digester) = &mut digester {
                digester.update(piece);
            }
            if let Some(program) = &mut program {
                program.update(piece);
            }
        })?;
    }
    if let Some((program, pe)) = program.zip(found.pe.as_mut()) {
        program.finish(pe);
    }
    (found.signature, found.further_signatures) = signature::inspect(source, found.pe.as_ref(), trust, now)?;
    Ok(found)
}
