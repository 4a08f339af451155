//! `SignedData`: a content, certificates, and who signed it.

use model::Time;
use model::inspection::Flaw;

use super::algorithm::Hash;
use super::certificate::Certificate;
use super::tlv::{INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, Tlv, context};
use super::{moment, oid};

const MOST_CERTIFICATES: usize = 64;
const MOST_ATTRIBUTES: usize = 64;
/// Of what is digested once for each who may have signed it. Real ones have some hundred bytes.
const LARGEST_ATTRIBUTES: usize = 64 * 1024;
const LONGEST_SIGNATURE: usize = 4096;
/// What signed attributes are signed as: a SET, whatever tag they stand under.
const AS_SET: &[u8] = &[SET];

/// A `SignedData` with exactly one signer.
#[derive(Clone, Debug)]
pub(crate) struct Signed<'a> {
    /// The digests that it announces.
    pub(crate) digests: Reader<'a>,
    /// Kind of its content.
    pub(crate) content_type: &'a [u8],
    /// Its content.
    pub(crate) content: Tlv<'a>,
    /// Its certificates; what is none, such as an attribute certificate, is left out.
    pub(crate) certificates: Vec<Certificate<'a>>,
    pub(crate) signer: Signer<'a>,
}

impl<'a> Signed<'a> {
    /// Reads the `ContentInfo` that `bytes` begin with, and says how long it is.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let whole = Reader::new(bytes).take(SEQUENCE)?;
        let mut outer = whole.parts();
        outer.take(OID).filter(|kind| kind.value == oid::SIGNED_DATA)?;
        let mut parts = outer.take(context(0))?.parts().take(SEQUENCE)?.parts();
        parts.take(INTEGER)?;
        let digests = parts.take(SET)?.parts();
        let mut content_info = parts.take(SEQUENCE)?.parts();
        let content_type = content_info.take(OID)?.value;
        let content = content_info.take(context(0))?.parts().next()?;
        let certificates = match parts.take_if(context(0))? {
            Some(set) => set
                .parts()
                .all()
                .take(MOST_CERTIFICATES)
                .filter_map(|one| Certificate::read(one.raw))
                .collect(),
            None => Vec::new(),
        };
        parts.take_if(context(1))?;
        let mut signers = parts.take(SET)?.parts();
        let signer = Signer::read(signers.next()?)?;
        // More than one is not Authenticode.
        signers.is_empty().then_some(())?;
        Some((Self { digests, content_type, content, certificates, signer }, whole.raw.len()))
    }
}

/// Who signed, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signer<'a> {
    id: Id<'a>,
    pub(crate) digest: Tlv<'a>,
    /// What is signed: `[0]` and behind it attributes, one of them the digest of the content.
    attributes: Tlv<'a>,
    algorithm: Tlv<'a>,
    /// The signature itself, which time stamps sign.
    pub(crate) signature: &'a [u8],
    unsigned: Option<Tlv<'a>>,
}

#[derive(Clone, Copy, Debug)]
enum Id<'a> {
    Issuer { name: &'a [u8], serial: &'a [u8] },
    Key(&'a [u8]),
}

impl<'a> Signer<'a> {
    /// Reads a `SignerInfo`. One without signed attributes is none here.
    pub(crate) fn read(tlv: Tlv<'a>) -> Option<Self> {
        let mut parts = Some(tlv).filter(|tlv| tlv.tag == SEQUENCE)?.parts();
        parts.take(INTEGER)?;
        let id = match parts.next()? {
            issuer if issuer.tag == SEQUENCE => {
                let mut issuer = issuer.parts();
                Id::Issuer { name: issuer.take(SEQUENCE)?.raw, serial: issuer.take(INTEGER)?.value }
            }
            key if key.tag == 0x80 => Id::Key(key.value),
            _ => return None,
        };
        let digest = parts.take(SEQUENCE)?;
        let attributes = parts.take(context(0)).filter(|all| all.raw.len() <= LARGEST_ATTRIBUTES)?;
        let algorithm = parts.take(SEQUENCE)?;
        let signature = parts.take(OCTET_STRING)?.value;
        (signature.len() <= LONGEST_SIGNATURE).then_some(())?;
        let unsigned = parts.take_if(context(1))?;
        Some(Self { id, digest, attributes, algorithm, signature, unsigned })
    }

    /// Whether this certificate is the one by which it names itself.
    pub(crate) fn is(&self, certificate: &Certificate<'_>) -> bool {
        match self.id {
            Id::Issuer { name, serial } => certificate.issuer == name && certificate.serial == serial,
            Id::Key(identifier) => certificate.key_identifier() == Some(identifier),
        }
    }

    /// Values of the unsigned attributes of this kind.
    pub(crate) fn unsigned(&self, kind: &'a [u8]) -> impl Iterator<Item = Tlv<'a>> {
        let attributes = self.unsigned.into_iter().flat_map(|attributes| attributes.parts().all());
        attributes.take(MOST_ATTRIBUTES).filter_map(move |one| values(one, kind)).flat_map(Reader::all)
    }

    /// The one value of the signed attribute of this kind; none if there is none or more than one.
    fn signed(&self, kind: &[u8]) -> Option<Tlv<'a>> {
        let attributes = self.attributes.parts().all().take(MOST_ATTRIBUTES);
        let mut found = attributes.filter_map(|one| values(one, kind)).flat_map(Reader::all);
        let value = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// When it says it signed: its own word.
    pub(crate) fn signing_time(&self) -> Option<Time> {
        moment::moment(self.signed(oid::SIGNING_TIME)?)
    }

    /// Of what kind it says its content is.
    pub(crate) fn content_type(&self) -> Option<&'a [u8]> {
        self.signed(oid::CONTENT_TYPE).filter(|kind| kind.tag == OID).map(|kind| kind.value)
    }

    /// Whether these bytes are the content that it has signed the digest of.
    pub(crate) fn covers(&self, content: &[u8]) -> Result<(), Flaw> {
        let hash = Hash::of(self.digest)?;
        let digest = self.signed(oid::MESSAGE_DIGEST).filter(|digest| digest.tag == OCTET_STRING);
        let digest = digest.ok_or(Flaw::Malformed)?;
        if digest.value == hash.of_parts(&[content]) { Ok(()) } else { Err(Flaw::SignatureDiffers) }
    }

    /// Whether the owner of this certificate's key has signed it.
    pub(crate) fn is_signed_by(&self, certificate: &Certificate<'_>) -> Result<(), Flaw> {
        let hash = Hash::of(self.digest)?;
        let message = [AS_SET, self.attributes.raw.get(1..).unwrap_or_default()].concat();
        certificate.key.verify(self.algorithm, Some(hash), &message, self.signature)
    }
}

/// The values of an attribute, if it is of this kind.
fn values<'a>(attribute: Tlv<'a>, kind: &[u8]) -> Option<Reader<'a>> {
    let mut parts = Some(attribute).filter(|one| one.tag == SEQUENCE)?.parts();
    parts.take(OID).filter(|id| id.value == kind)?;
    Some(parts.take(SET)?.parts())
}
