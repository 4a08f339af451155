//! What is read of small made programs; real ones are compared with the trade's tools by `cargo xtask corpus`.

use digest::Digest;
use model::facts::FileType;
use model::inspection::{Inspection, Outcome, Pe, Span};
use model::{Digests, Time};

use super::layout::Layout;
use crate::trust::Trust;

mod build;
mod hostile;
mod strings;

use build::{Import, Program};

fn both(bytes: &[u8]) -> (Digests, Inspection) {
    crate::inspect_and_name(&bytes, &Trust::default(), Time::from_seconds(0)).unwrap()
}

fn inspected(bytes: &[u8]) -> Inspection {
    both(bytes).1
}

fn pe(program: &Program) -> Pe {
    inspected(&program.bytes()).pe.unwrap()
}

#[test]
fn the_usual_program_has_all_facts() {
    for is_plus in [false, true] {
        let bytes = Program::usual(is_plus).bytes();
        let (digests, found) = both(&bytes);
        assert_eq!(digests.sha1.0[..], sha1::Sha1::digest(&bytes)[..]);
        assert_eq!(found.facts.file_type, FileType::PortableExecutable);
        assert_eq!(found.facts.subtype.as_deref(), Some("Program"));
        assert_eq!(found.outcome, Outcome::Whole);
        assert_eq!(found.publisher.as_deref(), Some("Example"));
        assert_eq!(found.product_name.as_deref(), Some("Thing"));
        let pe = found.pe.unwrap();
        assert_eq!(pe.machine, if is_plus { 0x8664 } else { 0x14c });
        assert_eq!((pe.characteristics, pe.subsystem, pe.compiled_at), (0x22, 3, 1_600_000_000));
        assert_eq!((pe.section_count, pe.overlay), (3, None));
        let text = &pe.sections[0];
        assert_eq!((text.name.as_str(), text.virtual_size, text.raw_size), (".text", 1_024, 1_024));
        assert_eq!((text.characteristics, text.entropy_thousandths), (0x6000_0020, 8_000));
        let names =
            "kernel32.exitprocess,kernel32.getprocaddress,ws2_32.wsastartup,ws2_32.wsasocketw,mfc42.ord7";
        assert_eq!(pe.imphash.unwrap().0[..], md5::Md5::digest(names)[..]);
    }
}

#[test]
fn header_and_imports_tell_the_kind() {
    let of = |characteristics, subsystem, library| {
        let mut program = Program::new(true);
        (program.characteristics, program.subsystem) = (characteristics, subsystem);
        program.imports(&[(library, &[Import::Name("x")])]);
        inspected(&program.bytes()).facts.subtype.unwrap()
    };
    assert_eq!(of(0x22, 2, "user32.dll"), "Program");
    assert_eq!(of(0x2022, 2, "user32.dll"), "Library");
    assert_eq!(of(0x22, 1, "ntoskrnl.exe"), "Driver");
    assert_eq!(of(0x2022, 1, "HAL.dll"), "Driver");
    assert_eq!(of(0x22, 1, "WppRecorder.sys"), "Driver");
    assert_eq!(of(0x22, 1, "ntdll.dll"), "Program");
    assert_eq!(of(0x22, 10, "x.dll"), "Efi");
    let mut assembly = Program::new(false);
    assembly.directory(14, 0x1000, 72);
    assert_eq!(inspected(&assembly.bytes()).facts.subtype.as_deref(), Some("DotNetProgram"));
    assembly.characteristics |= 0x2000;
    let found = inspected(&assembly.bytes());
    assert_eq!((found.facts.subtype.as_deref(), found.pe.unwrap().is_dotnet), (Some("DotNetLibrary"), true));
}

#[test]
fn a_program_without_imports_has_no_imphash() {
    assert_eq!(pe(&Program::new(true)).imphash, None);
    let mut program = Program::new(true);
    program.directory(1, 0xffff_0000, 40);
    assert_eq!(pe(&program).imphash, None);
}

