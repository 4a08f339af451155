//! Where the parts of a portable executable lie in its file.

use std::io;

use model::inspection::Span;

use crate::le;
use crate::source::Source;

const POINTER_AT: usize = 0x3c;
/// The signature `PE\0\0` and the file header behind it.
const OPTIONAL_AT: usize = 24;
/// Up to the end of the sixteenth directory of a PE32+ header.
const OPTIONAL_LENGTH: usize = 240;
const CHECKSUM: usize = 64;
const SIZE_OF_HEADERS: usize = 60;
const SECTION_COUNT: usize = 6;
const OPTIONAL_SIZE: usize = 20;
const SECTION: usize = 40;
const DIRECTORY_LENGTH: usize = 8;
const SECURITY: usize = 4;
const MAGIC_32: u16 = 0x10b;
const MAGIC_64: u16 = 0x20b;

/// Where the parts of a portable executable lie in its file. Everything but `checksum_at` and `security_at` is the
/// header's word, not checked against the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Offset of the signature `PE\0\0`.
    pub(crate) signature_at: u64,
    /// Whether it is PE32+, the form with 64-bit addresses.
    pub(crate) is_plus: bool,
    /// Offset of the checksum, four bytes.
    pub(crate) checksum_at: u64,
    /// Offset of the directory entry of the certificate table, eight bytes; none if the header is too short for one.
    pub(crate) security_at: Option<u64>,
    /// The certificate table as that entry claims it: it may be empty, overlap the headers or end behind the file.
    pub(crate) certificates: Span,
    /// End of the headers.
    pub(crate) headers_end: u64,
    /// The bytes from the signature on: file header and optional header, at most 264 bytes.
    pub(crate) header: Vec<u8>,
}

impl Layout {
    /// The layout of `source`, or none if it is no portable executable or ends before its checksum.
    pub(crate) fn read(source: &(impl Source + ?Sized)) -> io::Result<Option<Self>> {
        let start = source.piece(0, POINTER_AT.saturating_add(4))?;
        let Some(pointer) = le::word(&start, POINTER_AT).filter(|_| start.starts_with(b"MZ")) else {
            return Ok(None);
        };
        let signature_at = u64::from(pointer);
        let header = source.piece(signature_at, OPTIONAL_AT.saturating_add(OPTIONAL_LENGTH))?;
        Ok(Self::of(signature_at, header))
    }

    fn of(signature_at: u64, header: Vec<u8>) -> Option<Self> {
        let optional = header.strip_prefix(b"PE\0\0").and(header.get(OPTIONAL_AT..))?;
        let is_plus = match le::half(optional, 0)? {
            MAGIC_32 => false,
            MAGIC_64 => true,
            _ => return None,
        };
        le::word(optional, CHECKSUM)?;
        let headers_end = le::word(optional, SIZE_OF_HEADERS)?.into();
        let optional_at = signature_at.checked_add(OPTIONAL_AT as u64)?;
        let checksum_at = optional_at.checked_add(CHECKSUM as u64)?;
        let mut layout = Self {
            signature_at,
            is_plus,
            checksum_at,
            security_at: None,
            certificates: Span::default(),
            headers_end,
            header,
        };
        if let Some((at, offset, size)) = layout.directory_entry(SECURITY) {
            layout.security_at = optional_at.checked_add(at as u64);
            layout.certificates = Span { offset: offset.into(), size: size.into() };
        }
        Some(layout)
    }

    /// The certificate table, if there is one that lies behind the headers' directory and within a file of `size` bytes.
    pub(crate) fn certificates_within(&self, size: u64) -> Option<Span> {
        let least = self.security_at?.checked_add(DIRECTORY_LENGTH as u64)?;
        let span = self.certificates;
        let end = span.offset.checked_add(span.size)?;
        (span.size > 0 && span.offset >= least && end <= size).then_some(span)
    }

    /// Where in the file the furthest section ends, as the section table claims it, all its entries counted.
    pub(crate) fn sections_end(&self, source: &(impl Source + ?Sized)) -> io::Result<u64> {
        let count = le::half(&self.header, SECTION_COUNT).map_or(0, usize::from);
        let optional = le::half(&self.header, OPTIONAL_SIZE).map_or(0, u64::from);
        let at = self.signature_at.saturating_add(OPTIONAL_AT as u64).saturating_add(optional);
        let table = source.piece(at, count.saturating_mul(SECTION))?;
        let ends = table.chunks_exact(SECTION).filter_map(|section| {
            let (size, offset) = (le::word(section, 16)?, le::word(section, 20)?);
            (size > 0).then(|| u64::from(offset).saturating_add(size.into()))
        });
        Ok(ends.max().unwrap_or(0))
    }

    /// Address and length that the directory entry `index` holds, if the header has that entry.
    pub(crate) fn directory(&self, index: usize) -> Option<(u32, u32)> {
        self.directory_entry(index).map(|(_, address, size)| (address, size))
    }

    /// The optional header as far as the file has it, its directories among it.
    pub(crate) fn optional(&self) -> &[u8] {
        self.header.get(OPTIONAL_AT..).unwrap_or_default()
    }

    /// Offset in the optional header, address and length of a directory entry.
    fn directory_entry(&self, index: usize) -> Option<(usize, u32, u32)> {
        let optional = self.optional();
        let directories: usize = if self.is_plus { 112 } else { 96 };
        let count = le::word(optional, directories.checked_sub(4)?)?;
        if index as u64 >= u64::from(count) {
            return None;
        }
        let at = index.checked_mul(DIRECTORY_LENGTH)?.checked_add(directories)?;
        Some((at, le::word(optional, at)?, le::word(optional, at.checked_add(4)?)?))
    }
}
