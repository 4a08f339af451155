//! Catalogues: signed lists of digests of files that carry no signature themselves.

use std::collections::HashMap;
use std::sync::Arc;

use super::cms::oid;
use super::cms::signed::Signed;
use super::cms::tlv::{INTEGER, OCTET_STRING, OID, SEQUENCE, SET, Tlv};
use super::judge::digest_info;

/// Catalogues that files are looked up in. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Catalogues(Arc<Index>);

#[derive(Clone, Default)]
struct Index {
    catalogues: Vec<Arc<Catalogue>>,
    /// Digest of a file, places in the list.
    files: HashMap<Vec<u8>, Vec<usize>>,
}

/// A catalogue.
pub(crate) struct Catalogue {
    /// Its name, as records tell it.
    pub(crate) name: String,
    /// The signed list.
    pub(crate) bytes: Vec<u8>,
}

impl Catalogues {
    /// Adds a catalogue, whoever signed it; that is judged when a file is found in it. Says how many digests it has, or
    /// none if it can't be read.
    pub(crate) fn add(&mut self, name: &str, bytes: Vec<u8>) -> Option<usize> {
        let digests = digests(&bytes)?;
        let index = Arc::make_mut(&mut self.0);
        let place = index.catalogues.len();
        let count = digests.len();
        for digest in digests {
            index.files.entry(digest).or_default().push(place);
        }
        index.catalogues.push(Arc::new(Catalogue { name: name.to_owned(), bytes }));
        Some(count)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.catalogues.is_empty()
    }

    /// The catalogues that name a file of this digest.
    pub(crate) fn naming<'a>(&'a self, digest: &[u8]) -> impl Iterator<Item = &'a Catalogue> {
        let places = self.0.files.get(digest).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|place| self.0.catalogues.get(*place)).map(Arc::as_ref)
    }
}

/// The digests of files that a catalogue lists.
fn digests(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (signed, _) = Signed::read(bytes)?;
    let content = Some(&signed).filter(|signed| signed.content_type == oid::TRUST_LIST)?.content;
    let mut parts = Some(content).filter(|content| content.tag == SEQUENCE)?.parts();
    parts.take_if(INTEGER)?;
    parts.take(SEQUENCE)?.parts().all().any(|usage| usage.value == oid::CATALOGUE_LIST).then_some(())?;
    parts.take_if(OCTET_STRING)?;
    parts.take_if(INTEGER)?;
    let members = parts.all().filter(|part| part.tag == SEQUENCE).nth(1)?;
    let mut digests: Vec<_> = members.parts().all().filter_map(digest).map(<[u8]>::to_vec).collect();
    digests.sort_unstable();
    digests.dedup();
    Some(digests)
}

/// The digest of one member: it stands in an attribute, or is what names the member.
fn digest(member: Tlv<'_>) -> Option<&[u8]> {
    let mut parts = member.parts();
    let name = parts.take(OCTET_STRING)?.value;
    let mut attributes = parts.take(SET)?.parts().all();
    let told = attributes.find_map(|attribute| {
        let mut attribute = attribute.parts();
        attribute.take(OID).filter(|kind| kind.value == oid::INDIRECT_DATA)?;
        digest_info(attribute.take(SET)?.parts().take(SEQUENCE)?)
    });
    told.map(|(_, digest)| digest).or(Some(name).filter(|name| matches!(name.len(), 20 | 32)))
}

/// How many there are says enough.
impl std::fmt::Debug for Catalogues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Catalogues({})", self.0.catalogues.len())
    }
}
