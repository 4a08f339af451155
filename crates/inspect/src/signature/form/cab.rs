//! Cabinets: the reserved area of the header tells where the signature lies.

use std::io;

use super::{Covered, Form, LARGEST, not_zero};
use crate::le;
use crate::source::Source;

const FLAGS_AT: usize = 30;
const HAS_RESERVE: u16 = 0x0004;
const RESERVE_LENGTH_AT: usize = 36;
/// Of a signed cabinet.
const RESERVE_LENGTH: u16 = 20;
/// Two bytes: the room that each folder's and each block's entry reserves. It moves the tables and is not covered.
const FURTHER_RESERVES_AT: usize = 38;
const SIGNATURE_AT: usize = 44;
const SIGNATURE_LENGTH_AT: usize = 48;
const HEADER: usize = 60;

pub(super) fn read(source: &dyn Source) -> io::Result<Form<'static>> {
    let size = source.size();
    let head = source.piece(0, HEADER)?;
    let Some((at, length)) = place(&head) else { return Ok(Form::unsigned(Covered::Whole)) };
    if le::half(&head, FURTHER_RESERVES_AT) != Some(0) {
        return Ok(Form::broken(Covered::Whole));
    }
    let Some(end) =
        at.checked_add(length).filter(|end| at >= HEADER as u64 && *end <= size && length <= LARGEST)
    else {
        return Ok(Form::broken(Covered::Whole));
    };
    // Left out: the header's checksum, the number in the set, and the reserved area but its last four bytes.
    let covered = Covered::Ranges(vec![0..4, 8..34, 56..at]);
    let signature = source.piece(at, usize::try_from(length).unwrap_or_default())?;
    let uncovered = not_zero(source, end..size)?;
    Ok(Form { signatures: vec![signature], covered, uncovered, is_broken: false })
}

/// Where the signature lies, and its length; none if there is no signature.
fn place(head: &[u8]) -> Option<(u64, u64)> {
    let has_reserve = le::half(head, FLAGS_AT)? & HAS_RESERVE != 0;
    let is_signed = has_reserve && le::half(head, RESERVE_LENGTH_AT)? == RESERVE_LENGTH;
    let (at, length) = (le::word(head, SIGNATURE_AT)?, le::word(head, SIGNATURE_LENGTH_AT)?);
    (is_signed && at != 0 && length != 0).then(|| (at.into(), length.into()))
}
