//! What became of a list's entries.

use std::io;

use model::Digest;

use super::Unread;

/// So many problems are named; the others are counted.
const NAMED: usize = 10;

/// An entry that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// On which line it ends, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub why: &'static str,
}

/// What became of a list's entries.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tally {
    /// So many gave a digest,
    pub taken: u64,
    /// so many are not meant as indicators by who made the list,
    pub skipped: u64,
    /// and so many could not be read.
    pub refused: u64,
    /// The first of those.
    pub problems: Vec<Problem>,
}

/// The same while the list is read, and where its digests go.
pub(super) struct Counting<'a> {
    tally: Tally,
    take: &'a mut dyn FnMut(Digest) -> io::Result<()>,
}

impl<'a> Counting<'a> {
    pub(super) fn new(take: &'a mut dyn FnMut(Digest) -> io::Result<()>) -> Self {
        Self { tally: Tally::default(), take }
    }

    pub(super) fn take(&mut self, digest: Digest) -> Result<(), Unread> {
        self.tally.taken += 1;
        (self.take)(digest).map_err(Unread::Taken)
    }

    pub(super) fn skip(&mut self) {
        self.tally.skipped += 1;
    }

    pub(super) fn refuse(&mut self, line: u64, why: &'static str) {
        self.tally.refused += 1;
        if self.tally.problems.len() < NAMED {
            self.tally.problems.push(Problem { line, why });
        }
    }

    /// How many entries there were so far, whatever became of them.
    pub(super) fn entries(&self) -> u64 {
        self.tally.taken + self.tally.skipped + self.tally.refused
    }

    pub(super) fn done(self) -> Tally {
        self.tally
    }
}
