//! Where the copies of this machine come from: which package owns a path, and whether the file there is what that brought.
//!
//! The databases are read by a process of its own ([`gathering`]), which may be fed lies by them. What it tells becomes an
//! index on the disk, made anew when packages have changed. That a copy differs is said only when packages have rested for
//! a while: in the middle of a transaction files and records differ.

mod asking;
mod doubts;
mod gathering;
mod index;
mod keeping;

use std::path::Path;
use std::sync::Arc;

use model::Digests;
use model::origin::Origin;
use parking_lot::{Mutex, RwLock};

use doubts::Doubts;
pub use gathering::run as gather_for_parent;
use index::Index;
pub(crate) use keeping::Keeper;

/// Knows where copies come from, as far as that was found out.
#[derive(Default)]
pub(crate) struct Origins {
    index: RwLock<Option<Arc<Index>>>,
    doubts: Mutex<Doubts>,
}

impl Origins {
    /// The package that owns a path. That the copy differs is not said yet: it is looked at again when packages have
    /// rested, and told then.
    pub(crate) fn of(&self, path: &Path, digests: &Digests) -> Option<Origin> {
        let origin = self.index()?.find(path, digests)?;
        if origin.matches != Some(false) {
            return Some(origin);
        }
        self.doubts.lock().add(path, digests.sha256);
        Some(Origin { matches: None, ..origin })
    }

    fn index(&self) -> Option<Arc<Index>> {
        self.index.read().clone()
    }
}

#[cfg(test)]
mod tests;
