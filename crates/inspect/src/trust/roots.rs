//! A list of trusted roots in its compact form, which is read in place.
//!
//! Magic, date, count; an index of (digest of the subject, offset) in the order of the digests; the roots, each its
//! limits, its length and its DER; SHA-256 of all that. All numbers begin with the least significant byte. Nothing is
//! parsed before it is looked up.

use std::sync::Arc;

use model::{Sha256, Time};

use super::root::{Conditions, Limits, Root};
use crate::le;
use crate::signature::cms::algorithm::Hash;
use crate::signature::cms::certificate::{Certificate, name_digest};

const MAGIC: &[u8] = b"QLROOTS1";
const DATE_AT: usize = 8;
const COUNT_AT: usize = 16;
const INDEX_AT: usize = 20;
const ENTRY: usize = 12;
const LIMITS: usize = 32;
const DIGEST: usize = 32;
/// Far more than there are.
const MOST: usize = 10_000;

/// A list of trusted roots.
#[derive(Clone)]
pub(crate) struct Roots(Arc<[u8]>);

impl Roots {
    /// A list from a disk, if it is whole and each of its roots can be read.
    pub(crate) fn load(bytes: &[u8]) -> Option<Self> {
        let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        let is_whole = bytes.starts_with(MAGIC) && Hash::Sha256.of_parts(&[content]) == digest;
        let roots = is_whole.then(|| Self(bytes.into()))?;
        (roots.all().count() == roots.len()).then_some(roots)
    }

    /// Whether these bytes mean to be such a list.
    pub(crate) fn is_list(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// A list of these roots, made at `date`. The DER of each must be a certificate; others are left out.
    pub(crate) fn of(date: Time, roots: &[(Vec<u8>, Conditions)]) -> Self {
        let mut roots: Vec<_> = roots
            .iter()
            .filter_map(|(der, conditions)| {
                let certificate = Certificate::read(der)?;
                Some((name_digest(certificate.subject), certificate.raw, conditions))
            })
            .take(MOST)
            .collect();
        roots.sort_by_key(|(key, der, _)| (*key, *der));
        let mut index = Vec::new();
        let mut entries = Vec::new();
        let entries_at = ENTRY.saturating_mul(roots.len()).saturating_add(INDEX_AT);
        for (key, der, conditions) in &roots {
            let offset = u32::try_from(entries_at.saturating_add(entries.len())).unwrap_or(u32::MAX);
            index.extend_from_slice(key);
            index.extend_from_slice(&offset.to_le_bytes());
            for limits in [conditions.code, conditions.stamp] {
                entries.extend_from_slice(&limits.disallowed_from.ticks().to_le_bytes());
                entries.extend_from_slice(&limits.not_before.ticks().to_le_bytes());
            }
            entries.extend_from_slice(&u32::try_from(der.len()).unwrap_or_default().to_le_bytes());
            entries.extend_from_slice(der);
        }
        let count = u32::try_from(roots.len()).unwrap_or_default().to_le_bytes();
        let mut bytes = [MAGIC, &date.ticks().to_le_bytes(), &count, &index, &entries].concat();
        let digest = Hash::Sha256.of_parts(&[&bytes]);
        bytes.extend_from_slice(&digest);
        Self(bytes.into())
    }

    /// Its bytes, as [`Self::load`] takes them.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// When the list was issued.
    pub(crate) fn date(&self) -> Time {
        Time::from_ticks(ticks(self.bytes(), DATE_AT).unwrap_or_default())
    }

    /// How many roots it has.
    pub(crate) fn len(&self) -> usize {
        le::word(self.bytes(), COUNT_AT)
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or_default()
            .min(MOST)
    }

    /// What names the list: its own digest.
    pub(crate) fn digest(&self) -> Sha256 {
        let digest = Hash::Sha256.of_parts(&[self.bytes()]);
        Sha256::try_from(digest.as_slice()).unwrap_or(Sha256([0; 32]))
    }

    /// The roots of this name, the whole element.
    pub(crate) fn named<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = Root<'a>> {
        let key = name_digest(name);
        let first = self.first_with(key);
        let places = (first..self.len()).take_while(move |place| self.key(*place) == Some(key));
        places.filter_map(|place| self.root(place)).filter(move |root| root.certificate.subject == name)
    }

    /// All roots, in the order of their keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = Root<'_>> {
        (0..self.len()).filter_map(|place| self.root(place))
    }

    /// The first place whose key is not below this one.
    fn first_with(&self, key: [u8; 8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.key(middle).is_some_and(|found| found < key) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        low
    }

    fn key(&self, place: usize) -> Option<[u8; 8]> {
        let at = place.checked_mul(ENTRY)?.checked_add(INDEX_AT)?;
        self.bytes().get(at..)?.first_chunk().copied()
    }

    fn root(&self, place: usize) -> Option<Root<'_>> {
        let bytes = self.bytes();
        let offset_at = place.checked_mul(ENTRY)?.checked_add(INDEX_AT)?.checked_add(8)?;
        let at = usize::try_from(le::word(bytes, offset_at)?).ok()?;
        let limits = |at: usize| {
            Some(Limits {
                disallowed_from: Time::from_ticks(ticks(bytes, at)?),
                not_before: Time::from_ticks(ticks(bytes, at.checked_add(8)?)?),
            })
        };
        let conditions = Conditions { code: limits(at)?, stamp: limits(at.checked_add(16)?)? };
        let length_at = at.checked_add(LIMITS)?;
        let length = usize::try_from(le::word(bytes, length_at)?).ok()?;
        let der = bytes.get(length_at.checked_add(4)?..)?.get(..length)?;
        Some(Root { certificate: Certificate::read(der)?, conditions })
    }
}

fn ticks(bytes: &[u8], at: usize) -> Option<i64> {
    le::long(bytes, at).map(u64::cast_signed)
}

/// Its length says enough.
impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Roots({})", self.len())
    }
}
