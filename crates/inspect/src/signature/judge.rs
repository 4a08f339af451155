//! The verdict on one signature.

use std::io;

use model::Time;
use model::inspection::{Carrier, Flaw, Signature};

use super::MOST_FURTHER;
use super::chain::Finder;
use super::cms::algorithm::Hash;
use super::cms::certificate::Certificate;
use super::cms::signed::Signed;
use super::cms::tlv::{OCTET_STRING, OID, SEQUENCE, Tlv};
use super::cms::{name, oid};
use super::stamp::{Stamp, stamp};
use crate::trust::Purpose;

/// What a signature must cover.
pub(crate) enum Subject<'s> {
    /// The file.
    File {
        /// Tells its digest; none where the file has no such digest.
        digest: &'s mut dyn FnMut(Hash) -> io::Result<Option<Vec<u8>>>,
        /// What the signature must say that its digest is of; none if no signature can hold.
        kind: Option<&'static [u8]>,
        /// Whether no byte of it may be uncovered.
        must_be_covered: bool,
    },
    /// The catalogue that it is found in, in which the file's digest was found.
    Catalogue(Hash),
}

/// A signature in the file, and what is found in it.
pub(crate) struct Judged<'a> {
    pub(crate) signature: Signature,
    /// Signatures nested in it, at most [`MOST_FURTHER`].
    pub(crate) nested: Vec<&'a [u8]>,
}

/// A signature that can't be read.
pub(crate) fn unreadable(carrier: Carrier) -> Signature {
    Signature {
        signer: None,
        issuer: None,
        signer_hash: None,
        is_valid: false,
        flaw: Some(Flaw::Malformed),
        carrier,
        digest: None,
        stamped_at: None,
        stamp: None,
        chain: Vec::new(),
        uncovered_bytes: 0,
    }
}

/// Judges the signature in `bytes` as of `now`. What lies behind it in `bytes`, and `uncovered` bytes elsewhere, are not
/// covered by it.
pub(crate) fn judge<'a>(
    finder: &mut Finder<'a>,
    bytes: &'a [u8],
    carrier: Carrier,
    subject: Subject<'_>,
    uncovered: u64,
    now: Time,
) -> io::Result<Judged<'a>> {
    let Some((signed, length)) = Signed::read(bytes) else {
        return Ok(Judged { signature: unreadable(carrier), nested: Vec::new() });
    };
    let behind = bytes.get(length..).unwrap_or_default().iter().filter(|byte| **byte != 0).count();
    let uncovered_bytes = uncovered.saturating_add(behind as u64);
    let nested = signed.signer.unsigned(oid::NESTED_SIGNATURE);
    let nested = nested.map(|one| one.raw).take(MOST_FURTHER).collect();

    let must_be_covered = matches!(subject, Subject::File { must_be_covered: true, .. });
    let (covered, digest) = match subject {
        Subject::File { digest, kind, .. } => covers_file(&signed, kind, digest)?,
        Subject::Catalogue(hash) => (covers_content(&signed, oid::TRUST_LIST), Some(hash)),
    };
    let (leaf, authentic) = signer(finder, &signed);
    let stamp = stamp(finder, &signed.signer, &signed.certificates);
    let (stamped_at, form) = match stamp {
        Stamp::Good(time, form) => (Some(time), Some(form)),
        Stamp::None | Stamp::Bad => (None, None),
    };
    let chain = leaf.map(|leaf| {
        // Such a signature ends with its certificate, whenever it was stamped.
        let at = stamped_at.filter(|_| !leaf.names_purpose(oid::LIFETIME_SIGNING)).unwrap_or(now);
        finder.find(leaf, &signed.certificates, Purpose::Code, at)
    });
    let is_loose = finder.trust().is_strict() && uncovered_bytes > 0 || must_be_covered && uncovered > 0;
    let flaw = [
        covered.err(),
        authentic.err(),
        (stamp == Stamp::Bad).then_some(Flaw::BadTimeStamp),
        chain.as_ref().and_then(|chain| chain.flaw),
        is_loose.then_some(Flaw::UncoveredBytes),
    ];
    let flaw = flaw.into_iter().flatten().next();
    let named = |name: &[u8]| Some(name::short(name)).filter(|name| !name.is_empty());
    let signature = Signature {
        signer: leaf.and_then(|leaf| named(leaf.subject)),
        issuer: leaf.and_then(|leaf| named(leaf.issuer)),
        signer_hash: leaf.map(|leaf| leaf.sha1()),
        is_valid: flaw.is_none(),
        flaw,
        carrier,
        digest: digest.map(|hash| hash.word().to_owned()),
        stamped_at,
        stamp: form,
        chain: chain
            .map(|chain| chain.certificates.iter().map(Certificate::told).collect())
            .unwrap_or_default(),
        uncovered_bytes,
    };
    Ok(Judged { signature, nested })
}

