//! Time stamps on a signature.

use model::Time;
use model::inspection::StampForm;

use super::chain::Finder;
use super::cms::algorithm::Hash;
use super::cms::certificate::Certificate;
use super::cms::moment::moment;
use super::cms::oid;
use super::cms::signed::{Signed, Signer};
use super::cms::tlv::{INTEGER, OCTET_STRING, OID, SEQUENCE, Tlv};
use crate::trust::Purpose;

/// Stamps of one signature that are looked at.
const MOST: usize = 4;

/// What the time stamps on a signature say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// There is none.
    None,
    /// One that holds.
    Good(Time, StampForm),
    /// None that holds.
    Bad,
}

/// Judges the time stamps on `signer`'s signature: by RFC 3161 first, then by PKCS#9. `pool` holds the certificates
/// beside it.
pub(crate) fn stamp<'a>(finder: &mut Finder<'a>, signer: &Signer<'a>, pool: &[Certificate<'a>]) -> Stamp {
    let mut is_any = false;
    for token in signer.unsigned(oid::TIME_STAMP_TOKEN).take(MOST) {
        is_any = true;
        if let Some(time) = by_token(finder, signer, token, pool) {
            return Stamp::Good(time, StampForm::Rfc3161);
        }
    }
    for counter in signer.unsigned(oid::COUNTER_SIGNATURE).take(MOST) {
        is_any = true;
        if let Some(time) = by_counter_signature(finder, signer, counter, pool) {
            return Stamp::Good(time, StampForm::Pkcs9);
        }
    }
    if is_any { Stamp::Bad } else { Stamp::None }
}

/// The time of an RFC 3161 token that holds.
fn by_token<'a>(
    finder: &mut Finder<'a>,
    signer: &Signer<'a>,
    token: Tlv<'a>,
    pool: &[Certificate<'a>],
) -> Option<Time> {
    let (signed, _) = Signed::read(token.raw)?;
    let content = Some(signed.content).filter(|content| content.tag == OCTET_STRING)?;
    let is_stamp = signed.content_type == oid::TIME_STAMP_INFO;
    let is_signed = signed.signer.content_type() == Some(oid::TIME_STAMP_INFO);
    (is_stamp && is_signed).then_some(())?;

    let mut info = content.parts().take(SEQUENCE)?.parts();
    info.take(INTEGER)?;
    info.take(OID)?;
    let mut imprint = info.take(SEQUENCE)?.parts();
    info.take(INTEGER)?;
    let time = moment(info.next()?)?;
    let hash = Hash::of(imprint.take(SEQUENCE)?).ok()?;
    let digest = imprint.take(OCTET_STRING)?.value;
    (hash.of_parts(&[signer.signature]) == digest).then_some(())?;

    signed.signer.covers(content.value).ok()?;
    let both: Vec<_> = signed.certificates.iter().chain(pool).copied().collect();
    is_by_authority(finder, &signed.signer, &both, time).then_some(time)
}

/// The time of a PKCS#9 counter-signature that holds: its signer's own word.
fn by_counter_signature<'a>(
    finder: &mut Finder<'a>,
    signer: &Signer<'a>,
    counter: Tlv<'a>,
    pool: &[Certificate<'a>],
) -> Option<Time> {
    let counter = Signer::read(counter)?;
    // The standard wants no type; Microsoft's tools write that of plain data.
    counter.content_type().is_none_or(|kind| kind == oid::DATA).then_some(())?;
    let time = counter.signing_time()?;
    counter.covers(signer.signature).ok()?;
    is_by_authority(finder, &counter, pool, time).then_some(time)
}

/// Whether who signed a stamp was trusted to do so then.
fn is_by_authority<'a>(
    finder: &mut Finder<'a>,
    signer: &Signer<'_>,
    pool: &[Certificate<'a>],
    at: Time,
) -> bool {
    pool.iter().filter(|one| signer.is(one)).take(MOST).any(|leaf| {
        finder.has_signed(leaf, signer).is_ok() && finder.find(*leaf, pool, Purpose::Stamp, at).flaw.is_none()
    })
}