#[test]
fn an_overlay_ends_where_the_certificates_begin() {
    let mut program = Program::usual(true);
    let end = program.bytes().len() as u64;
    program.certificates = vec![7; 64];
    assert_eq!(pe(&program).overlay, None);
    program.overlay = vec![1; 100];
    assert_eq!(pe(&program).overlay, Some(Span { offset: end, size: 104 }));
    program.certificates.clear();
    assert_eq!(pe(&program).overlay, Some(Span { offset: end, size: 100 }));
    // A section that ends early, and what a signer fills up behind it: zeros are its own, other bytes are not.
    program.overlay.clear();
    program.certificates = vec![7; 64];
    let signed = program.bytes();
    let mut short = signed.clone();
    let raw_size = program.optional_at() + 240 + 2 * 40 + 16;
    let length = u32::from_le_bytes(short[raw_size..raw_size + 4].try_into().unwrap()) - 3;
    short[raw_size..raw_size + 4].copy_from_slice(&length.to_le_bytes());
    assert_eq!(inspected(&short).pe.unwrap().overlay, None);
    short[end as usize - 2] = 1;
    assert_eq!(inspected(&short).pe.unwrap().overlay, Some(Span { offset: end - 3, size: 3 }));
    let appended = [signed.as_slice(), &[9; 5]].concat();
    assert_eq!(inspected(&appended).pe.unwrap().overlay, Some(Span { offset: end + 64, size: 5 }));
}

/// The digest by its definition: all bytes, but for the three parts.
fn plain(bytes: &[u8], checksum: usize, security: usize, table: std::ops::Range<usize>) -> Vec<u8> {
    let left_out = |at: usize| {
        (checksum..checksum + 4).contains(&at)
            || (security..security + 8).contains(&at)
            || table.contains(&at)
    };
    let mut kept: Vec<u8> =
        bytes.iter().enumerate().filter(|(at, _)| !left_out(*at)).map(|(_, byte)| *byte).collect();
    if table.is_empty() {
        kept.extend(vec![0; bytes.len().next_multiple_of(8) - bytes.len()]);
    }
    kept
}

#[test]
fn the_authentihash_leaves_out_what_signing_changes_and_nothing_else() {
    for is_plus in [false, true] {
        let mut program = Program::usual(is_plus);
        program.overlay = vec![3; 13];
        let unsigned = program.bytes();
        program.certificates = vec![0x30; 72];
        let signed = program.bytes();
        let checksum = program.optional_at() + 64;
        let security = program.optional_at() + if is_plus { 144 } else { 128 };
        let table = signed.len() - 72..signed.len();
        let of = |bytes: &[u8]| inspected(bytes).pe.unwrap().authentihash_sha256.unwrap().0.to_vec();
        let expected = sha2::Sha256::digest(plain(&signed, checksum, security, table.clone())).to_vec();
        assert_eq!(of(&signed), expected);
        assert_eq!(of(&unsigned), expected, "it is the same before it is signed");
        let layout = Layout::read(&signed[..]).unwrap().unwrap();
        assert_eq!(super::authentihash::<sha2::Sha256>(&signed[..], &layout).unwrap()[..], expected);
        let sha1 = super::authentihash::<sha1::Sha1>(&signed[..], &layout).unwrap();
        assert_eq!(inspected(&signed).pe.unwrap().authentihash_sha1.unwrap().0[..], sha1[..]);
        let step = if cfg!(debug_assertions) { 7 } else { 1 };
        for at in (program.optional_at() + 68..signed.len()).step_by(step).chain(checksum..checksum + 4) {
            if (security..security + 8).contains(&at) {
                continue;
            }
            let mut changed = signed.clone();
            changed[at] ^= 0x40;
            let is_covered = !(checksum..checksum + 4).contains(&at) && !table.contains(&at);
            assert_eq!(of(&changed) != expected, is_covered, "{at}");
        }
        let appended = [signed.as_slice(), &[1]].concat();
        assert_eq!(of(&appended), sha2::Sha256::digest(plain(&appended, checksum, security, table)).to_vec());
        assert_ne!(of(&appended), expected);
    }
}

#[test]
fn a_certificate_table_that_does_not_lie_in_the_file_is_none() {
    let mut program = Program::usual(true);
    program.certificates = vec![0x30; 72];
    let signed = program.bytes();
    let checksum = program.optional_at() + 64;
    let security = program.optional_at() + 144;
    for (offset, length) in
        [(8_u32, 72_u32), (u32::MAX, 72), (signed.len() as u32, 8), (0x400, u32::MAX), (0x400, 0)]
    {
        let mut changed = signed.clone();
        changed[security..security + 4].copy_from_slice(&offset.to_le_bytes());
        changed[security + 4..security + 8].copy_from_slice(&length.to_le_bytes());
        let expected = sha2::Sha256::digest(plain(&changed, checksum, security, 0..0));
        assert_eq!(
            inspected(&changed).pe.unwrap().authentihash_sha256.unwrap().0[..],
            expected[..],
            "{offset}"
        );
    }
}