/// Who signed, and whether it was really they. Of several certificates of the same name and number the one whose key
/// fits.
fn signer<'a>(finder: &mut Finder<'_>, signed: &Signed<'a>) -> (Option<Certificate<'a>>, Result<(), Flaw>) {
    let mut first = None;
    for candidate in signed.certificates.iter().filter(|one| signed.signer.is(one)) {
        match finder.has_signed(candidate, &signed.signer) {
            Ok(()) => return (Some(*candidate), Ok(())),
            Err(flaw) => first = first.or(Some((*candidate, flaw))),
        }
    }
    match first {
        Some((candidate, flaw)) => (Some(candidate), Err(flaw)),
        None => (None, Err(Flaw::IncompleteChain)),
    }
}

type Covered = (Result<(), Flaw>, Option<Hash>);

/// Whether the content is this file's digest, and by which digest.
fn covers_file(
    signed: &Signed<'_>,
    kind: Option<&[u8]>,
    digest_of: &mut dyn FnMut(Hash) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<Covered> {
    let Some((said, algorithm, digest)) = indirect(signed) else { return Ok((Err(Flaw::Malformed), None)) };
    let hash = match Hash::of(algorithm) {
        Ok(hash) => hash,
        Err(flaw) => return Ok((Err(flaw), None)),
    };
    let agrees = |other: Tlv<'_>| Hash::of(other) == Ok(hash);
    let mut announced = signed.digests.all().peekable();
    let is_of_kind = kind.is_none_or(|kind| kind == said);
    let agree =
        is_of_kind && announced.peek().is_some() && announced.all(agrees) && agrees(signed.signer.digest);
    if !agree {
        return Ok((Err(Flaw::Malformed), Some(hash)));
    }
    let is_same = digest_of(hash)?.is_some_and(|own| own == digest);
    let covered = if is_same { covers_content(signed, oid::INDIRECT_DATA) } else { Err(Flaw::DigestDiffers) };
    Ok((covered, Some(hash)))
}

/// Whether what was signed is the content, and the content of this kind.
fn covers_content(signed: &Signed<'_>, kind: &[u8]) -> Result<(), Flaw> {
    if signed.content_type != kind || signed.signer.content_type() != Some(kind) {
        return Err(Flaw::Malformed);
    }
    signed.signer.covers(signed.content.value)
}

/// What the `SpcIndirectDataContent` says it is of, its algorithm and its digest.
fn indirect<'a>(signed: &Signed<'a>) -> Option<(&'a [u8], Tlv<'a>, &'a [u8])> {
    let content = Some(signed.content).filter(|content| content.tag == SEQUENCE)?;
    (signed.content_type == oid::INDIRECT_DATA).then_some(())?;
    let kind = content.parts().take(SEQUENCE)?.parts().take(OID)?.value;
    let (algorithm, digest) = digest_info(content)?;
    Some((kind, algorithm, digest))
}

/// Algorithm and digest in an `SpcIndirectDataContent`.
pub(crate) fn digest_info(content: Tlv<'_>) -> Option<(Tlv<'_>, &[u8])> {
    let mut parts = content.parts();
    parts.take(SEQUENCE)?.parts().take(OID)?;
    let mut info = parts.take(SEQUENCE)?.parts();
    let algorithm = info.take(SEQUENCE)?;
    Some((algorithm, info.take(OCTET_STRING)?.value))
}
