//! Making a record fit, whatever a file made inspection say.

use prost::Message;

use super::LARGEST;
use crate::link::v1;

/// Lists are cut to these lengths in turn, until the record fits: without lists each does, with the longest texts there
/// may be.
const LENGTHS: [usize; 6] = [256, 64, 32, 8, 2, 0];

/// The same, or less of it.
pub(super) fn fit(mut told: v1::Inspection) -> v1::Inspection {
    for length in LENGTHS {
        if told.encoded_len() <= LARGEST {
            return told;
        }
        told.shortened = true;
        shorten_lists(&mut told, length);
    }
    told
}

fn shorten_lists(told: &mut v1::Inspection, length: usize) {
    told.further_signatures.truncate(length);
    if let Some(pe) = &mut told.pe {
        pe.sections.truncate(length);
    }
    if let Some(elf) = &mut told.elf {
        elf.needed.truncate(length);
        elf.go.iter_mut().for_each(|go| go.dependencies.truncate(length));
        elf.rust.iter_mut().for_each(|rust| rust.crates.truncate(length));
    }
    if let Some(signature) = &mut told.signature {
        signature.chain.truncate(length);
    }
}
