//! Lists of digests as others publish them: read as they come, in bounded memory, whatever is in them.
//!
//! Of an entry that has several digests the longest one counts. What can't be read is counted, the first of it is
//! named, and the rest goes on; only what makes no sense as a whole ends it.

mod document;
mod lines;
mod sniff;
mod tables;
mod tally;

use std::io::{self, Read};

use model::Digest;

use tally::Counting;
pub use tally::{Problem, Tally};

/// In which form a list comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One digest a line, as `sha256sum` and its like print them, or alone.
    Plain,
    /// A table, with or without a heading.
    Csv,
    /// A table of the National Software Reference Library, with its heading.
    Nsrl,
    /// Objects that have digests, in an array, one a line, or one after the other.
    Json,
    /// Events and warning lists of MISP.
    Misp,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Plain, Self::Csv, Self::Nsrl, Self::Json, Self::Misp];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Csv => "csv",
            Self::Nsrl => "nsrl",
            Self::Json => "json",
            Self::Misp => "misp",
        }
    }

    /// The format that `word` means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }
}

/// A list could not be read as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It did not come whole.
    #[error("the list broke off: {0}")]
    Input(io::Error),
    /// What was read could not be taken.
    #[error("{0}")]
    Taken(io::Error),
    /// It makes no sense from that line on.
    #[error("line {line}: {why}")]
    Broken {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
}

/// Reads a list and hands on each digest. Without a format the list's beginning tells it; the one that was read comes
/// back.
///
/// # Errors
/// When it breaks off, makes no sense as a whole, or `take` fails.
pub fn read(
    mut input: impl Read,
    format: Option<Format>,
    take: &mut dyn FnMut(Digest) -> io::Result<()>,
) -> Result<(Format, Tally), Unread> {
    let beginning = sniff::Beginning::of(&mut input).map_err(Unread::Input)?;
    let broken = |why: &str| Unread::Broken { line: 1, why: why.to_owned() };
    if beginning.is_utf16() {
        return Err(broken("this is UTF-16; save the list as UTF-8"));
    }
    if beginning.is_packed() {
        return Err(broken(
            "this is packed; unpack it first, for instance with zcat, and import - (standard input)",
        ));
    }
    let format = format.unwrap_or_else(|| beginning.format());
    let one_a_line = beginning.is_one_object_a_line();
    let whole = beginning.and(input);
    let mut tally = Counting::new(take);
    match format {
        Format::Plain => lines::plain(whole, &mut tally)?,
        Format::Csv => tables::read(whole, &mut tally, false)?,
        Format::Nsrl => tables::read(whole, &mut tally, true)?,
        Format::Json | Format::Misp if one_a_line => document::each_line(whole, &mut tally)?,
        Format::Json | Format::Misp => document::whole(whole, &mut tally)?,
    }
    Ok((format, tally.done()))
}

#[cfg(test)]
mod tests;
