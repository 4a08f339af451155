//! Who signed a file, and whether that holds: Authenticode.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub(crate) mod catalogue;
pub(crate) mod chain;
pub(crate) mod cms;
mod form;
mod judge;
mod stamp;
#[cfg(test)]
mod tests;

use std::io;

use model::Time;
use model::inspection::{Carrier, Pe, Signature};

use crate::pe::Layout;
use crate::source::Source;
use crate::trust::Trust;
use chain::Finder;
use cms::algorithm::Hash;
use form::Form;
use judge::{Subject, judge, unreadable};

/// Signatures told of beside the one that decides.
const MOST_FURTHER: usize = 16;
/// How deep signatures may be nested in each other.
const DEEPEST: u8 = 4;

/// The signature of `source` that decides, and further ones in their order: what it carries itself, then what is nested
/// in that, then what catalogues say of it. `pe` is what is known already of a portable executable.
///
/// Fails only when the file can't be read.
pub(crate) fn inspect(
    source: &dyn Source,
    pe: Option<&Pe>,
    trust: &Trust,
    now: Time,
) -> io::Result<(Option<Signature>, Vec<Signature>)> {
    let layout = if pe.is_some() { Layout::read(source)? } else { None };
    let Some(form) = Form::of(source, layout.as_ref())? else { return Ok((None, Vec::new())) };
    let mut digests = Digests { source, form: &form, pe, made: Vec::new() };
    let mut finder = Finder::new(trust);
    let mut found = Vec::new();
    let must_be_covered = form.must_be_covered();
    let mut waiting: Vec<(&[u8], u64, u8)> =
        form.signatures().iter().rev().map(|one| (one.as_slice(), form.uncovered(), 0)).collect();
    while let Some((bytes, uncovered, depth)) = waiting.pop() {
        if found.len() > MOST_FURTHER {
            break;
        }
        let carrier = if depth == 0 { Carrier::Embedded } else { Carrier::Nested };
        let digest = &mut |hash| digests.get(hash);
        let subject = Subject::File { digest, kind: form.kind(), must_be_covered };
        let judged = judge(&mut finder, bytes, carrier, subject, uncovered, now)?;
        found.push(judged.signature);
        if depth < DEEPEST {
            let deeper = depth.saturating_add(1);
            let uncovered = if must_be_covered { uncovered } else { 0 };
            waiting.extend(judged.nested.iter().rev().map(|one| (*one, uncovered, deeper)));
        }
    }
    if found.is_empty() && form.is_broken() {
        found.push(unreadable(Carrier::Embedded));
    }
    if !trust.catalogues().is_empty() {
        for hash in [Hash::Sha256, Hash::Sha1] {
            let Some(digest) = digests.get(hash)? else { continue };
            for catalogue in trust.catalogues().naming(&digest).take(MOST_FURTHER) {
                let carrier = Carrier::Catalogue(catalogue.name.clone());
                let judged = judge(&mut finder, &catalogue.bytes, carrier, Subject::Catalogue(hash), 0, now)?;
                found.push(judged.signature);
            }
        }
    }
    found.truncate(MOST_FURTHER.saturating_add(1));
    let mut found = found.into_iter();
    Ok((found.next(), found.collect()))
}

/// The digests of the file that signatures are compared with, each made once.
struct Digests<'f> {
    source: &'f dyn Source,
    form: &'f Form<'f>,
    pe: Option<&'f Pe>,
    made: Vec<(Hash, Option<Vec<u8>>)>,
}

impl Digests<'_> {
    fn get(&mut self, hash: Hash) -> io::Result<Option<Vec<u8>>> {
        let known = self.pe.filter(|_| self.form.is_by_authentihash()).and_then(|pe| match hash {
            Hash::Sha1 => pe.authentihash_sha1.map(|digest| digest.0.to_vec()),
            Hash::Sha256 => pe.authentihash_sha256.map(|digest| digest.0.to_vec()),
            Hash::Sha384 | Hash::Sha512 => None,
        });
        if known.is_some() {
            return Ok(known);
        }
        if let Some((_, made)) = self.made.iter().find(|(one, _)| *one == hash) {
            return Ok(made.clone());
        }
        let made = self.form.digest(self.source, hash)?;
        self.made.push((hash, made.clone()));
        Ok(made)
    }
}
