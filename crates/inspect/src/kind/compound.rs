//! OLE compound files: installer databases and the old documents, told by the root's class and the names of streams.

use std::collections::HashSet;
use std::io;

use model::facts::FileType;

use crate::le;
use crate::source::Source;

pub(super) const MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
const HEADER: usize = 512;
const ENTRY: usize = 128;
/// Sectors of the directory that are looked at.
const MOST_SECTORS: usize = 256;
/// Sectors of the allocation table that the header itself names; a directory is seldom beyond them.
const TABLE_SECTORS: usize = 109;
/// The installer's classes: `{000C10xx-0000-0000-C000-000000000046}`.
const INSTALLER: &[u8] = b"\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46";
/// Streams of an installer's tables begin with this letter.
const TABLE: u16 = 0x4840;

/// What the compound file is; `Unknown` if it is neither of what we know.
pub(super) fn kind(source: &dyn Source) -> io::Result<(FileType, Option<&'static str>)> {
    let header = source.piece(0, HEADER)?;
    let Some(directory) = Directory::read(source, &header)? else { return Ok((FileType::Unknown, None)) };
    if let Some(subtype) = directory.installer() {
        return Ok((FileType::Msi, Some(subtype)));
    }
    Ok(match directory.document() {
        Some(subtype) => (FileType::Office, Some(subtype)),
        None => (FileType::Unknown, Some("CompoundFile")),
    })
}

struct Directory {
    class: Vec<u8>,
    names: Vec<Vec<u16>>,
}

impl Directory {
    fn read(source: &dyn Source, header: &[u8]) -> io::Result<Option<Self>> {
        let Some(shift) = le::half(header, 30).filter(|shift| (9..=12).contains(shift)) else {
            return Ok(None);
        };
        let Some(first) = le::word(header, 48) else { return Ok(None) };
        let sectors = Sectors { source, header, length: 1 << shift };
        let mut found = Self { class: Vec::new(), names: Vec::new() };
        let mut seen = HashSet::new();
        let mut sector = Some(first);
        while let Some(number) = sector.filter(|number| seen.len() < MOST_SECTORS && seen.insert(*number)) {
            let bytes = sectors.read(number)?;
            if bytes.is_empty() {
                break;
            }
            if seen.len() == 1 {
                found.class = bytes.get(80..96).unwrap_or_default().to_vec();
            }
            found.names.extend(bytes.chunks_exact(ENTRY).filter_map(name));
            sector = sectors.next(number)?;
        }
        Ok(Some(found))
    }

    fn installer(&self) -> Option<&'static str> {
        let by_class = match self.class.split_first() {
            Some((0x84, INSTALLER)) => Some("Package"),
            Some((0x86, INSTALLER)) => Some("Patch"),
            Some((0x82, INSTALLER)) => Some("Transform"),
            _ => None,
        };
        let by_table = || self.names.iter().any(|name| name.first() == Some(&TABLE)).then_some("Package");
        by_class.or_else(by_table)
    }

    fn document(&self) -> Option<&'static str> {
        let streams = [
            ("WordDocument", "Word"),
            ("Workbook", "Excel"),
            ("Book", "Excel"),
            ("PowerPoint Document", "PowerPoint"),
            ("VisioDocument", "Visio"),
            ("EncryptedPackage", "Encrypted"),
            ("__properties_version1.0", "Outlook"),
            ("Quill", "Publisher"),
        ];
        let has = |wanted: &str| self.names.iter().any(|name| name.iter().copied().eq(wanted.encode_utf16()));
        streams.into_iter().find(|(stream, _)| has(stream)).map(|(_, word)| word)
    }
}

/// The name of a directory entry; none of an empty one.
fn name(entry: &[u8]) -> Option<Vec<u16>> {
    let length = usize::from(le::half(entry, 64)?).checked_sub(2).filter(|length| *length <= 62)?;
    let units = entry.get(..length)?.chunks_exact(2);
    Some(units.filter_map(|unit| le::half(unit, 0)).collect())
}

struct Sectors<'a> {
    source: &'a dyn Source,
    header: &'a [u8],
    length: usize,
}

impl Sectors<'_> {
    /// The first sector lies behind the header's own.
    fn read(&self, number: u32) -> io::Result<Vec<u8>> {
        let at = u64::from(number).saturating_add(1).saturating_mul(self.length as u64);
        self.source.piece(at, self.length)
    }

    /// The sector that follows in the chain; none at its end.
    fn next(&self, number: u32) -> io::Result<Option<u32>> {
        let width = self.length / 4;
        let number = number as usize;
        let (table, index) = (number.checked_div(width), number.checked_rem(width));
        let Some((table, index)) = table.zip(index).filter(|(table, _)| *table < TABLE_SECTORS) else {
            return Ok(None);
        };
        let Some(sector) = le::word(self.header, table.saturating_mul(4).saturating_add(76)) else {
            return Ok(None);
        };
        let bytes = self.read(sector)?;
        // Numbers from here on are marks.
        Ok(le::word(&bytes, index.saturating_mul(4)).filter(|next| *next < 0xffff_fffa))
    }
}
