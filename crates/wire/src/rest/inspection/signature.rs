//! A signature and its certificates.

use data_encoding::HEXLOWER;
use model::inspection::{Carrier, Certificate, Flaw, Signature, StampForm};
use serde::Serialize;

use super::super::text::Stamp;

/// A signature.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSignature {
    /// Who signed.
    pub signer: Option<String>,
    /// Who vouches for the signer.
    pub issuer: Option<String>,
    /// SHA-1 of the signer's certificate.
    pub signer_hash: Option<String>,
    /// Whether all of it holds.
    pub is_valid: bool,
    /// The first thing that does not hold.
    pub flaw: Option<&'static str>,
    /// How the file carries it: `embedded`, `nested`, `catalogue`.
    pub carrier: &'static str,
    /// Name of the catalogue that carries it.
    pub catalogue: Option<String>,
    /// Digest over the file.
    pub digest: Option<String>,
    /// When it was signed, by a time stamp that holds.
    pub stamped_at: Option<Stamp>,
    /// Form of that time stamp: `rfc3161` or `pkcs9`.
    pub stamp_form: Option<&'static str>,
    /// From the signer up.
    pub chain: Vec<FileCertificate>,
    /// Bytes that the signature does not cover and that are not zero.
    pub uncovered_bytes: u64,
}

impl From<&Signature> for FileSignature {
    fn from(signature: &Signature) -> Self {
        let (carrier, catalogue) = match &signature.carrier {
            Carrier::Embedded => ("embedded", None),
            Carrier::Nested => ("nested", None),
            Carrier::Catalogue(name) => ("catalogue", Some(name.clone())),
        };
        Self {
            signer: signature.signer.clone(),
            issuer: signature.issuer.clone(),
            signer_hash: signature.signer_hash.map(|hash| hash.to_string()),
            is_valid: signature.is_valid,
            flaw: signature.flaw.map(Flaw::word),
            carrier,
            catalogue,
            digest: signature.digest.clone(),
            stamped_at: signature.stamped_at.map(Stamp),
            stamp_form: signature.stamp.map(form),
            chain: signature.chain.iter().map(FileCertificate::from).collect(),
            uncovered_bytes: signature.uncovered_bytes,
        }
    }
}

/// A certificate of a chain.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileCertificate {
    /// Short name of its subject.
    pub subject: String,
    /// Short name of its issuer.
    pub issuer: String,
    /// Serial number, in hexadecimal digits.
    pub serial: String,
    /// SHA-1 of its DER.
    pub sha1: String,
    /// SHA-256 of its DER.
    pub sha256: String,
    /// Good from.
    pub not_before: Stamp,
    /// Good until.
    pub not_after: Stamp,
}

impl From<&Certificate> for FileCertificate {
    fn from(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.subject.clone(),
            issuer: certificate.issuer.clone(),
            serial: HEXLOWER.encode(&certificate.serial),
            sha1: certificate.sha1.to_string(),
            sha256: certificate.sha256.to_string(),
            not_before: Stamp(certificate.not_before),
            not_after: Stamp(certificate.not_after),
        }
    }
}

const fn form(form: StampForm) -> &'static str {
    match form {
        StampForm::Rfc3161 => "rfc3161",
        StampForm::Pkcs9 => "pkcs9",
    }
}
