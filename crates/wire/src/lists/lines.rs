//! Lists whose entries are lines.

use std::io::{self, BufRead, BufReader, Read};

use model::Digest;

use super::Unread;
use super::tally::Counting;

/// A longer line is no entry.
const LONGEST: u64 = 64 << 10;

/// The lines of a list, none of which takes more than its share of memory.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// The number of the line that was read last, counted from 1.
    pub(super) number: u64,
}

/// One line, without its end.
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    TooLong,
}

impl<R: Read> Lines<R> {
    pub(super) fn of(input: R) -> Self {
        Self { input: BufReader::with_capacity(256 << 10, input), line: Vec::new(), number: 0 }
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, Unread> {
        self.line.clear();
        let limited = &mut self.input.by_ref().take(LONGEST);
        let read = limited.read_until(b'\n', &mut self.line).map_err(Unread::Input)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read as u64 == LONGEST && self.line.last() != Some(&b'\n') {
            let at_end = self.input.skip_until(b'\n').map_err(Unread::Input)? == 0;
            if !at_end {
                return Ok(Some(Line::TooLong));
            }
        }
        Ok(Some(Line::Whole(self.line.trim_ascii())))
    }
}

/// One digest a line.
pub(super) fn plain(input: impl Read, tally: &mut Counting<'_>) -> Result<(), Unread> {
    let mut lines = Lines::of(input);
    loop {
        let found = match lines.next()? {
            None => return Ok(()),
            Some(Line::TooLong) => Err(TOO_LONG),
            Some(Line::Whole(line))
                if line.is_empty() || line.starts_with(b"#") || line.starts_with(b";") =>
            {
                continue;
            }
            Some(Line::Whole(line)) => digest_of(line),
        };
        match found {
            Ok(digest) => tally.take(digest)?,
            Err(why) => tally.refuse(lines.number, why),
        }
    }
}

/// Why a line is refused that is longer than any entry.
pub(super) const TOO_LONG: &str = "the line is longer than 64 KiB";

/// `DIGEST`, `DIGEST  NAME`, `SHA256 (NAME) = DIGEST`. A backslash before the digest says that the name is escaped.
fn digest_of(line: &[u8]) -> Result<Digest, &'static str> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let first = first.strip_prefix(b"\\").unwrap_or(first);
    let tagged = || {
        let last = words.next_back().filter(|_| words.next_back() == Some(&b"="[..]))?;
        digest(last)
    };
    digest(first).or_else(tagged).ok_or("it begins with no MD5, SHA-1 or SHA-256")
}

/// The digest that a text is; of `NAME|DIGEST`, as MISP writes it, the digest.
pub(super) fn digest(text: &[u8]) -> Option<Digest> {
    let text = text.rsplit(|byte| *byte == b'|').next().unwrap_or_default();
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Input(error)
    }
}
