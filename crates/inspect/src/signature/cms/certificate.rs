//! A certificate, borrowed.

use model::inspection::{self, Flaw};
use model::{Sha1, Sha256, Time};

use super::algorithm::{Hash, Key};
use super::tlv::{BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, Tlv, context};
use super::{moment, name, oid};

const MOST_EXTENSIONS: usize = 64;
/// Real ones have a few thousand bytes. What is compared and digested many times must be short.
const LARGEST: usize = 64 * 1024;
const LONGEST_NAME: usize = 4096;
const SIGNS_CERTIFICATES: u8 = 0x04;
/// `digitalSignature` and `nonRepudiation`.
const SIGNS_OTHERS: u8 = 0x80 | 0x40;
/// Extensions that may be critical: what they ask for is done here, or concerns no signature over code.
const KNOWN: &[&[u8]] = &[
    oid::KEY_USAGE,
    oid::ALTERNATIVE_NAME,
    oid::BASIC_CONSTRAINTS,
    oid::REVOCATION_LISTS,
    oid::POLICIES,
    oid::POLICY_MAPPINGS,
    oid::POLICY_CONSTRAINTS,
    oid::PURPOSES,
];

/// A certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Certificate<'a> {
    /// The whole of it.
    pub(crate) raw: &'a [u8],
    /// What its issuer has signed.
    signed: &'a [u8],
    algorithm: Tlv<'a>,
    signature: &'a [u8],
    pub(crate) serial: &'a [u8],
    /// The issuer's name, the whole element.
    pub(crate) issuer: &'a [u8],
    /// Its own name, the whole element.
    pub(crate) subject: &'a [u8],
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
    pub(crate) key: Key<'a>,
    extensions: Extensions<'a>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Extensions<'a> {
    /// List of purposes; none if it is good for any.
    purposes: Option<Reader<'a>>,
    /// None if it does not say.
    is_authority: Option<bool>,
    /// How many authorities may come below it.
    depth: Option<u32>,
    /// First byte of the key usage.
    key_usage: Option<u8>,
    key_identifier: Option<&'a [u8]>,
    /// A critical one that is not known.
    has_unknown: bool,
}

const KEY_IDENTIFIER: &[u8] = b"\x55\x1d\x0e";

impl<'a> Certificate<'a> {
    /// The certificate that `raw` begins with; none if it is none, or far larger than any, or if what nobody signs is
    /// not written in the one way of DER: its digests name it.
    pub(crate) fn read(raw: &'a [u8]) -> Option<Self> {
        let whole = Reader::new(raw).take(SEQUENCE).filter(|whole| whole.raw.len() <= LARGEST)?;
        let mut outer = whole.parts();
        let signed = outer.take(SEQUENCE)?;
        let algorithm = outer.take(SEQUENCE)?;
        let signature = outer.take(BIT_STRING)?;
        let is_der = [whole, signed, algorithm, signature].into_iter().all(Tlv::is_minimal);
        (outer.is_empty() && is_der).then_some(())?;
        let signature = signature.bits()?;

        let mut inner = signed.parts();
        inner.take_if(context(0))?;
        let serial = inner.take(INTEGER)?.value;
        let signed_algorithm = inner.take(SEQUENCE)?;
        let issuer = inner.take(SEQUENCE)?.raw;
        let mut validity = inner.take(SEQUENCE)?.parts();
        let not_before = moment::moment(validity.next()?)?;
        let not_after = moment::moment(validity.next()?)?;
        let subject = inner.take(SEQUENCE)?.raw;
        (issuer.len().max(subject.len()) <= LONGEST_NAME).then_some(())?;
        let key = Key::read(inner.take(SEQUENCE)?)?;
        let extensions = match inner.all().find(|part| part.tag == context(3)) {
            Some(extensions) => Extensions::read(extensions)?,
            None => Extensions::default(),
        };
        // The algorithm stands outside what is signed too; only the same one counts.
        let algorithm = (signed_algorithm.raw == algorithm.raw).then_some(algorithm)?;
        Some(Self {
            raw: whole.raw,
            signed: signed.raw,
            algorithm,
            signature,
            serial,
            issuer,
            subject,
            not_before,
            not_after,
            key,
            extensions,
        })
    }

    /// Whether the owner of `issuer`'s key has signed this certificate.
    pub(crate) fn is_signed_by(&self, issuer: &Key<'_>) -> Result<(), Flaw> {
        issuer.verify(self.algorithm, None, self.signed, self.signature)
    }

