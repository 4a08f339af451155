//! Portable executables: the certificate table.

use std::io;

use super::{Covered, Form, LARGEST};
use crate::le;
use crate::pe::{Layout, authentihash};
use crate::signature::cms::algorithm::Hash;
use crate::source::Source;

/// Length, revision and type before each certificate.
const HEADER: usize = 8;
const SIGNED_DATA: u16 = 2;
/// The first is legacy and still verified.
const REVISIONS: [u16; 2] = [0x0100, 0x0200];
/// Entries of the table that are looked at.
const MOST_ENTRIES: usize = 16;

pub(super) fn read<'l>(source: &dyn Source, layout: &'l Layout) -> io::Result<Form<'l>> {
    let covered = Covered::Pe(layout);
    if layout.certificates.size == 0 || layout.certificates.offset == 0 {
        return Ok(Form::unsigned(covered));
    }
    let Some(span) = layout.certificates_within(source.size()).filter(|span| span.size <= LARGEST) else {
        return Ok(Form::broken(covered));
    };
    // The digest does not say where the table was left out. At the end, and behind all that is loaded, there is one place.
    let is_last = span.offset.saturating_add(span.size) == source.size();
    let is_bound = is_last && layout.sections_end(source)? <= span.offset;
    let covered = if is_bound { covered } else { Covered::Nothing };
    let table = source.piece(span.offset, usize::try_from(span.size).unwrap_or_default())?;
    let (signatures, uncovered) = entries(&table);
    Ok(Form { is_broken: signatures.is_empty(), signatures, covered, uncovered })
}

/// The signatures in a certificate table, with what lies behind them up to the next; and how many bytes that are not
/// zero lie in none of them.
fn entries(table: &[u8]) -> (Vec<Vec<u8>>, u64) {
    let not_zero = |bytes: &[u8]| bytes.iter().filter(|byte| **byte != 0).count() as u64;
    let mut found = Vec::new();
    let mut uncovered: u64 = 0;
    let mut rest = table;
    for _ in 0..MOST_ENTRIES {
        let Some(length) = le::word(rest, 0).and_then(|length| usize::try_from(length).ok()) else { break };
        let (revision, kind) = (le::half(rest, 4), le::half(rest, 6));
        let Some(content) = rest.get(HEADER..length.max(HEADER)) else { break };
        let is_signature = kind == Some(SIGNED_DATA) && revision.is_some_and(|one| REVISIONS.contains(&one));
        let Some(next) = length.max(HEADER).checked_next_multiple_of(8) else { break };
        // What fills the entry up to the next belongs to none.
        let behind = rest.get(length.max(HEADER)..next.min(rest.len())).unwrap_or_default();
        if is_signature {
            found.push([content, behind].concat());
        } else {
            let entry = rest.get(..next.min(rest.len())).unwrap_or_default();
            uncovered = uncovered.saturating_add(not_zero(entry));
        }
        rest = rest.get(next..).unwrap_or_default();
    }
    (found, uncovered.saturating_add(not_zero(rest)))
}

/// Authenticode's digest.
pub(super) fn digest(source: &dyn Source, layout: &Layout, hash: Hash) -> io::Result<Vec<u8>> {
    Ok(match hash {
        Hash::Sha1 => authentihash::<sha1::Sha1>(source, layout)?.to_vec(),
        Hash::Sha256 => authentihash::<sha2::Sha256>(source, layout)?.to_vec(),
        Hash::Sha384 => authentihash::<sha2::Sha384>(source, layout)?.to_vec(),
        Hash::Sha512 => authentihash::<sha2::Sha512>(source, layout)?.to_vec(),
    })
}
