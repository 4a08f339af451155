//! Forms beside programs.

use model::inspection::{Carrier, Flaw};

use super::super::cms::algorithm::Hash;
use super::super::cms::oid;
use super::super::cms::tlv::{OCTET_STRING, OID, SEQUENCE, SET};
use super::build::{self, Signing, der, indirect};
use super::{Family, all, first, flaw, today};

/// A cabinet with this signature at its end. The bytes before it do not depend on it but in what is not covered.
fn cabinet(signature: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 60];
    file[..4].copy_from_slice(b"MSCF");
    file[30] = 4;
    file[36] = 20;
    file[42] = 0x10;
    file.extend([7; 100]);
    file[44] = 160;
    file[48..50].copy_from_slice(&(signature.len() as u16).to_le_bytes());
    file.extend(signature);
    file
}

#[test]
fn a_cabinet_is_covered_but_for_its_reserved_area() {
    let family = Family::new();
    let trust = family.trust();
    let bare = cabinet(b"");
    let digest = Hash::Sha256.of_parts(&[&bare[..4], &bare[8..34], &bare[56..160]]);
    let file = cabinet(&family.signing_of(oid::CABINET, &digest).bytes());
    assert_eq!(flaw(&file, &trust, today()), None);
    for at in [0, 9, 33, 56, 100, 159] {
        let mut mutant = file.clone();
        mutant[at] ^= 1;
        let found = all(&mutant, &trust, today()).0;
        assert!(found.is_none_or(|one| !one.is_valid), "{at}");
    }
    // Room in each folder's or block's entry moves the tables, and nobody signs how much.
    for at in [38, 39] {
        let mut mutant = file.clone();
        mutant[at] = 8;
        assert_eq!(flaw(&mutant, &trust, today()), Some(Flaw::Malformed), "{at}");
    }
    let more = [file, b"more".to_vec()].concat();
    assert_eq!(first(&more, &trust, today()).uncovered_bytes, 4);
    assert_eq!(flaw(&more, &trust.strict(), today()), Some(Flaw::UncoveredBytes));
}

#[test]
fn a_script_is_covered_up_to_its_block() {
    let family = Family::new();
    let trust = family.trust();
    let text = "Write-Host 'é'\r\nexit";
    let covered: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let digest = Hash::Sha256.of_parts(&[&covered]);
    let signature = family.signing_of(oid::SUBJECT_INFO, &digest).bytes();
    let base64 = data_encoding::BASE64.encode(&signature);
    let lines: Vec<_> =
        base64.as_bytes().chunks(64).map(|line| format!("# {}\r\n", str::from_utf8(line).unwrap())).collect();
    let block = format!("# SIG # Begin signature block\r\n{}# SIG # End signature block\r\n", lines.concat());
    let script = format!("{text}\r\n{block}");
    assert_eq!(flaw(script.as_bytes(), &trust, today()), None);
    let tampered =
        [script.replace("exit", "quit"), script.replace("'é'\r\n", "'é'\n"), format!("{script}evil")];
    // The same text, split around the block at each place: a remark becomes a command.
    let split = (1..text.len()).filter(|at| text.is_char_boundary(*at)).map(|at| {
        let (before, behind) = text.split_at(at);
        format!("{before}\r\n{block}{behind}")
    });
    for one in tampered.into_iter().chain(split) {
        assert_eq!(flaw(one.as_bytes(), &trust, today()), Some(Flaw::DigestDiffers));
    }
    assert_eq!(all(text.as_bytes(), &trust, today()).0, None);
}

#[test]
fn a_catalogue_speaks_for_files_without_a_signature() {
    let family = Family::new();
    let mut trust = family.trust();
    let program = build::program();
    let member = |digest: &[u8]| {
        let data = indirect(oid::SHA256, digest);
        let attribute = der(SEQUENCE, &[&der(OID, &[oid::INDIRECT_DATA]), &der(SET, &[&data])]);
        der(SEQUENCE, &[&der(OCTET_STRING, &[digest]), &der(SET, &[&attribute])])
    };
    let members = [member(&build::digest(&program)), member(&[1; 32])].concat();
    let list = der(
        SEQUENCE,
        &[
            &der(SEQUENCE, &[&der(OID, &[oid::CATALOGUE_LIST])]),
            &der(OCTET_STRING, &[b"id"]),
            &build::time("20200101000000Z"),
            &der(SEQUENCE, &[&der(OID, &[b"\x2b\x06\x01\x04\x01\x82\x37\x0c\x01\x03"])]),
            &der(SEQUENCE, &[&members]),
        ],
    );
    let signing = Signing { content_type: oid::TRUST_LIST, content: list, ..family.signing(b"") };
    assert_eq!(trust.add_catalogue("own.cat", signing.bytes()), Ok(2));
    let signature = first(&program, &trust, today());
    assert_eq!((signature.flaw, signature.carrier), (None, Carrier::Catalogue("own.cat".to_owned())));
    assert_eq!(signature.signer.as_deref(), Some("Publisher"));
    let mut other = program;
    other[350] ^= 1;
    assert_eq!(all(&other, &trust, today()).0, None);
    assert!(trust.add_catalogue("no.cat", other).is_err());
}

