//! Who signed a file, in and out.

use model::inspection::{Carrier, Certificate, Flaw, Signature, StampForm};
use model::{Sha1, Sha256, Time};

use super::bounds::{NAME, bytes, cut, digest, few, first, some_text, text};
use crate::link::things::fixed;
use crate::link::{Malformed, v1};

/// Certificates of a chain.
const CHAIN: usize = 8;
/// A serial number.
const SERIAL: usize = 32;

impl From<&Signature> for v1::Signature {
    fn from(signature: &Signature) -> Self {
        let Signature {
            signer,
            issuer,
            signer_hash,
            // Said by the flaw.
            is_valid: _,
            flaw,
            carrier,
            digest,
            stamped_at,
            stamp,
            chain,
            uncovered_bytes,
        } = signature;
        let name = |text: &Option<String>| text.as_deref().map(|text| cut(text, NAME));
        Self {
            signer: name(signer),
            issuer: name(issuer),
            signer_hash: signer_hash.map(|hash| hash.0.to_vec()).unwrap_or_default(),
            flaw: flaw.map(|flaw| flaw.word().to_owned()).unwrap_or_default(),
            nested: *carrier == Carrier::Nested,
            catalogue: match carrier {
                Carrier::Catalogue(catalogue) => Some(cut(catalogue, NAME)),
                Carrier::Embedded | Carrier::Nested => None,
            },
            digest: name(digest),
            stamped_at: stamped_at.map(Time::ticks),
            stamp: match stamp {
                None => "",
                Some(StampForm::Rfc3161) => "rfc3161",
                Some(StampForm::Pkcs9) => "pkcs9",
            }
            .to_owned(),
            chain: chain.iter().take(CHAIN).map(Into::into).collect(),
            uncovered_bytes: *uncovered_bytes,
        }
    }
}

impl TryFrom<v1::Signature> for Signature {
    type Error = Malformed;

    fn try_from(signature: v1::Signature) -> Result<Self, Malformed> {
        let flaw = match signature.flaw.as_str() {
            "" => None,
            word => Some(Flaw::from_word(word).ok_or(Malformed("flaw"))?),
        };
        let carrier = match (some_text(signature.catalogue, NAME, "catalogue")?, signature.nested) {
            (Some(catalogue), false) => Carrier::Catalogue(catalogue),
            (None, true) => Carrier::Nested,
            (None, false) => Carrier::Embedded,
            (Some(_), true) => return Err(Malformed("carrier")),
        };
        Ok(Self {
            signer: some_text(signature.signer, NAME, "signer")?,
            issuer: some_text(signature.issuer, NAME, "issuer")?,
            signer_hash: digest(&signature.signer_hash, "signer hash")?.map(Sha1),
            is_valid: flaw.is_none(),
            flaw,
            carrier,
            digest: some_text(signature.digest, NAME, "digest")?,
            stamped_at: signature.stamped_at.map(Time::from_ticks),
            stamp: match signature.stamp.as_str() {
                "" => None,
                "rfc3161" => Some(StampForm::Rfc3161),
                "pkcs9" => Some(StampForm::Pkcs9),
                _ => return Err(Malformed("stamp")),
            },
            chain: few(signature.chain, CHAIN, "chain")?,
            uncovered_bytes: signature.uncovered_bytes,
        })
    }
}

impl From<&Certificate> for v1::Certificate {
    fn from(certificate: &Certificate) -> Self {
        let Certificate { subject, issuer, serial, sha1, sha256, not_before, not_after } = certificate;
        Self {
            subject: cut(subject, NAME),
            issuer: cut(issuer, NAME),
            serial: first(serial, SERIAL),
            sha1: sha1.0.to_vec(),
            sha256: sha256.0.to_vec(),
            not_before: not_before.ticks(),
            not_after: not_after.ticks(),
        }
    }
}

impl TryFrom<v1::Certificate> for Certificate {
    type Error = Malformed;

    fn try_from(certificate: v1::Certificate) -> Result<Self, Malformed> {
        Ok(Self {
            subject: text(certificate.subject, NAME, "subject")?,
            issuer: text(certificate.issuer, NAME, "issuer")?,
            serial: bytes(certificate.serial, SERIAL, "serial")?,
            sha1: Sha1(fixed(&certificate.sha1, "certificate's sha1")?),
            sha256: Sha256(fixed(&certificate.sha256, "certificate's sha256")?),
            not_before: Time::from_ticks(certificate.not_before),
            not_after: Time::from_ticks(certificate.not_after),
        })
    }
}
