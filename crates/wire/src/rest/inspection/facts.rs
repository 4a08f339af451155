//! What the contract has no key for.

use model::inspection::{Inspection, Outcome, VersionInfo};
use serde::Serialize;

use super::super::text::{Stamp, text_or_null};
use super::elf::ElfFacts;
use super::pe::{FileSection, FileSpan, machine, subsystem};
use super::signature::{FileCertificate, FileSignature};

/// What the bytes of a file say beyond the contract's keys: `quell.facts` of a file, and the further keys of
/// `quell file inspect`. What a file's type does not have is null, or an empty list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectionFacts {
    /// How far inspection got: `whole`, `malformed`, `too big`, `timed out`.
    pub outcome: &'static str,
    /// Why it is malformed.
    pub outcome_reason: Option<String>,
    /// The name that its author gave it.
    pub original_filename: Option<String>,
    /// Its version, as text of its author.
    pub file_version: Option<String>,
    /// Version of its product, as text of its author.
    pub product_version: Option<String>,
    /// What it is for.
    pub file_description: Option<String>,
    /// Its name among its author's parts.
    pub internal_name: Option<String>,
    /// Whose right it is.
    pub legal_copyright: Option<String>,
    /// The processor it is for, or the number that its header has: `x86`, `x64`, `arm64`, `0x01c2`, …
    pub machine: Option<String>,
    /// What runs it, or the number that its header has: `WindowsGui`, `WindowsCui`, `Native`, …
    pub subsystem: Option<String>,
    /// When it was linked; a reproducible build puts any number there.
    pub compile_time: Option<Stamp>,
    /// Whether it is a .NET assembly.
    pub is_dot_net: Option<bool>,
    /// MD5 over its imports.
    #[serde(serialize_with = "text_or_null")]
    pub imphash: Option<model::Md5>,
    /// Authenticode digest, SHA-1.
    #[serde(serialize_with = "text_or_null")]
    pub authentihash_sha1: Option<model::Sha1>,
    /// Authenticode digest, SHA-256.
    #[serde(serialize_with = "text_or_null")]
    pub authentihash_sha256: Option<model::Sha256>,
    /// How many sections its header claims.
    pub section_count: Option<u16>,
    /// The sections of a portable executable, at most 96.
    pub sections: Vec<FileSection>,
    /// What lies behind its last section and is no certificate table.
    pub overlay: Option<FileSpan>,
    /// What only an ELF file has.
    pub elf: Option<ElfFacts>,
    /// Interpreter of a script.
    pub script_interpreter: Option<String>,
    /// The first thing of the signature that does not hold.
    pub flaw: Option<&'static str>,
    /// How the file carries the signature: `embedded`, `nested`, `catalogue`.
    pub carrier: Option<&'static str>,
    /// Name of the catalogue that carries it.
    pub catalogue: Option<String>,
    /// Digest that was signed.
    pub signature_digest: Option<String>,
    /// When it was signed, by a time stamp that holds.
    pub stamped_at: Option<Stamp>,
    /// Form of that time stamp: `rfc3161` or `pkcs9`.
    pub stamp_form: Option<&'static str>,
    /// The certificates from the signer up.
    pub chain: Vec<FileCertificate>,
    /// Bytes that the signature does not cover and that are not zero.
    pub uncovered_bytes: Option<u64>,
    /// Further signatures.
    pub further_signatures: Vec<FileSignature>,
}

impl From<&Inspection> for InspectionFacts {
    fn from(found: &Inspection) -> Self {
        let pe = found.pe.as_ref();
        let version = |read: fn(&VersionInfo) -> &Option<String>| {
            pe.and_then(|pe| pe.version.as_ref()).and_then(|version| read(version).clone())
        };
        let signature = found.signature.as_ref().map(FileSignature::from);
        Self {
            outcome: found.outcome.word(),
            outcome_reason: match &found.outcome {
                Outcome::Malformed(reason) => Some(reason.clone()),
                Outcome::Whole | Outcome::TooBig | Outcome::TimedOut => None,
            },
            original_filename: version(|version| &version.original_filename),
            file_version: version(|version| &version.file_version),
            product_version: version(|version| &version.product_version),
            file_description: version(|version| &version.file_description),
            internal_name: version(|version| &version.internal_name),
            legal_copyright: version(|version| &version.legal_copyright),
            machine: pe.map(|pe| machine(pe.machine)),
            subsystem: pe.map(|pe| subsystem(pe.subsystem)),
            compile_time: pe.map(|pe| Stamp(model::Time::from_seconds(pe.compiled_at.into()))),
            is_dot_net: pe.map(|pe| pe.is_dotnet),
            imphash: pe.and_then(|pe| pe.imphash),
            authentihash_sha1: pe.and_then(|pe| pe.authentihash_sha1),
            authentihash_sha256: pe.and_then(|pe| pe.authentihash_sha256),
            section_count: pe.map(|pe| pe.section_count),
            sections: pe.map(|pe| pe.sections.iter().map(FileSection::from).collect()).unwrap_or_default(),
            overlay: pe.and_then(|pe| pe.overlay).map(FileSpan::from),
            elf: found.elf.as_ref().map(ElfFacts::from),
            script_interpreter: found.script_interpreter.clone(),
            flaw: signature.as_ref().and_then(|signature| signature.flaw),
            carrier: signature.as_ref().map(|signature| signature.carrier),
            catalogue: signature.as_ref().and_then(|signature| signature.catalogue.clone()),
            signature_digest: signature.as_ref().and_then(|signature| signature.digest.clone()),
            stamped_at: signature.as_ref().and_then(|signature| signature.stamped_at),
            stamp_form: signature.as_ref().and_then(|signature| signature.stamp_form),
            uncovered_bytes: signature.as_ref().map(|signature| signature.uncovered_bytes),
            chain: signature.map(|signature| signature.chain).unwrap_or_default(),
            further_signatures: found.further_signatures.iter().map(FileSignature::from).collect(),
        }
    }
}
