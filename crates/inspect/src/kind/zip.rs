//! Zip archives and what is built on them, told by the names in the central directory.

use std::io;

use model::facts::FileType;

use crate::le;
use crate::source::Source;

/// The end record, and the longest comment behind it.
const END: u64 = 22 + 0xffff;
const END_LENGTH: usize = 22;
const ENTRY_LENGTH: usize = 46;
/// What is read of a central directory, whatever it claims.
const MOST_BYTES: u64 = 1024 * 1024;
const MOST_ENTRIES: usize = 16_384;
/// Content of the entry `mimetype`, which must be stored first and plain.
const LONGEST_WORD: usize = 128;

/// What the archive is, by its entries.
pub(super) fn kind(source: &dyn Source, head: &[u8]) -> io::Result<(FileType, Option<&'static str>)> {
    let directory = directory(source)?;
    let names = Names::of(&directory);
    if let Some(found) = mimetype(head) {
        return Ok(found);
    }
    if names.has("AndroidManifest.xml") && (names.has("classes.dex") || names.has("resources.arsc")) {
        return Ok((FileType::Apk, None));
    }
    if names.has("[Content_Types].xml")
        && let Some(office) = names.office()
    {
        return Ok((FileType::Office, Some(office)));
    }
    if names.has("META-INF/mozilla.rsa") || names.has("install.rdf") {
        return Ok((FileType::Zip, Some("Xpi")));
    }
    if names.has("META-INF/MANIFEST.MF") || (names.0.is_empty() && super::is_jar(head)) {
        let subtype = if names.any(|name| name.starts_with(b"WEB-INF/")) {
            Some("War")
        } else if names.has("META-INF/application.xml") {
            Some("Ear")
        } else {
            None
        };
        return Ok((FileType::Jar, subtype));
    }
    Ok((FileType::Zip, names.other()))
}

/// Names of the entries, in their order, without a path that leads upwards being followed anywhere.
struct Names<'a>(Vec<&'a [u8]>);

impl<'a> Names<'a> {
    fn of(directory: &'a [u8]) -> Self {
        let mut names = Vec::new();
        let mut rest = directory;
        while names.len() < MOST_ENTRIES
            && let Some((name, after)) = entry(rest)
        {
            names.push(name);
            rest = after;
        }
        Self(names)
    }

    fn any(&self, matches: impl Fn(&[u8]) -> bool) -> bool {
        self.0.iter().any(|name| matches(name))
    }

    fn has(&self, name: &str) -> bool {
        self.any(|entry| entry == name.as_bytes())
    }

    fn office(&self) -> Option<&'static str> {
        let parts: [(&[u8], &str); 4] =
            [(b"word/", "Word"), (b"xl/", "Excel"), (b"ppt/", "PowerPoint"), (b"visio/", "Visio")];
        parts.into_iter().find(|(part, _)| self.any(|name| name.starts_with(part))).map(|(_, word)| word)
    }

    fn other(&self) -> Option<&'static str> {
        let at_root = |ending: &[u8]| self.any(|name| name.ends_with(ending) && !name.contains(&b'/'));
        if self.has("AppxManifest.xml") || self.has("AppxMetadata/AppxBundleManifest.xml") {
            Some("Appx")
        } else if self.has("extension.vsixmanifest") {
            Some("Vsix")
        } else if self.any(|name| name.ends_with(b".dist-info/WHEEL")) {
            Some("Wheel")
        } else if at_root(b".nuspec") {
            Some("NuGet")
        } else {
            None
        }
    }
}

/// The name of the first entry of a central directory, and what lies behind that entry.
fn entry(directory: &[u8]) -> Option<(&[u8], &[u8])> {
    directory.strip_prefix(b"PK\x01\x02")?;
    let length = |at| le::half(directory, at).map(usize::from);
    let name_end = ENTRY_LENGTH.checked_add(length(28)?)?;
    let end = name_end.checked_add(length(30)?)?.checked_add(length(32)?)?;
    Some((directory.get(ENTRY_LENGTH..name_end)?, directory.get(end..).unwrap_or_default()))
}

/// The beginning of the central directory; empty if there is none.
fn directory(source: &dyn Source) -> io::Result<Vec<u8>> {
    let size = source.size();
    let tail_at = size.saturating_sub(END);
    let tail = source.piece(tail_at, END as usize)?;
    let Some(end) = memchr::memmem::rfind_iter(&tail, b"PK\x05\x06").find(|at| is_end(&tail, *at)) else {
        return Ok(Vec::new());
    };
    let record = tail.get(end..).unwrap_or_default();
    let (mut length, mut offset) =
        (le::word(record, 12).map_or(0, u64::from), le::word(record, 16).map_or(0, u64::from));
    let end_at = tail_at.saturating_add(end as u64);
    // How far the archive is moved by what was put before it.
    let mut directory_end = end_at;
    if offset == u64::from(u32::MAX) || length == u64::from(u32::MAX) {
        let Some(long) = long_end(source, end_at)? else { return Ok(Vec::new()) };
        (length, offset, directory_end) = long;
    }
    let moved = directory_end.checked_sub(length).filter(|at| *at >= offset);
    source.piece(moved.unwrap_or(offset), usize::try_from(length.min(MOST_BYTES)).unwrap_or_default())
}

/// Whether the record there ends with the file, its comment counted.
fn is_end(tail: &[u8], at: usize) -> bool {
    let comment = at.checked_add(20).and_then(|at| le::half(tail, at));
    let end = comment.and_then(|comment| at.checked_add(END_LENGTH)?.checked_add(comment.into()));
    end.is_some_and(|end| end <= tail.len())
}

/// Length and offset of the directory, and where it ends, by the 64-bit record that the locator before the end record
/// names.
fn long_end(source: &dyn Source, end_at: u64) -> io::Result<Option<(u64, u64, u64)>> {
    let Some(locator_at) = end_at.checked_sub(20) else { return Ok(None) };
    let locator = source.piece(locator_at, 20)?;
    let Some(at) = le::long(&locator, 8).filter(|_| locator.starts_with(b"PK\x06\x07")) else {
        return Ok(None);
    };
    let record = source.piece(at, 56)?;
    let read = || Some((le::long(&record, 40)?, le::long(&record, 48)?, at));
    Ok(read().filter(|_| record.starts_with(b"PK\x06\x06")))
}

/// What an archive says of itself in a first entry of that name.
fn mimetype(head: &[u8]) -> Option<(FileType, Option<&'static str>)> {
    let name_end = 30_usize.checked_add(le::half(head, 26)?.into())?;
    if head.get(30..name_end)? != b"mimetype" || le::half(head, 8)? != 0 {
        return None;
    }
    let start = name_end.checked_add(le::half(head, 28)?.into())?;
    let length = usize::try_from(le::word(head, 18)?).ok()?.min(LONGEST_WORD);
    let word = std::str::from_utf8(head.get(start..start.checked_add(length)?)?).ok()?;
    if word.starts_with("application/epub+zip") {
        return Some((FileType::Zip, Some("Epub")));
    }
    let document = word.strip_prefix("application/vnd.oasis.opendocument.")?;
    let subtype = match document.split(['-', ' ']).next()? {
        "text" => "OpenDocumentText",
        "spreadsheet" => "OpenDocumentSpreadsheet",
        "presentation" => "OpenDocumentPresentation",
        "graphics" => "OpenDocumentDrawing",
        _ => "OpenDocument",
    };
    Some((FileType::Office, Some(subtype)))
}
