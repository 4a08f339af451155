//! OLE compound files.

use super::*;

const SECTOR: usize = 512;

/// A compound file with these streams in its directory, which has a sector for every four of them.
fn compound(class: u8, streams: &[Vec<u16>]) -> Vec<u8> {
    let mut bytes = compound::MAGIC.to_vec();
    bytes.resize(SECTOR, 0xff);
    bytes[30..32].copy_from_slice(&9_u16.to_le_bytes());
    bytes[48..52].copy_from_slice(&1_u32.to_le_bytes());
    bytes[76..80].copy_from_slice(&0_u32.to_le_bytes());
    let root: Vec<u16> = "Root Entry".encode_utf16().collect();
    let entries: Vec<&Vec<u16>> = std::iter::once(&root).chain(streams).collect();
    let sectors = entries.len().div_ceil(4) as u32;
    for sector in 0..(SECTOR / 4) as u32 {
        let next = if (1..sectors).contains(&sector) { sector + 1 } else { 0xffff_fffe };
        bytes.extend(next.to_le_bytes());
    }
    for name in entries {
        let at = bytes.len();
        bytes.resize(at + 128, 0);
        for (index, unit) in name.iter().enumerate() {
            bytes[at + 2 * index..at + 2 * index + 2].copy_from_slice(&unit.to_le_bytes());
        }
        bytes[at + 64] = 2 * (name.len() as u8 + 1);
    }
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    if class != 0 {
        let root = 2 * SECTOR;
        bytes[root + 80] = class;
        bytes[root + 81..root + 96].copy_from_slice(b"\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46");
    }
    bytes
}

fn named(name: &str) -> Vec<u16> {
    name.encode_utf16().collect()
}

#[test]
fn installers_are_told_from_documents() {
    type Case = (u8, Vec<Vec<u16>>, FileType, Option<&'static str>);
    let table: [Case; 8] = [
        (0x84, vec![], FileType::Msi, Some("Package")),
        (0x86, vec![named("WordDocument")], FileType::Msi, Some("Patch")),
        (0x82, vec![], FileType::Msi, Some("Transform")),
        (0, vec![vec![0x4840, 0x3f7f, 0x4164]], FileType::Msi, Some("Package")),
        (0, vec![named("1Table"), named("WordDocument")], FileType::Office, Some("Word")),
        (0, vec![named("Workbook")], FileType::Office, Some("Excel")),
        (0, vec![named("EncryptionInfo"), named("EncryptedPackage")], FileType::Office, Some("Encrypted")),
        (0, vec![named("something")], FileType::Unknown, Some("CompoundFile")),
    ];
    for (class, streams, file_type, subtype) in table {
        let bytes = compound(class, &streams);
        assert_eq!(whole(&bytes), (file_type, subtype), "{class} {streams:?}");
        assert_eq!(facts(&bytes, bytes.len() as u64).file_type, file_type);
    }
}

#[test]
fn a_directory_is_followed_through_its_sectors() {
    let mut streams: Vec<Vec<u16>> = (0..100).map(|number| named(&format!("stream {number}"))).collect();
    streams.push(named("PowerPoint Document"));
    let bytes = compound(0, &streams);
    assert_eq!(whole(&bytes), (FileType::Office, Some("PowerPoint")));
    // A chain that bites its tail.
    let mut round = bytes.clone();
    round[SECTOR + 4 * 3..SECTOR + 4 * 4].copy_from_slice(&1_u32.to_le_bytes());
    assert_eq!(whole(&round), (FileType::Unknown, Some("CompoundFile")));
    for end in (0..bytes.len()).step_by(13) {
        whole(&bytes[..end]);
    }
}
