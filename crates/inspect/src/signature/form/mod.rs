//! Where each form of file keeps its signatures, and what they cover.

mod cab;
mod compound;
mod msi;
mod pe;
mod script;

use std::io;
use std::ops::Range;

use super::cms::algorithm::{Hash, Hasher};
use super::cms::oid;
use crate::pe::Layout;
use crate::source::Source;

/// How much is read at once.
const PIECE: usize = 256 * 1024;
/// A signature that is larger is none: real ones have some ten thousand bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A file of a form that carries signatures.
pub(super) struct Form<'l> {
    signatures: Vec<Vec<u8>>,
    covered: Covered<'l>,
    /// Bytes that no signature covers and that are not zero.
    uncovered: u64,
    /// Whether it says that there is a signature where none is.
    is_broken: bool,
}

/// What a signature covers.
enum Covered<'l> {
    /// What Authenticode covers of a portable executable.
    Pe(&'l Layout),
    /// These ranges.
    Ranges(Vec<Range<u64>>),
    /// This text, as UTF-16.
    Text(String),
    /// Streams of a compound file.
    Msi(msi::Streams),
    /// The whole file, by catalogues alone.
    Whole,
    /// Nothing: what a signature would cover does not tell this file from others.
    Nothing,
}

impl<'l> Form<'l> {
    /// The form of `source`; none if it can carry no signature.
    pub(super) fn of(source: &dyn Source, layout: Option<&'l Layout>) -> io::Result<Option<Self>> {
        if let Some(layout) = layout {
            return pe::read(source, layout).map(Some);
        }
        let head = source.piece(0, 8)?;
        if head.starts_with(b"MSCF") {
            return cab::read(source).map(Some);
        }
        if head == msi::MAGIC {
            return msi::read(source).map(Some);
        }
        Ok(Some(script::read(source)?.unwrap_or_else(|| Self::unsigned(Covered::Whole))))
    }

    fn unsigned(covered: Covered<'l>) -> Self {
        Self { signatures: Vec::new(), covered, uncovered: 0, is_broken: false }
    }

    /// A file that says it has a signature, and has none that can be read.
    fn broken(covered: Covered<'l>) -> Self {
        Self { is_broken: true, ..Self::unsigned(covered) }
    }

    pub(super) fn signatures(&self) -> &[Vec<u8>] {
        &self.signatures
    }

    pub(super) const fn uncovered(&self) -> u64 {
        self.uncovered
    }

    /// What a signature must say that its digest is of: else one over a form of file would hold for another. None where no
    /// signature can hold.
    pub(super) const fn kind(&self) -> Option<&'static [u8]> {
        match self.covered {
            Covered::Pe(_) => Some(oid::PROGRAM),
            Covered::Ranges(_) => Some(oid::CABINET),
            Covered::Text(_) | Covered::Msi(_) => Some(oid::SUBJECT_INFO),
            Covered::Whole | Covered::Nothing => None,
        }
    }

    /// Whether bytes that no signature covers make it invalid: other programs take what is appended to an installer for
    /// the file.
    pub(super) const fn must_be_covered(&self) -> bool {
        matches!(self.covered, Covered::Msi(_))
    }

    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether what signatures cover is a portable executable's Authentihash.
    pub(super) const fn is_by_authentihash(&self) -> bool {
        matches!(self.covered, Covered::Pe(_))
    }

    /// The digest of what signatures cover; none if the file has no such digest.
    pub(super) fn digest(&self, source: &dyn Source, hash: Hash) -> io::Result<Option<Vec<u8>>> {
        match &self.covered {
            Covered::Pe(layout) => pe::digest(source, layout, hash).map(Some),
            Covered::Ranges(ranges) => of_ranges(source, ranges.iter().cloned(), hash).map(Some),
            Covered::Text(text) => Ok(Some(of_text(text, hash))),
            Covered::Msi(streams) => streams.digest(source, hash),
            Covered::Nothing => Ok(None),
            Covered::Whole => of_ranges(source, std::iter::once(0..source.size()), hash).map(Some),
        }
    }
}

fn of_ranges(
    source: &dyn Source,
    mut ranges: impl Iterator<Item = Range<u64>>,
    hash: Hash,
) -> io::Result<Vec<u8>> {
    let mut hasher = Hasher::new(hash);
    ranges.try_for_each(|range| feed(source, range, &mut hasher))?;
    Ok(hasher.finish())
}

/// The digest of a text as UTF-16, made in pieces.
fn of_text(text: &str, hash: Hash) -> Vec<u8> {
    let mut hasher = Hasher::new(hash);
    let mut piece = Vec::with_capacity(PIECE);
    for unit in text.encode_utf16() {
        piece.extend_from_slice(&unit.to_le_bytes());
        if piece.len() >= PIECE {
            hasher.update(&piece);
            piece.clear();
        }
    }
    hasher.update(&piece);
    hasher.finish()
}

/// Feeds a range of the file into a digest.
fn feed(source: &dyn Source, range: Range<u64>, hasher: &mut Hasher) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let most = usize::try_from(range.end.saturating_sub(at)).unwrap_or(PIECE).min(PIECE);
        let piece = source.piece(at, most)?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&piece);
        at = at.saturating_add(piece.len() as u64);
    }
    Ok(())
}

/// How many bytes of a range of the file are not zero.
fn not_zero(source: &dyn Source, range: Range<u64>) -> io::Result<u64> {
    let mut count: u64 = 0;
    let mut at = range.start;
    while at < range.end {
        let most = usize::try_from(range.end.saturating_sub(at)).unwrap_or(PIECE).min(PIECE);
        let piece = source.piece(at, most)?;
        if piece.is_empty() {
            break;
        }
        count = count.saturating_add(piece.iter().filter(|byte| **byte != 0).count() as u64);
        at = at.saturating_add(piece.len() as u64);
    }
    Ok(count)
}
