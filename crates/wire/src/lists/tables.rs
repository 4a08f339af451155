//! Lists that are tables: fields between commas, semicolons or tabs.

use std::io::Read;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use model::Digest;

use super::Unread;
use super::lines::{Line, Lines, TOO_LONG, digest};
use super::tally::Counting;

/// A table has no more columns.
const MOST_COLUMNS: usize = 512;

/// Reads a table; one of the NSRL must have a heading.
pub(super) fn read(input: impl Read, tally: &mut Counting<'_>, needs_heading: bool) -> Result<(), Unread> {
    let mut lines = Lines::of(input);
    let mut table: Option<Table> = None;
    loop {
        let line = match lines.next()? {
            None => return Ok(()),
            Some(Line::TooLong) => {
                tally.refuse(lines.number, TOO_LONG);
                continue;
            }
            Some(Line::Whole(line)) => line,
        };
        // Some publishers write the heading as a comment.
        let (text, is_comment) = match line.strip_prefix(b"#") {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let found = match &mut table {
            _ if text.is_empty() => continue,
            Some(_) if is_comment => continue,
            Some(table) => table.digest_in(text),
            None => {
                let mut new = Table::of(text);
                if (!is_comment || has_fields(text)) && new.has_heading(text) {
                    table = Some(new);
                    continue;
                }
                if is_comment {
                    continue;
                }
                if needs_heading {
                    let why = "no heading of the NSRL, such as \"SHA-1\",\"MD5\",\"CRC32\",…".to_owned();
                    return Err(Unread::Broken { line: lines.number, why });
                }
                // A heading that names no digest is one all the same.
                let found = new.digest_in(text);
                table = Some(new);
                if found.is_err() && has_fields(text) {
                    continue;
                }
                found
            }
        };
        match found {
            Ok(digest) => tally.take(digest)?,
            Err(why) => tally.refuse(lines.number, why),
        }
    }
}

/// Whether a line names columns of digests.
pub(super) fn is_heading(line: &[u8]) -> bool {
    let comment = line.strip_prefix(b"#");
    let line = comment.unwrap_or(line);
    (comment.is_none() || has_fields(line)) && Table::of(line).has_heading(line)
}

/// Whether a line has more than one field.
pub(super) fn has_fields(line: &[u8]) -> bool {
    line.iter().any(|byte| matches!(byte, b',' | b';' | b'\t'))
}

/// How a table is written, and which columns hold digests.
struct Table {
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// The columns that the heading says hold digests, longest kind first; without one all are looked at.
    columns: Vec<(Kind, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Sha256,
    Sha1,
    Md5,
}

impl Table {
    /// Fields are parted by whatever the first line has most of.
    fn of(first: &[u8]) -> Self {
        let count = |mark: u8| first.iter().filter(|byte| **byte == mark).count();
        let mark =
            [b',', b';', b'\t'].into_iter().max_by_key(|mark| (count(*mark), *mark == b',')).unwrap_or(b',');
        let reader = ReaderBuilder::new().delimiter(mark).build();
        Self { reader, text: Vec::new(), ends: vec![0; MOST_COLUMNS], columns: Vec::new() }
    }

    /// Whether the line is a heading that names columns of digests; they are known then.
    fn has_heading(&mut self, line: &[u8]) -> bool {
        let Some(fields) = self.split(line) else { return false };
        let mut columns: Vec<_> = (0..fields).filter_map(|at| Some((kind_of(self.field(at))?, at))).collect();
        columns.sort_unstable();
        self.columns = columns;
        !self.columns.is_empty()
    }

    /// The longest digest that a line has where digests are to be.
    fn digest_in(&mut self, line: &[u8]) -> Result<Digest, &'static str> {
        let Some(fields) = self.split(line) else { return Err("it has more than 512 fields") };
        if self.columns.is_empty() {
            return (0..fields).filter_map(|at| digest(self.field(at))).max().ok_or("no field is a digest");
        }
        let filled = self.columns.iter().find(|(_, at)| *at < fields && !self.field(*at).is_empty());
        let Some((kind, at)) = filled else { return Err("its digests are empty") };
        digest(self.field(*at))
            .filter(|digest| kind.is_of(digest))
            .ok_or("what its heading says to be a digest is none")
    }

    /// How many fields a line has; none when it has too many. Each line is a record: a quote left open ends with it.
    fn split(&mut self, line: &[u8]) -> Option<usize> {
        self.reader.reset();
        self.text.resize(line.len() + 1, 0);
        let (mut written, mut fields, mut rest) = (0, 0, line);
        loop {
            let (result, read, wrote, ended) =
                self.reader.read_record(rest, &mut self.text[written..], &mut self.ends[fields..]);
            rest = &rest[read..];
            written += wrote;
            fields += ended;
            match result {
                // Then the next call has nothing to read, and that is the end.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record | ReadRecordResult::End => return Some(fields),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => return None,
            }
        }
    }

    /// A field of the line that was split last. Some publishers put blanks before the quotes.
    fn field(&self, at: usize) -> &[u8] {
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        let field = self.text[begin..self.ends[at]].trim_ascii();
        let unquoted = field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\""));
        unquoted.unwrap_or(field)
    }
}

impl Kind {
    const fn is_of(self, digest: &Digest) -> bool {
        matches!(
            (self, digest),
            (Self::Sha256, Digest::Sha256(_)) | (Self::Sha1, Digest::Sha1(_)) | (Self::Md5, Digest::Md5(_))
        )
    }
}

/// The kind of digest that a column of that name holds: `SHA-1`, `md5_hash`, `file_sha256`, …
fn kind_of(name: &[u8]) -> Option<Kind> {
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase);
    let name: Vec<u8> = letters.take(32).collect();
    let name = name.strip_prefix(b"file").or(name.strip_prefix(b"hash")).unwrap_or(&name);
    let tails: [&[u8]; 4] = [b"hash", b"sum", b"digest", b"value"];
    let name = tails.iter().find_map(|tail| name.strip_suffix(*tail)).unwrap_or(name);
    match name {
        b"sha256" => Some(Kind::Sha256),
        b"sha1" => Some(Kind::Sha1),
        b"md5" => Some(Kind::Md5),
        _ => None,
    }
}

/// The same for a key of JSON; the digests of one object, longest first.
pub(super) fn rank_of(key: &str) -> Option<usize> {
    kind_of(key.as_bytes()).map(|kind| kind as usize)
}