/// An installer database: root with two streams and the signature, all in whole sectors.
fn installer(signature: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 512];
    file[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    (file[26], file[28], file[29], file[30], file[32]) = (3, 0xfe, 0xff, 9, 6);
    file[44] = 1;
    file[48] = 1;
    file[57] = 0x10;
    file[60..64].fill(0xff);
    file[60] = 0xfe;
    file.copy_within(60..64, 68);
    file[76..512].fill(0xff);
    file[76..80].fill(0);
    let mut table = vec![0xff_u8; 512];
    let mut link = |from: u32, to: u32| {
        table[from as usize * 4..from as usize * 4 + 4].copy_from_slice(&to.to_le_bytes());
    };
    link(0, 0xffff_fffd);
    link(1, 0xffff_fffe);
    let streams: [(&str, Vec<u8>); 3] =
        [("B", vec![2; 4096]), ("\u{5}DigitalSignature", signature.to_vec()), ("A", vec![1; 5000])];
    let mut directory = entry("Root Entry", 5, 2, 0xffff_fffe, 0);
    let mut content = Vec::new();
    for (place, (name, bytes)) in streams.iter().enumerate() {
        let start = 2 + content.len() as u32 / 512;
        let sectors = bytes.len().div_ceil(512) as u32;
        for sector in start..start + sectors {
            link(sector, if sector + 1 == start + sectors { 0xffff_fffe } else { sector + 1 });
        }
        // The second is the top of the tree, the others are its branches.
        directory.extend(entry(name, 2, if place == 1 { 1 } else { u32::MAX }, start, bytes.len() as u32));
        content.extend(bytes);
        content.resize(content.len().next_multiple_of(512), 0);
    }
    directory[128 * 2 + 72] = 3;
    directory[128 * 2 + 73..128 * 2 + 76].fill(0);
    directory[128 * 2 + 68] = 1;
    directory[128 * 2 + 69..128 * 2 + 72].fill(0);
    [file, table, directory, content].concat()
}

fn entry(name: &str, kind: u8, child: u32, start: u32, size: u32) -> Vec<u8> {
    let mut entry = vec![0; 128];
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    entry[..name.len()].copy_from_slice(&name);
    (entry[64], entry[66]) = (name.len() as u8 + 2, kind);
    entry[68..76].fill(0xff);
    entry[76..80].copy_from_slice(&(if kind == 5 { child } else { u32::MAX }).to_le_bytes());
    entry[80..96].fill(if kind == 5 { 9 } else { 0 });
    entry[116..120].copy_from_slice(&start.to_le_bytes());
    entry[120..124].copy_from_slice(&size.to_le_bytes());
    entry
}

#[test]
fn an_installer_is_covered_stream_by_stream() {
    let family = Family::new();
    let trust = family.trust();
    let digest = Hash::Sha256.of_parts(&[&[1; 5000], &[2; 4096], &[9; 16]]);
    let mut signature = family.signing_of(oid::SUBJECT_INFO, &digest).bytes();
    signature.resize(4096, 0);
    let file = installer(&signature);
    assert_eq!(flaw(&file, &trust, today()), None);
    // A byte of each stream, and the class of the root.
    for at in [512 * 3, 512 * 3 + 4095, 512 * (3 + 16), 512 * 2 + 80] {
        let mut mutant = file.clone();
        mutant[at] ^= 1;
        assert_eq!(flaw(&mutant, &trust, today()), Some(Flaw::DigestDiffers), "{at}");
    }
    let more = [file.clone(), b"an archive behind it".to_vec()].concat();
    let signature = first(&more, &trust, today());
    assert_eq!((signature.flaw, signature.uncovered_bytes), (Some(Flaw::UncoveredBytes), 20));
    // The tables call its sectors used, but nothing leads to them.
    let mut claimed = [file.clone(), b"an archive behind it".repeat(40)].concat();
    for sector in file.len() / 512 - 1..claimed.len() / 512 {
        let at = 512 + sector * 4;
        claimed[at..at + 4].copy_from_slice(&0xffff_fffe_u32.to_le_bytes());
    }
    assert_eq!(flaw(&claimed, &trust, today()), Some(Flaw::UncoveredBytes));
    // Zeros fill it up.
    assert_eq!(flaw(&[file.clone(), vec![0; 512]].concat(), &trust, today()), None);
    // No change makes it panic, run in circles, or valid with other streams.
    for at in (0..512 * 3).step_by(3) {
        for value in [0, 1, 2, 0xff] {
            let mut mutant = file.clone();
            mutant[at] = value;
            let _ = all(&mutant, &trust, today());
        }
    }
}
