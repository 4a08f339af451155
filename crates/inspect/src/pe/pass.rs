//! What of a portable executable takes a pass over all its bytes.

use std::ops::Range;

use digest::Digest;
use model::inspection::Pe;
use model::{Sha1, Sha256};

use super::authentihash::{covered, padding};
use super::entropy::{Entropy, part};
use super::layout::Layout;
use crate::digests::update_both;

/// Makes both Authenticode digests and the entropy of the sections, fed from the first byte to the last.
pub(crate) struct Pass {
    covered: [Range<u64>; 4],
    padding: &'static [u8],
    sha1: sha1::Sha1,
    sha256: sha2::Sha256,
    entropy: Entropy,
    at: u64,
}

impl Pass {
    /// For a file of `size` bytes with sections at `ranges`.
    pub(crate) fn new(layout: &Layout, ranges: Vec<Range<u64>>, size: u64) -> Self {
        Self {
            covered: covered(layout, size),
            padding: padding(layout, size),
            sha1: sha1::Sha1::new(),
            sha256: sha2::Sha256::new(),
            entropy: Entropy::new(ranges),
            at: 0,
        }
    }

    /// Takes the next bytes of the file.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        for range in &self.covered {
            update_both(&mut self.sha1, &mut self.sha256, part(piece, self.at, range));
        }
        self.entropy.update(piece);
        self.at = self.at.saturating_add(piece.len() as u64);
    }

    /// Puts what was made into `pe`.
    pub(crate) fn finish(mut self, pe: &mut Pe) {
        self.sha1.update(self.padding);
        self.sha256.update(self.padding);
        pe.authentihash_sha1 = Some(Sha1(self.sha1.finalize().into()));
        pe.authentihash_sha256 = Some(Sha256(self.sha256.finalize().into()));
        for (section, entropy) in pe.sections.iter_mut().zip(self.entropy.finish()) {
            section.entropy_thousandths = entropy;
        }
    }
}
