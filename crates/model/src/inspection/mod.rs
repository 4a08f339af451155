//! The record of one inspection: everything that a file's bytes say, beyond the short [`Facts`] that travel with each
//! sighting.

mod elf;
mod pe;
mod signature;

pub use elf::{Elf, GoBuild, Library, Linkage, ModuleSignature, Relro, RustBuild};
pub use pe::{Pe, Section, Span, VersionInfo};
pub use signature::{Carrier, Certificate, Flaw, Signature, StampForm};

use crate::facts::Facts;

/// What inspection makes of bytes is of this version. Raised when it makes something else, or more, of the same bytes:
/// every file is then inspected again.
pub const VERSION: u32 = 1;

/// What the bytes of one file say. Made by `inspect`, for one content, whatever the file is called.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Inspection {
    /// The short facts.
    pub facts: Facts,
    /// How far inspection got.
    pub outcome: Outcome,
    /// Who made it, by its own word; never verified.
    pub publisher: Option<String>,
    /// To what product it belongs, by its own word; never verified.
    pub product_name: Option<String>,
    /// What only a portable executable has.
    pub pe: Option<Pe>,
    /// What only an ELF file has.
    pub elf: Option<Elf>,
    /// The signature that decides; none for an unsigned file and for a form that carries none.
    pub signature: Option<Signature>,
    /// Further signatures beside it, in their order; at most sixteen.
    pub further_signatures: Vec<Signature>,
    /// Interpreter of a script, as its first line says.
    pub script_interpreter: Option<String>,
    /// It had more to say than a record holds: lists or texts were cut.
    pub is_shortened: bool,
}

/// How far inspection got. Each of these is a fact of the file and none an error of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Everything that can be read was read.
    #[default]
    Whole,
    /// What its type promises is not there; the reason in a few words. What was read before it stands.
    Malformed(String),
    /// Larger than inspection takes on, as a whole or in one of its parts.
    TooBig,
    /// Inspection was ended after its time.
    TimedOut,
}

impl Outcome {
    /// The word on the wire and in the store.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Malformed(_) => "malformed",
            Self::TooBig => "too big",
            Self::TimedOut => "timed out",
        }
    }

    /// The outcome that `word` means, with the reason of one that has a reason.
    pub fn from_word(word: &str, reason: &str) -> Option<Self> {
        match word {
            "whole" => Some(Self::Whole),
            "malformed" => Some(Self::Malformed(reason.to_owned())),
            "too big" => Some(Self::TooBig),
            "timed out" => Some(Self::TimedOut),
            _ => None,
        }
    }
}

impl Inspection {
    /// Of a file that could not be inspected: nothing but what its beginning says, and why.
    pub fn unread(facts: Facts, outcome: Outcome) -> Self {
        Self { facts, outcome, ..Self::default() }
    }

    /// Whether it says nothing of the file but that time or room was short, and perhaps what its beginning says. A record
    /// with more content is judged by that, whatever its outcome.
    pub fn is_cut_short(&self) -> bool {
        matches!(self.outcome, Outcome::TimedOut | Outcome::TooBig)
            && *self == Self::unread(self.facts.clone(), self.outcome.clone())
    }

    /// Whether two honest inspections of the same bytes can have come to `self` and `other`: they may have been cut short,
    /// and trusted others, at another time.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.is_cut_short() || other.is_cut_short() || self.by_bytes_alone() == other.by_bytes_alone()
    }

    /// Without what depends on whom a machine trusts, which catalogues it has, and when it looked.
    fn by_bytes_alone(&self) -> Self {
        let signatures = self.signature.iter().chain(&self.further_signatures);
        let carried = signatures.filter(|signature| !matches!(signature.carrier, Carrier::Catalogue(_)));
        let claims = carried.map(|signature| Signature {
            is_valid: false,
            flaw: None,
            stamped_at: None,
            stamp: None,
            chain: Vec::new(),
            ..signature.clone()
        });
        Self { signature: None, further_signatures: claims.collect(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(signer: &str, is_valid: bool, carrier: Carrier) -> Inspection {
        let signature = Signature {
            signer: Some(signer.to_owned()),
            issuer: None,
            signer_hash: None,
            is_valid,
            flaw: (!is_valid).then_some(Flaw::UntrustedRoot),
            carrier,
            digest: None,
            stamped_at: None,
            stamp: None,
            chain: Vec::new(),
            uncovered_bytes: 0,
        };
        Inspection { signature: Some(signature), ..Inspection::default() }
    }

    #[test]
    fn every_outcome_comes_back_by_its_word() {
        for outcome in
            [Outcome::Whole, Outcome::Malformed("short".to_owned()), Outcome::TooBig, Outcome::TimedOut]
        {
            assert_eq!(Outcome::from_word(outcome.word(), "short"), Some(outcome));
        }
        assert_eq!(Outcome::from_word("fine", ""), None);
    }

    #[test]
    fn whom_a_machine_trusts_is_no_disagreement_and_who_signed_is() {
        let one = signed("a", true, Carrier::Embedded);
        assert!(one.agrees_with(&signed("a", false, Carrier::Embedded)));
        assert!(!one.agrees_with(&signed("b", true, Carrier::Embedded)));
        assert!(!one.agrees_with(&Inspection::default()));
        let catalogued = signed("c", true, Carrier::Catalogue("x.cat".to_owned()));
        assert!(catalogued.agrees_with(&Inspection::default()), "another machine may lack the catalogue");
        assert!(one.agrees_with(&Inspection::unread(Facts::default(), Outcome::TimedOut)));
        let published = Inspection { publisher: Some("p".to_owned()), ..one.clone() };
        assert!(!one.agrees_with(&published));
        for outcome in [Outcome::TooBig, Outcome::TimedOut] {
            let claims = Inspection { outcome, ..published.clone() };
            assert!(!claims.is_cut_short() && !claims.agrees_with(&one), "it was read, by its own word");
            assert!(claims.agrees_with(&claims.clone()));
        }
    }
}
