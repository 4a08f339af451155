//! Microsoft's list of trusted roots (`authroot.stl`): digests of roots, and what each is trusted for.

use std::collections::HashMap;

use model::{Sha1, Sha256, Time};

use super::Trust;
use super::purpose::Purpose;
use super::root::{Conditions, Limits};
use crate::signature::chain::Finder;
use crate::signature::cms::algorithm::Hash;
use crate::signature::cms::moment::moment;
use crate::signature::cms::oid;
use crate::signature::cms::signed::Signed;
use crate::signature::cms::tlv::{INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, Tlv};

/// Ticks from 1601, where a FILETIME begins, to 1970.
const FROM_1601: i64 = 116_444_736_000_000_000;

/// Microsoft's list of trusted roots.
#[derive(Clone, Debug)]
pub(crate) struct RootList {
    /// When it was issued.
    pub(crate) date: Time,
    roots: HashMap<Sha1, (Option<Sha256>, Conditions)>,
}

impl RootList {
    /// The list in `bytes`, whoever signed it.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (signed, _) = Signed::read(bytes)?;
        (signed.content_type == oid::TRUST_LIST).then(|| Self::parse(signed.content))?
    }

    fn parse(content: Tlv<'_>) -> Option<Self> {
        let mut parts = Some(content).filter(|content| content.tag == SEQUENCE)?.parts();
        parts.take_if(INTEGER)?;
        let mut usages = parts.take(SEQUENCE)?.parts().all();
        usages.any(|usage| usage.value == oid::ROOT_LIST_SIGNER).then_some(())?;
        parts.take_if(OCTET_STRING)?;
        parts.take_if(INTEGER)?;
        let date = moment(parts.next()?)?;
        let subjects = parts.all().filter(|part| part.tag == SEQUENCE).nth(1)?;
        let mut roots = HashMap::new();
        for subject in subjects.parts().all() {
            let mut subject = subject.parts();
            let Ok(sha1) = Sha1::try_from(subject.take(OCTET_STRING)?.value) else { continue };
            let properties = Properties::read(subject.take(SET)?.parts());
            roots.insert(sha1, (properties.sha256, properties.conditions()));
        }
        Some(Self { date, roots })
    }

    /// What the list trusts the certificate `der` for; none if it does not name it.
    pub(crate) fn conditions(&self, der: &[u8]) -> Option<Conditions> {
        let sha1 = Sha1::try_from(Hash::Sha1.of_parts(&[der]).as_slice()).ok()?;
        let (sha256, conditions) = self.roots.get(&sha1)?;
        let own = Sha256::try_from(Hash::Sha256.of_parts(&[der]).as_slice()).ok();
        (sha256.is_none() || *sha256 == own).then_some(*conditions)
    }

    /// How many roots it names.
    pub(crate) fn len(&self) -> usize {
        self.roots.len()
    }
}

/// Whether a root of `trust` vouches for who signed the list in `bytes`.
///
/// A list is issued for months while its signer's certificate may end before: what counts is that it was good when the
/// list was issued, which is its own word.
pub(crate) fn is_authentic(bytes: &[u8], trust: &Trust, now: Time) -> bool {
    let Some((signed, _)) = Signed::read(bytes) else { return false };
    let Some(list) = RootList::read(bytes) else { return false };
    let signer = &signed.signer;
    if signer.content_type() != Some(oid::TRUST_LIST) || signer.covers(signed.content.value).is_err() {
        return false;
    }
    let mut finder = Finder::new(trust);
    let mut leaves =
        signed.certificates.iter().filter(|one| signer.is(one) && signer.is_signed_by(one).is_ok());
    leaves.any(|leaf| {
        let found = finder.find(*leaf, &signed.certificates, Purpose::RootList, now.min(list.date));
        found.flaw.is_none()
    })
}

/// What the list says of one root.
#[derive(Default)]
struct Properties<'a> {
    sha256: Option<Sha256>,
    purposes: Option<Reader<'a>>,
    disallowed_from: Option<Time>,
    disallowed_purposes: Option<Reader<'a>>,
    not_before: Option<Time>,
    not_before_purposes: Option<Reader<'a>>,
}

impl<'a> Properties<'a> {
    fn read(properties: Reader<'a>) -> Self {
        let mut found = Self::default();
        for property in properties.all() {
            let mut property = property.parts();
            let (Some(kind), Some(values)) = (property.take(OID), property.take(SET)) else { continue };
            let Some(value) = values.parts().take(OCTET_STRING) else { continue };
            let list = || Reader::new(value.value).take(SEQUENCE).map(Tlv::parts);
            match kind.value {
                kind if kind == oid::ROOT_SHA256 => found.sha256 = Sha256::try_from(value.value).ok(),
                kind if kind == oid::ROOT_PURPOSES => found.purposes = list(),
                kind if kind == oid::ROOT_DISALLOWED_FROM => found.disallowed_from = file_time(value.value),
                kind if kind == oid::ROOT_DISALLOWED_PURPOSES => found.disallowed_purposes = list(),
                kind if kind == oid::ROOT_NOT_BEFORE => found.not_before = file_time(value.value),
                kind if kind == oid::ROOT_NOT_BEFORE_PURPOSES => found.not_before_purposes = list(),
                _ => {}
            }
        }
        found
    }

    fn conditions(&self) -> Conditions {
        Conditions { code: self.limits(Purpose::Code), stamp: self.limits(Purpose::Stamp) }
    }

    fn limits(&self, purpose: Purpose) -> Limits {
        let names = |list: Reader<'_>| list.all().any(|named| named.value == purpose.oid());
        // An empty list of purposes means all.
        if self.purposes.is_some_and(|list| !list.is_empty() && !names(list)) {
            return Limits::NEVER;
        }
        Limits {
            disallowed_from: end(self.disallowed_from, self.disallowed_purposes.map(names)),
            not_before: end(self.not_before, self.not_before_purposes.map(names)),
        }
    }
}

/// The moment from which a limit holds. A limit that names purposes holds for those alone, and if it tells no time, from
/// the beginning.
fn end(from: Option<Time>, concerned: Option<bool>) -> Time {
    match (from, concerned) {
        (Some(from), None | Some(true)) => from,
        (None, Some(true)) => Time::from_ticks(i64::MIN),
        (None, None) | (_, Some(false)) => Time::from_ticks(i64::MAX),
    }
}

/// A FILETIME. One without a value holds from the beginning.
fn file_time(bytes: &[u8]) -> Option<Time> {
    if bytes.is_empty() {
        return Some(Time::from_ticks(i64::MIN));
    }
    let ticks = i64::from_le_bytes(bytes.try_into().ok()?);
    Some(Time::from_ticks(ticks.saturating_sub(FROM_1601)))
}
