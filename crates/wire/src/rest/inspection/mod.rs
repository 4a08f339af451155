//! What the bytes of a file say: the part of it that the contract has keys for, and all that goes beyond.

mod elf;
mod facts;
mod pe;
mod signature;

use model::Digests;
use model::facts::FileType;
use model::inspection::Inspection;
use serde::Serialize;

pub use elf::ElfFacts;
pub use facts::InspectionFacts;
pub use pe::{FileSection, FileSpan};
pub use signature::{FileCertificate, FileSignature};

/// A file that was inspected where it lies: one line of `quell file inspect`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedFile {
    /// Where it lies, as the caller named it.
    pub path: String,
    /// SHA-1 of its content.
    pub sha1: String,
    /// SHA-256 of its content.
    pub sha256: String,
    /// MD5 of its content.
    pub md5: String,
    /// Its length in bytes.
    pub size: u64,
    /// What it is.
    pub file_type: &'static str,
    /// Whether it is a Windows portable executable.
    pub is_pe_file: bool,
    /// Who published it, by its own word.
    pub file_publisher: Option<String>,
    /// To what product it belongs, by its own word.
    pub file_product_name: Option<String>,
    /// Who signed it.
    pub signer: Option<String>,
    /// Who vouches for the signer.
    pub issuer: Option<String>,
    /// SHA-1 of the signer's certificate.
    pub signer_hash: Option<String>,
    /// Whether the signature holds; null when there is none.
    pub is_valid_certificate: Option<bool>,
    /// Finer than `fileType`.
    pub file_subtype: Option<String>,
    /// What the contract has no key for.
    #[serde(flatten)]
    pub facts: InspectionFacts,
}

impl InspectedFile {
    /// The shape of what was found in the file at `path`.
    pub fn new(path: String, digests: &Digests, found: &Inspection) -> Self {
        let signature = found.signature.as_ref();
        Self {
            path,
            sha1: digests.sha1.to_string(),
            sha256: digests.sha256.to_string(),
            md5: digests.md5.to_string(),
            size: found.facts.size,
            file_type: found.facts.file_type.word(),
            is_pe_file: found.facts.file_type == FileType::PortableExecutable,
            file_publisher: found.publisher.clone(),
            file_product_name: found.product_name.clone(),
            signer: signature.and_then(|signature| signature.signer.clone()),
            issuer: signature.and_then(|signature| signature.issuer.clone()),
            signer_hash: signature.and_then(|signature| signature.signer_hash).map(|hash| hash.to_string()),
            is_valid_certificate: signature.map(|signature| signature.is_valid),
            file_subtype: found.facts.subtype.clone(),
            facts: InspectionFacts::from(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::inspection::{Pe, Section, Span, VersionInfo};
    use model::{Md5, Sha1, Sha256};

    #[test]
    fn every_key_is_there_in_its_order() {
        let mut found = Inspection::default();
        found.facts.size = 4096;
        found.facts.file_type = FileType::PortableExecutable;
        found.facts.subtype = Some("Program".into());
        found.publisher = Some("Example".into());
        found.pe = Some(Pe {
            machine: 0x8664,
            subsystem: 3,
            compiled_at: 1_600_000_000,
            imphash: Some(Md5([4; 16])),
            sections: vec![Section {
                name: ".text".into(),
                virtual_size: 10,
                raw_size: 512,
                characteristics: 0x6000_0020,
                entropy_thousandths: 6_005,
            }],
            section_count: 1,
            overlay: Some(Span { offset: 1024, size: 3072 }),
            version: Some(VersionInfo { original_filename: Some("a.exe".into()), ..VersionInfo::default() }),
            ..Pe::default()
        });
        let digests = Digests { sha256: Sha256([2; 32]), sha1: Sha1([1; 20]), md5: Md5([3; 16]) };
        let shape = InspectedFile::new("/opt/a.exe".into(), &digests, &found);
        insta::assert_snapshot!(serde_json::to_string_pretty(&shape).unwrap(), @r#"
        {
          "path": "/opt/a.exe",
          "sha1": "0101010101010101010101010101010101010101",
          "sha256": "0202020202020202020202020202020202020202020202020202020202020202",
          "md5": "03030303030303030303030303030303",
          "size": 4096,
          "fileType": "PortableExecutable",
          "isPeFile": true,
          "filePublisher": "Example",
          "fileProductName": null,
          "signer": null,
          "issuer": null,
          "signerHash": null,
          "isValidCertificate": null,
          "fileSubtype": "Program",
          "outcome": "whole",
          "outcomeReason": null,
          "originalFilename": "a.exe",
          "fileVersion": null,
          "productVersion": null,
          "fileDescription": null,
          "internalName": null,
          "legalCopyright": null,
          "machine": "x64",
          "subsystem": "WindowsCui",
          "compileTime": "2020-09-13T12:26:40Z",
          "isDotNet": false,
          "imphash": "04040404040404040404040404040404",
          "authentihashSha1": null,
          "authentihashSha256": null,
          "sectionCount": 1,
          "sections": [
            {
              "name": ".text",
              "virtualSize": 10,
              "rawSize": 512,
              "characteristics": 1610612768,
              "entropy": 6.005
            }
          ],
          "overlay": {
            "offset": 1024,
            "size": 3072
          },
          "elf": null,
          "scriptInterpreter": null,
          "flaw": null,
          "carrier": null,
          "catalogue": null,
          "signatureDigest": null,
          "stampedAt": null,
          "stampForm": null,
          "chain": [],
          "uncoveredBytes": null,
          "furtherSignatures": []
        }
        "#);
    }
}
