//! Whom this installation trusts to sign code.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod carried;
mod disallowed;
mod pem;
mod purpose;
mod root;
mod root_list;
mod roots;
mod update;

use std::sync::Arc;

use model::Time;

use crate::signature::catalogue::Catalogues;
use crate::signature::cms::certificate::Certificate;
use disallowed::Disallowed;
pub(crate) use purpose::Purpose;
pub(crate) use root::Root;
#[cfg(test)]
pub(crate) use root_list::is_authentic;
use roots::Roots;
pub use update::{List, NotAList};

/// Roots with what each may be used for and until when, certificates that are disallowed, and catalogues.
///
/// Cheap to clone: what is large is shared.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    lists: Vec<Roots>,
    disallowed: Arc<Disallowed>,
    is_strict: bool,
    catalogues: Catalogues,
}

/// A file that holds nothing to trust, or not what it seems to hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTrust {
    /// Neither PEM nor DER certificates, nor a list of roots.
    #[error("holds no certificate that can be read")]
    NoCertificate,
    /// A list of ours that is not whole.
    #[error("is a list of roots that is damaged")]
    Damaged,
    /// A list of Microsoft's names roots by their digests alone.
    #[error("names roots by their digests alone: the certificates themselves are needed too")]
    DigestsAlone,
    /// A line that is no thumbprint.
    #[error("line {0} is no SHA-1 or SHA-256 of a certificate")]
    NoThumbprint(usize),
    /// No catalogue.
    #[error("is no catalogue that can be read")]
    NoCatalogue,
}

impl Trust {
    /// What this program carries: the roots of Microsoft's own. The list of all roots that Windows trusts is not ours to
    /// give away: an operator brings it (`quell trust update`).
    pub fn carried() -> Self {
        Self { lists: vec![carried::roots()], ..Self::default() }
    }

    /// Trusts the roots in these files too. Each is a list of ours, certificates in PEM or DER, or a trust list of
    /// Microsoft's (`.stl`), which limits what roots in the other files are trusted for. Of several limits on a root, those
    /// of earlier calls among them, the narrowest holds; what no list limits is trusted for everything. Says how many roots there were.
    pub fn add_roots(&mut self, files: &[Vec<u8>]) -> Result<usize, BadTrust> {
        let mut loose = Vec::new();
        let mut lists = Vec::new();
        let mut count: usize = 0;
        for file in files {
            if Roots::is_list(file) {
                let roots = Roots::load(file).ok_or(BadTrust::Damaged)?;
                count = count.saturating_add(roots.len());
                self.lists.push(roots);
            } else if let Some(list) = root_list::RootList::read(file) {
                lists.push(list);
            } else {
                let certificates = pem::certificates(file);
                if certificates.is_empty() {
                    return Err(BadTrust::NoCertificate);
                }
                loose.extend(certificates);
            }
        }
        if loose.is_empty() && !lists.is_empty() {
            return Err(BadTrust::DigestsAlone);
        }
        let limited: Vec<_> = loose
            .into_iter()
            .map(|der| {
                let limits = lists.iter().filter_map(|list| list.conditions(&der));
                let limits = limits.fold(root::Conditions::ALL, root::Conditions::and);
                (der, limits)
            })
            .collect();
        if !limited.is_empty() {
            let roots = Roots::of(Time::default(), &limited);
            count = count.saturating_add(roots.len());
            self.lists.push(roots);
        }
        Ok(count)
    }

    /// Trusts no chain with one of these certificates in it: SHA-1 or SHA-256 of a certificate a line, `#` begins a
    /// remark. Says how many there were.
    pub fn disallow(&mut self, thumbprints: &str) -> Result<usize, BadTrust> {
        Arc::make_mut(&mut self.disallowed).add(thumbprints).map_err(BadTrust::NoThumbprint)
    }

    /// Holds a signature for not valid when bytes lie beside it that it does not cover.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { is_strict: true, ..self }
    }

    /// Looks up files that carry no signature in this catalogue too. Says how many files it names.
    pub fn add_catalogue(&mut self, name: &str, bytes: Vec<u8>) -> Result<usize, BadTrust> {
        self.catalogues.add(name, bytes).ok_or(BadTrust::NoCatalogue)
    }

    /// The lists of roots that it holds: how many roots each has, when it was issued (1970 if that is not known), and
    /// its SHA-256.
    pub fn lists(&self) -> Vec<List> {
        self.lists.iter().map(List::of).collect()
    }

    /// The bytes of its first list.
    #[cfg(test)]
    pub(crate) fn list_bytes(&self) -> Option<Vec<u8>> {
        self.lists.first().map(|list| list.bytes().to_vec())
    }

    pub(crate) const fn is_strict(&self) -> bool {
        self.is_strict
    }

    pub(crate) const fn catalogues(&self) -> &Catalogues {
        &self.catalogues
    }

    /// The roots of this name, each once: what several lists say of it holds together.
    pub(crate) fn roots_named<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = Root<'a>> {
        let mut found: Vec<Root<'a>> = Vec::new();
        for root in self.lists.iter().flat_map(|list| list.named(name)) {
            match found.iter_mut().find(|one| one.certificate.raw == root.certificate.raw) {
                Some(known) => known.conditions = known.conditions.and(root.conditions),
                None => found.push(root),
            }
        }
        found.into_iter()
    }

    pub(crate) fn disallows(&self, certificate: &Certificate<'_>) -> bool {
        self.disallowed.has(certificate)
    }
}