    /// Whether it names itself as its issuer.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    pub(crate) fn is_in_time(&self, at: Time) -> bool {
        (self.not_before..=self.not_after).contains(&at)
    }

    /// Whether its purposes name this one.
    pub(crate) fn names_purpose(&self, purpose: &[u8]) -> bool {
        self.extensions.purposes.is_some_and(|purposes| purposes.all().any(|named| named.value == purpose))
    }

    /// Whether its key may sign what is no certificate.
    pub(crate) fn may_sign_others(&self) -> bool {
        self.extensions.key_usage.is_none_or(|usage| usage & SIGNS_OTHERS != 0)
    }

    /// Whether it says for what it may be used.
    pub(crate) fn has_purposes(&self) -> bool {
        self.extensions.purposes.is_some()
    }

    /// Whether it may vouch for what serves this purpose: it says nothing of purposes, or names it or any.
    pub(crate) fn permits_purpose(&self, purpose: &[u8]) -> bool {
        self.extensions.purposes.is_none()
            || self.names_purpose(purpose)
            || self.names_purpose(oid::ANY_PURPOSE)
    }

    /// Whether it may sign certificates with `below` other authorities between it and the signer.
    pub(crate) fn is_authority_over(&self, below: usize) -> bool {
        self.extensions.is_authority == Some(true) && self.is_no_bar_over(below)
    }

    /// Whether nothing in it says that it may not. A root may be silent: old ones have no extensions.
    pub(crate) fn is_no_bar_over(&self, below: usize) -> bool {
        let may_sign = self.extensions.key_usage.is_none_or(|usage| usage & SIGNS_CERTIFICATES != 0);
        let is_deep_enough = self.extensions.depth.is_none_or(|depth| below as u64 <= u64::from(depth));
        self.extensions.is_authority != Some(false) && may_sign && is_deep_enough
    }

    /// Whether it has a critical extension that is not known here, and so must not be relied on.
    pub(crate) fn has_unknown_demands(&self) -> bool {
        self.extensions.has_unknown
    }

    pub(crate) fn key_identifier(&self) -> Option<&'a [u8]> {
        self.extensions.key_identifier
    }

    /// SHA-1 of the whole, the thumbprint.
    pub(crate) fn sha1(&self) -> Sha1 {
        Sha1(<sha1::Sha1 as digest::Digest>::digest(self.raw).into())
    }

    pub(crate) fn sha256(&self) -> Sha256 {
        Sha256(<sha2::Sha256 as digest::Digest>::digest(self.raw).into())
    }

    /// What the record tells of it.
    pub(crate) fn told(&self) -> inspection::Certificate {
        inspection::Certificate {
            subject: name::short(self.subject),
            issuer: name::short(self.issuer),
            serial: self.serial.iter().copied().take(32).collect(),
            sha1: self.sha1(),
            sha256: self.sha256(),
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}

impl<'a> Extensions<'a> {
    fn read(tlv: Tlv<'a>) -> Option<Self> {
        let mut found = Self::default();
        let mut list = tlv.parts().take(SEQUENCE)?.parts();
        let mut count: usize = 0;
        while !list.is_empty() {
            count = count.checked_add(1).filter(|count| *count <= MOST_EXTENSIONS)?;
            let mut extension = list.take(SEQUENCE)?.parts();
            let id = extension.take(OID)?.value;
            let is_critical = extension.take_if(BOOLEAN)?.is_some_and(|flag| flag.value != [0]);
            found.take(id, is_critical, extension.take(OCTET_STRING)?.value)?;
        }
        Some(found)
    }

    fn take(&mut self, id: &[u8], is_critical: bool, value: &'a [u8]) -> Option<()> {
        let mut value = Reader::new(value);
        match id {
            id if id == oid::PURPOSES => self.purposes = Some(value.take(SEQUENCE)?.parts()),
            id if id == oid::BASIC_CONSTRAINTS => {
                let mut parts = value.take(SEQUENCE)?.parts();
                self.is_authority = Some(parts.take_if(BOOLEAN)?.is_some_and(|flag| flag.value != [0]));
                self.depth = match parts.take_if(INTEGER)? {
                    Some(depth) => Some(depth.number()?),
                    None => None,
                };
            }
            id if id == oid::KEY_USAGE => {
                self.key_usage = Some(value.next()?.value.get(1).copied().unwrap_or(0));
            }
            id if id == KEY_IDENTIFIER => self.key_identifier = Some(value.take(OCTET_STRING)?.value),
            _ => {}
        }
        self.has_unknown |= is_critical && !KNOWN.contains(&id);
        Some(())
    }
}

/// The digest by which trust lists find a name.
pub(crate) fn name_digest(name: &[u8]) -> [u8; 8] {
    let digest = Hash::Sha256.of_parts(&[name]);
    digest.first_chunk().copied().unwrap_or_default()
}
