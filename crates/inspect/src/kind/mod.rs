//! What a file is, told by its content and never by its name.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod compound;
mod macho;
mod script;
mod zip;

#[cfg(test)]
mod tests;

use std::io;

use model::facts::{Facts, FileType};

use crate::pe::Layout;
use crate::source::Source;
use crate::{elf, le, pe};

/// How much of a file's beginning [`facts`] wants to see.
pub const HEAD: usize = 4096;

/// How far behind its beginning a document may say that it is one.
const PDF_SLACK: usize = 1024;

const ONE_NOTE: &[u8] = b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3";

/// What the first bytes of a file, `head`, say of a file of `size` bytes.
pub fn facts(head: &[u8], size: u64) -> Facts {
    let (file_type, subtype) = kind(head);
    Facts { size, file_type, subtype: subtype.map(str::to_owned) }
}

/// What more than the head says.
pub(crate) struct Refined {
    pub(crate) file_type: FileType,
    pub(crate) subtype: Option<&'static str>,
    /// What the first line of a script says.
    pub(crate) interpreter: Option<String>,
}

/// What `source` is, by as many of its parts as that takes.
pub(crate) fn refined(source: &dyn Source) -> io::Result<Refined> {
    let head = source.piece(0, HEAD)?;
    let (file_type, subtype) = refine(source, &head)?;
    let interpreter = script::interpreter(&head).filter(|_| file_type == FileType::Script);
    Ok(Refined { file_type, subtype, interpreter })
}

fn refine(source: &dyn Source, head: &[u8]) -> io::Result<(FileType, Option<&'static str>)> {
    if head.starts_with(compound::MAGIC) {
        return compound::kind(source);
    }
    match kind(head) {
        (FileType::PortableExecutable, subtype) => {
            let at = le::word(head, POINTER).unwrap_or(0).into();
            let is_pe = source.piece(at, SIGNATURE.len())? == SIGNATURE;
            Ok(if is_pe { (FileType::PortableExecutable, subtype) } else { (FileType::Unknown, None) })
        }
        (FileType::Jar | FileType::Zip, _) => zip::kind(source, head),
        (FileType::Unknown, _) => match script::signed(source)? {
            Some(language) => Ok((FileType::Script, Some(language))),
            None => Ok((FileType::Unknown, None)),
        },
        known => Ok(known),
    }
}

fn kind(head: &[u8]) -> (FileType, Option<&'static str>) {
    if head.starts_with(b"\x7fELF") {
        return (FileType::Elf, elf::subtype(head));
    }
    if head.starts_with(b"MZ") && is_pe(head) {
        return (FileType::PortableExecutable, pe_subtype(head));
    }
    if let Some(line) = script::interpreter(head) {
        return (FileType::Script, script::language(&line));
    }
    if let Some(subtype) = macho::subtype(head) {
        return (FileType::MachO, Some(subtype));
    }
    if is_zip(head) {
        return if is_jar(head) { (FileType::Jar, None) } else { (FileType::Zip, None) };
    }
    if head.starts_with(b"MSCF\0\0\0\0") {
        return (FileType::Cab, None);
    }
    if head.starts_with(compound::MAGIC) {
        return by_class(head);
    }
    if head.starts_with(b"{\\rtf") {
        return (FileType::Office, Some("RichText"));
    }
    if head.starts_with(ONE_NOTE) {
        return (FileType::Office, Some("OneNote"));
    }
    if head.starts_with(b"<?php") {
        return (FileType::Script, Some("Php"));
    }
    if memchr::memmem::find(head.get(..PDF_SLACK).unwrap_or(head), b"%PDF-").is_some() {
        return (FileType::Pdf, None);
    }
    (FileType::Unknown, None)
}

const POINTER: usize = 0x3c;
const SIGNATURE: &[u8] = b"PE\0\0";

/// An MZ program whose header points at a PE signature. A pointer beyond `head` is believed: old linkers put
/// large stubs before it, and a DOS program alone is nothing this product is asked about.
fn is_pe(head: &[u8]) -> bool {
    let Some(at) = le::word(head, POINTER) else { return false };
    let at = at as usize;
    match head.get(at..at.saturating_add(SIGNATURE.len())) {
        Some(signature) => signature == SIGNATURE,
        None => at >= head.len() && head.len() >= HEAD,
    }
}

/// The kind of program, unless its header lies beyond `head` or its imports have a say.
fn pe_subtype(head: &[u8]) -> Option<&'static str> {
    // Bytes in memory cannot fail to be read.
    let layout = Layout::read(head).ok().flatten()?;
    pe::subtype(&layout, None)
}

/// A compound file whose directory lies in the head, as far as that goes.
fn by_class(head: &[u8]) -> (FileType, Option<&'static str>) {
    compound::kind(&head).unwrap_or_default()
}

/// An archive, an empty one, or the first part of one in several.
fn is_zip(head: &[u8]) -> bool {
    [b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"].iter().any(|magic| head.starts_with(*magic))
}

/// A zip whose first entry is the archive's manifest or lies beside it, as the tools write it.
fn is_jar(head: &[u8]) -> bool {
    let length = le::half(head, 26).map(usize::from);
    let name = length.and_then(|length| head.get(30..length.checked_add(30)?));
    name.is_some_and(|name| name.starts_with(b"META-INF/"))
}
