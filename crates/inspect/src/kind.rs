//! What a file is, told by its content and never by its name.

use model::facts::{Facts, FileType};

use crate::elf;

/// How much of a file's beginning [`facts`] wants to see.
pub const HEAD: usize = 4096;

/// What the first bytes of a file, `head`, say of a file of `size` bytes.
pub fn facts(head: &[u8], size: u64) -> Facts {
    let (file_type, subtype) = kind(head);
    Facts { size, file_type, subtype: subtype.map(str::to_owned) }
}

fn kind(head: &[u8]) -> (FileType, Option<&'static str>) {
    if head.starts_with(b"\x7fELF") {
        return (FileType::Elf, elf::subtype(head));
    }
    if head.starts_with(b"MZ") && is_pe(head) {
        return (FileType::PortableExecutable, None);
    }
    if is_script(head) {
        return (FileType::Script, None);
    }
    if is_mach_o(head) {
        return (FileType::MachO, None);
    }
    if head.starts_with(b"PK\x03\x04") {
        return if is_jar(head) { (FileType::Jar, None) } else { (FileType::Zip, None) };
    }
    if head.starts_with(b"%PDF-") {
        return (FileType::Pdf, None);
    }
    if head.starts_with(b"MSCF\0\0\0\0") {
        return (FileType::Cab, None);
    }
    (FileType::Unknown, None)
}

/// An MZ program whose header points at a PE signature. A pointer beyond `head` is believed: old linkers put
/// large stubs before it, and a DOS program alone is nothing this product is asked about.
fn is_pe(head: &[u8]) -> bool {
    let Some(pointer) = head.get(0x3c..0x40) else { return false };
    let at = u32::from_le_bytes([pointer[0], pointer[1], pointer[2], pointer[3]]) as usize;
    match head.get(at..at.saturating_add(4)) {
        Some(signature) => signature == b"PE\0\0",
        None => at >= head.len() && head.len() >= HEAD,
    }
}

/// An interpreter line that names an absolute path, as the kernel wants it.
fn is_script(head: &[u8]) -> bool {
    let Some(line) = head.strip_prefix(b"#!") else { return false };
    line.iter().find(|byte| !matches!(byte, b' ' | b'\t')) == Some(&b'/')
}

fn is_mach_o(head: &[u8]) -> bool {
    match head.first_chunk::<8>() {
        Some([0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]) => true,
        // A universal file counts its architectures here, a Java class its version, which is never below 45.
        Some([0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, count]) => (1..45).contains(count),
        _ => false,
    }
}

/// A zip whose first entry is the archive's manifest or lies beside it, as the tools write it.
fn is_jar(head: &[u8]) -> bool {
    let length = head.get(26..28).map(|length| usize::from(u16::from_le_bytes([length[0], length[1]])));
    let name = length.and_then(|length| head.get(30..30 + length));
    name.is_some_and(|name| name.starts_with(b"META-INF/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pe(at: u32, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c..0x40].copy_from_slice(&at.to_le_bytes());
        if let Some(signature) = bytes.get_mut(at as usize..at as usize + 4) {
            signature.copy_from_slice(b"PE\0\0");
        }
        bytes
    }

    fn zip(name: &[u8]) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.resize(30, 0);
        bytes[26..28].copy_from_slice(&(name.len() as u16).to_le_bytes());
        bytes.extend_from_slice(name);
        bytes
    }

    #[test]
    fn each_kind_is_known_by_its_content() {
        let table: [(&[u8], FileType); 14] = [
            (&pe(0x80, 512), FileType::PortableExecutable),
            (&pe(0x9000, HEAD), FileType::PortableExecutable),
            (&pe(0x9000, 512), FileType::Unknown),
            (b"MZ", FileType::Unknown),
            (b"#!/bin/sh\n", FileType::Script),
            (b"#! \t/usr/bin/env python3\n", FileType::Script),
            (b"#!sh", FileType::Unknown),
            (b"#!", FileType::Unknown),
            (b"\xca\xfe\xba\xbe\0\0\0\x02", FileType::MachO),
            (b"\xca\xfe\xba\xbe\0\0\0\x41", FileType::Unknown),
            (&zip(b"META-INF/MANIFEST.MF"), FileType::Jar),
            (&zip(b"word/document.xml"), FileType::Zip),
            (b"PK\x03\x04", FileType::Zip),
            (b"", FileType::Unknown),
        ];
        for (head, expected) in table {
            assert_eq!(facts(head, 1).file_type, expected, "{head:?}");
        }
    }

    #[test]
    fn this_test_is_an_elf_program() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let facts = facts(&bytes[..HEAD], bytes.len() as u64);
        assert_eq!((facts.file_type, facts.subtype.as_deref()), (FileType::Elf, Some("Program")));
    }
}
