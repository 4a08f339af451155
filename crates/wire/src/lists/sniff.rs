//! What a list is, by its beginning.

use std::io::{self, Cursor, Read};

use model::Digest;

use super::Format;
use super::tables;

/// So much of a list is looked at before it is read.
const LOOK: u64 = 64 << 10;

/// A list's first bytes, without a byte order mark of UTF-8.
pub(super) struct Beginning(Vec<u8>);

impl Beginning {
    pub(super) fn of(input: &mut impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        input.by_ref().take(LOOK).read_to_end(&mut bytes)?;
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            bytes.drain(..3);
        }
        Ok(Self(bytes))
    }

    /// The list from its beginning.
    pub(super) fn and(self, rest: impl Read) -> impl Read {
        Cursor::new(self.0).chain(rest)
    }

    /// As some shells write what is redirected.
    pub(super) fn is_utf16(&self) -> bool {
        self.0.starts_with(b"\xFF\xFE") || self.0.starts_with(b"\xFE\xFF")
    }

    /// gzip, zip, zstd, xz, bzip2.
    pub(super) fn is_packed(&self) -> bool {
        let magics: [&[u8]; 5] = [b"\x1F\x8B", b"PK\x03\x04", b"\x28\xB5\x2F\xFD", b"\xFD7zXZ\0", b"BZh"];
        magics.iter().any(|magic| self.0.starts_with(magic))
    }

    /// What it looks like.
    pub(super) fn format(&self) -> Format {
        let mut lines = self.lines();
        let Some(first) = lines.clone().next() else { return Format::Plain };
        if matches!(first.first(), Some(b'{' | b'[')) {
            return Format::Json;
        }
        if self.lines().take(64).any(tables::is_heading) {
            return Format::Csv;
        }
        let is_comment = |line: &&[u8]| !line.starts_with(b"#") && !line.starts_with(b";");
        match lines.find(is_comment) {
            Some(line) if !begins_with_digest(line) && tables::has_fields(line) => Format::Csv,
            _ => Format::Plain,
        }
    }

    /// Whether each line is an object of its own.
    pub(super) fn is_one_object_a_line(&self) -> bool {
        let mut lines = self.lines();
        let (Some(first), second) = (lines.next(), lines.next()) else { return false };
        let is_whole = (self.0.len() as u64) < LOOK || second.is_some();
        let is_object = |line: &[u8]| line.starts_with(b"{") && line.ends_with(b"}");
        is_whole && (is_object(first) || first.starts_with(b"{") && second.is_some_and(is_object))
    }

    /// Lines that are not empty, without blanks around them.
    fn lines(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.0.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
    }
}

/// A digest, and then a blank or nothing.
fn begins_with_digest(line: &[u8]) -> bool {
    let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    std::str::from_utf8(word).is_ok_and(|word| word.parse::<Digest>().is_ok())
}
