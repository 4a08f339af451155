//! The record of an inspection, in and out. It comes from a process that parses hostile bytes, or from another machine:
//! whatever it says, what is made of it is small.

mod bounds;
mod elf;
mod fit;
mod pe;
mod signature;

use model::inspection::{Inspection, Outcome};
use prost::Message;

use super::{Malformed, v1};
use bounds::{TEXT, cut, few, some_text, text};

/// No record is longer, in bytes.
pub const LARGEST: usize = 64 << 10;

/// Signatures beside the first.
const FURTHER: usize = 16;
/// Of a subtype, an interpreter, a reason.
const SHORT: usize = 512;

/// The bytes of a record: at most [`LARGEST`]. What has no room is cut, and the record says so.
pub fn encode(inspection: &Inspection) -> Vec<u8> {
    told(inspection).encode_to_vec()
}

/// A record as a part of a message: encoded it has at most [`LARGEST`] bytes.
pub fn told(inspection: &Inspection) -> v1::Inspection {
    let mut told = v1::Inspection::from(inspection);
    // Texts are cut there.
    told.shortened |= Inspection::try_from(told.clone()).as_ref() != Ok(inspection);
    fit::fit(told)
}

/// Reads a record.
///
/// # Errors
/// When it is too long, no such message, or says what no inspection would.
pub fn decode(bytes: &[u8]) -> Result<Inspection, Malformed> {
    if bytes.len() > LARGEST {
        return Err(Malformed("inspection (its length)"));
    }
    v1::Inspection::decode(bytes).map_err(|_| Malformed("inspection"))?.try_into()
}

impl From<&Inspection> for v1::Inspection {
    fn from(inspection: &Inspection) -> Self {
        // Whoever adds a field is to find this place.
        let Inspection {
            facts,
            outcome,
            publisher,
            product_name,
            pe,
            elf,
            signature,
            further_signatures,
            script_interpreter,
            is_shortened,
        } = inspection;
        let reason = match outcome {
            Outcome::Malformed(reason) => cut(reason, SHORT),
            Outcome::Whole | Outcome::TooBig | Outcome::TimedOut => String::new(),
        };
        let mut facts: v1::Facts = facts.into();
        facts.subtype = cut(&facts.subtype, SHORT);
        Self {
            facts: Some(facts),
            outcome: outcome.word().to_owned(),
            reason,
            publisher: publisher.as_deref().map(|text| cut(text, TEXT)),
            product_name: product_name.as_deref().map(|text| cut(text, TEXT)),
            pe: pe.as_ref().map(Into::into),
            elf: elf.as_ref().map(Into::into),
            signature: signature.as_ref().map(Into::into),
            further_signatures: further_signatures.iter().take(FURTHER).map(Into::into).collect(),
            script_interpreter: script_interpreter.as_deref().map(|text| cut(text, SHORT)),
            shortened: *is_shortened,
        }
    }
}

impl TryFrom<v1::Inspection> for Inspection {
    type Error = Malformed;

    fn try_from(told: v1::Inspection) -> Result<Self, Malformed> {
        let reason = text(told.reason, SHORT, "reason")?;
        let facts = told.facts.ok_or(Malformed("facts"))?;
        if facts.subtype.len() > SHORT {
            return Err(Malformed("subtype"));
        }
        let inspection = Self {
            facts: facts.into(),
            outcome: Outcome::from_word(&told.outcome, &reason).ok_or(Malformed("outcome"))?,
            publisher: some_text(told.publisher, TEXT, "publisher")?,
            product_name: some_text(told.product_name, TEXT, "product name")?,
            pe: told.pe.map(TryInto::try_into).transpose()?,
            elf: told.elf.map(TryInto::try_into).transpose()?,
            signature: told.signature.map(TryInto::try_into).transpose()?,
            further_signatures: few(told.further_signatures, FURTHER, "further signatures")?,
            script_interpreter: some_text(told.script_interpreter, SHORT, "script interpreter")?,
            is_shortened: told.shortened,
        };
        // What runs out of time says nothing of what it had found.
        if inspection.outcome == Outcome::TimedOut && !inspection.is_cut_short() {
            return Err(Malformed("inspection (of a file that was not read)"));
        }
        Ok(inspection)
    }
}

#[cfg(test)]
mod tests;
