//! What the head tells, and what the whole file does.

use model::facts::FileType;

use super::*;

mod archives;
mod compounds;

fn pe(at: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c..0x40].copy_from_slice(&at.to_le_bytes());
    if let Some(signature) = bytes.get_mut(at as usize..at as usize + 4) {
        signature.copy_from_slice(b"PE\0\0");
    }
    bytes
}

/// The head of an archive with this first entry.
fn zip(name: &[u8]) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.resize(30, 0);
    bytes[26..28].copy_from_slice(&(name.len() as u16).to_le_bytes());
    bytes.extend_from_slice(name);
    bytes
}

fn whole(bytes: &[u8]) -> (FileType, Option<&'static str>) {
    let refined = refined(&bytes).unwrap();
    (refined.file_type, refined.subtype)
}

#[test]
fn each_kind_is_known_by_its_content() {
    let table: [(&[u8], FileType); 22] = [
        (&pe(0x80, 512), FileType::PortableExecutable),
        (&pe(0x9000, HEAD), FileType::PortableExecutable),
        (&pe(0x9000, 512), FileType::Unknown),
        (b"MZ", FileType::Unknown),
        (b"#!/bin/sh\n", FileType::Script),
        (b"#! \t/usr/bin/env python3\n", FileType::Script),
        (b"#!sh", FileType::Unknown),
        (b"#!", FileType::Unknown),
        (b"<?php echo 1;", FileType::Script),
        (b"\xca\xfe\xba\xbe\0\0\0\x02", FileType::MachO),
        (b"\xca\xfe\xba\xbe\0\0\0\x41", FileType::Unknown),
        (&zip(b"META-INF/MANIFEST.MF"), FileType::Jar),
        (&zip(b"word/document.xml"), FileType::Zip),
        (b"PK\x03\x04", FileType::Zip),
        (b"PK\x05\x06\0\0", FileType::Zip),
        (b"PK\x01\x02", FileType::Unknown),
        (b"MSCF\0\0\0\0\0", FileType::Cab),
        (b"MSCFxxxx", FileType::Unknown),
        (b"\n\n%PDF-1.7", FileType::Pdf),
        (b"{\\rtf1\\ansi", FileType::Office),
        (ONE_NOTE, FileType::Office),
        (b"", FileType::Unknown),
    ];
    for (head, expected) in table {
        assert_eq!(facts(head, 1).file_type, expected, "{head:?}");
        for end in 0..head.len() {
            facts(&head[..end], 1);
            whole(&head[..end]);
        }
    }
}

#[test]
fn a_late_document_mark_is_none() {
    let late = [vec![b' '; PDF_SLACK], b"%PDF-1.4".to_vec()].concat();
    assert_eq!(facts(&late, 1).file_type, FileType::Unknown);
}

#[test]
fn a_pointer_beyond_the_head_is_followed_in_the_whole_file() {
    let there = pe(0x9000, 0x9100);
    assert_eq!(whole(&there).0, FileType::PortableExecutable);
    let mut absent = there;
    absent[0x9000] = b'N';
    assert_eq!(facts(&absent[..HEAD], 1).file_type, FileType::PortableExecutable);
    assert_eq!(whole(&absent), (FileType::Unknown, None));
}

#[test]
fn a_script_has_an_interpreter_and_a_language() {
    let refined = refined(&b"#!/usr/bin/env python3\nprint(1)\n".as_slice()).unwrap();
    assert_eq!((refined.file_type, refined.subtype), (FileType::Script, Some("Python")));
    assert_eq!(refined.interpreter.as_deref(), Some("/usr/bin/env python3"));
    assert_eq!(whole(b"x = 1\r\n# SIG # Begin signature block\r\n"), (FileType::Script, Some("PowerShell")));
}

#[test]
fn this_test_is_an_elf_program() {
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let facts = facts(&bytes[..HEAD], bytes.len() as u64);
    assert_eq!((facts.file_type, facts.subtype.as_deref()), (FileType::Elf, Some("Program")));
    assert_eq!(whole(&bytes), (FileType::Elf, Some("Program")));
}
