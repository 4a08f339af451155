//! A newer list of roots, made of what the operator has downloaded.

use model::{Sha256, Time};

use super::root_list::{RootList, is_authentic};
use super::roots::Roots;
use super::{Trust, carried, pem};

/// Fewer are no list of all roots that Windows trusts.
const FEWEST: usize = 200;

/// A list of roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// When it was issued; 1970 if that is not known.
    pub issued: Time,
    /// How many roots it has.
    pub roots: usize,
    /// SHA-256 of the list.
    pub sha256: Sha256,
}

impl List {
    /// Name of the file in the data directory that holds the list of all roots that Windows trusts.
    pub const FILE: &str = "trust-roots";

    pub(super) fn of(roots: &Roots) -> Self {
        Self { issued: roots.date(), roots: roots.len(), sha256: roots.digest() }
    }

    /// What the bytes of a list of ours hold.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Roots::load(bytes).map(|roots| Self::of(&roots))
    }

    /// Makes a list of ours of Microsoft's trust list (`authroot.stl`) and certificates in PEM: those that the list
    /// names, with what it trusts them for, without those it trusts for neither code nor time stamps.
    ///
    /// The list is believed only if one of Microsoft's own roots, which this program carries, vouches for its signer.
    /// A certificate that it does not name by its digest is not taken, wherever it comes from.
    pub fn make(trust_list: &[u8], certificates: &[u8], now: Time) -> Result<(Self, Vec<u8>), NotAList> {
        let list = RootList::read(trust_list).ok_or(NotAList::Unreadable)?;
        let microsoft = Trust { lists: vec![carried::roots()], ..Trust::default() };
        if !is_authentic(trust_list, &microsoft, now) {
            return Err(NotAList::NotMicrosofts);
        }
        if list.date > now {
            return Err(NotAList::FromTheFuture);
        }
        let found: Vec<_> = pem::certificates(certificates)
            .into_iter()
            .filter_map(|der| list.conditions(&der).map(|conditions| (der, conditions)))
            .collect();
        // Certificates are published beside the list; a root or two may be missing, not half of them.
        let half = list.len().div_euclid(2);
        if found.len() < FEWEST || found.len() < half {
            return Err(NotAList::TooFew { found: found.len(), named: list.len() });
        }
        // Those that are trusted for nothing stay too: another list may trust them for more.
        let roots = Roots::of(list.date, &found);
        Ok((Self::of(&roots), roots.bytes().to_vec()))
    }
}

/// Why what was downloaded makes no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAList {
    /// It is no trust list.
    #[error("authroot.stl can't be read")]
    Unreadable,
    /// It is not signed by who issues it.
    #[error("authroot.stl is not signed by Microsoft")]
    NotMicrosofts,
    /// It is dated later than now.
    #[error("authroot.stl is dated in the future: look at this machine's clock")]
    FromTheFuture,
    /// Most certificates are missing.
    #[error("only {found} of the {named} roots that authroot.stl names are there")]
    TooFew {
        /// How many certificates are there.
        found: usize,
        /// How many the list names.
        named: usize,
    },
}
