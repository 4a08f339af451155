//! A file while it is read, and the first thing that was found wrong with it.

use std::cell::RefCell;
use std::io;

use model::inspection::Outcome;

use crate::source::Source;

/// Bytes, and how far reading them got.
pub(super) struct Reading<'s> {
    source: &'s dyn Source,
    outcome: RefCell<Outcome>,
}

impl<'s> Reading<'s> {
    pub(super) fn of(source: &'s dyn Source) -> Self {
        Self { source, outcome: RefCell::new(Outcome::Whole) }
    }

    /// Length of the file.
    pub(super) fn size(&self) -> u64 {
        self.source.size()
    }

    /// What lies at `offset`: no more than `length` says, than `most`, or than there is.
    pub(super) fn piece(&self, offset: u64, length: u64, most: usize) -> io::Result<Vec<u8>> {
        self.source.piece(offset, usize::try_from(length).unwrap_or(usize::MAX).min(most))
    }

    /// The text at `offset` up to its zero byte, of at most `within` bytes; none when it has no end there.
    pub(super) fn text(&self, offset: u64, within: u64) -> io::Result<Option<String>> {
        // Most are short.
        for most in [128, LONGEST_TEXT] {
            let bytes = self.piece(offset, within, most)?;
            if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
                let text = bytes.get(..end).unwrap_or_default();
                return Ok(Some(String::from_utf8_lossy(text).into_owned()));
            }
        }
        Ok(None)
    }

    /// Something that the file promises is not there. What was found first is told.
    pub(super) fn malformed(&self, why: impl Into<String>) {
        self.note(Outcome::Malformed(why.into()));
    }

    /// A part of it is larger than is read.
    pub(super) fn too_big(&self) {
        self.note(Outcome::TooBig);
    }

    fn note(&self, outcome: Outcome) {
        let mut noted = self.outcome.borrow_mut();
        if *noted == Outcome::Whole {
            *noted = outcome;
        }
    }

    /// How far it got.
    pub(super) fn outcome(self) -> Outcome {
        self.outcome.into_inner()
    }
}

/// No name of a library or loader is longer, in bytes with its end.
const LONGEST_TEXT: usize = 4096;
