//! The record of one inspection: everything that a file's bytes say, beyond the short [`Facts`] that travel with each
//! sighting.

mod elf;
mod pe;
mod signature;

pub use elf::{Elf, GoBuild, Library, Linkage, ModuleSignature, Relro, RustBuild};
pub use pe::{Pe, Section, Span, VersionInfo};
pub use signature::{Carrier, Certificate, Flaw, Signature, StampForm};

use crate::facts::Facts;

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
}
