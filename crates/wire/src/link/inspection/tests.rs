use model::facts::{Facts, FileType};
use model::inspection::{
    Carrier, Certificate, Elf, Flaw, GoBuild, Library, Linkage, ModuleSignature, Pe, Relro, RustBuild,
    Section, Signature, Span, StampForm, VersionInfo,
};
use model::{Md5, Sha1, Sha256, Time};

use super::*;

fn signature(name: &str) -> Signature {
    Signature {
        signer: Some(name.to_owned()),
        issuer: Some(name.to_owned()),
        signer_hash: Some(Sha1([4; 20])),
        is_valid: false,
        flaw: Some(Flaw::OutOfTime),
        carrier: Carrier::Catalogue(name.to_owned()),
        digest: Some("sha256".to_owned()),
        stamped_at: Some(Time::from_ticks(-5)),
        stamp: Some(StampForm::Pkcs9),
        chain: vec![
            Certificate {
                subject: name.to_owned(),
                issuer: name.to_owned(),
                serial: vec![7; 32],
                sha1: Sha1([5; 20]),
                sha256: Sha256([6; 32]),
                not_before: Time::from_ticks(1),
                not_after: Time::from_ticks(i64::MAX),
            };
            8
        ],
        uncovered_bytes: u64::MAX,
    }
}

/// All that a record can say, with texts of that length and lists of that many.
fn full(length: usize, many: usize) -> Inspection {
    let text = "é".repeat(length / 2);
    let name = text.as_str();
    let some = Some(text.clone());
    let library = Library { name: name.to_owned(), version: name.to_owned() };
    let version = VersionInfo {
        company_name: some.clone(),
        product_name: some.clone(),
        product_version: some.clone(),
        file_version: some.clone(),
        file_description: some.clone(),
        internal_name: some.clone(),
        original_filename: some.clone(),
        legal_copyright: some.clone(),
    };
    let section = Section {
        name: ".text".to_owned(),
        virtual_size: u32::MAX,
        raw_size: 1,
        characteristics: 2,
        entropy_thousandths: 8000,
    };
    Inspection {
        facts: Facts {
            size: 1 << 40,
            file_type: FileType::PortableExecutable,
            subtype: Some("Driver".to_owned()),
        },
        outcome: Outcome::Malformed("the end is missing".to_owned()),
        publisher: some.clone(),
        product_name: some.clone(),
        pe: Some(Pe {
            machine: u16::MAX,
            characteristics: 1,
            subsystem: 2,
            compiled_at: u32::MAX,
            is_dotnet: true,
            imphash: Some(Md5([1; 16])),
            authentihash_sha1: Some(Sha1([2; 20])),
            authentihash_sha256: Some(Sha256([3; 32])),
            sections: vec![section; many.min(96)],
            section_count: u16::MAX,
            overlay: Some(Span { offset: 9, size: 10 }),
            version: Some(version),
        }),
        elf: Some(Elf {
            machine: 62,
            bits: 64,
            is_big_endian: true,
            build_id: vec![8; 64],
            interpreter: some.clone(),
            needed: vec![text.clone(); many],
            soname: some.clone(),
            linkage: Linkage::Dynamic,
            relro: Relro::Partial,
            is_position_independent: true,
            has_nx: true,
            is_stripped: true,
            go: Some(GoBuild {
                go_version: text.clone(),
                path: some.clone(),
                module: Some(library.clone()),
                dependencies: vec![library.clone(); many],
                revision: some.clone(),
            }),
            rust: Some(RustBuild { compiler: some.clone(), crates: vec![library; many] }),
            module_signature: Some(ModuleSignature {
                signer: some.clone(),
                key_id: vec![9; 64],
                digest: some,
            }),
        }),
        signature: Some(signature(name)),
        further_signatures: vec![signature(name); many.min(16)],
        script_interpreter: Some("/bin/sh".to_owned()),
        is_shortened: false,
    }
}

#[test]
fn a_record_comes_back_as_it_went() {
    for inspection in [Inspection::default(), full(10, 3), full(10, 16)] {
        let bytes = encode(&inspection);
        assert!(bytes.len() <= LARGEST);
        assert_eq!(decode(&bytes), Ok(inspection));
    }
    let valid = Signature { is_valid: true, flaw: None, carrier: Carrier::Nested, ..signature("a") };
    let signed = Inspection { signature: Some(valid), ..Inspection::default() };
    assert_eq!(decode(&encode(&signed)), Ok(signed));
}

#[test]
fn whatever_a_file_says_the_record_fits_and_tells_that_it_was_cut() {
    for (length, many) in [(1024, 512), (100_000, 10_000), (100_000, 0), (4096, 1)] {
        let bytes = encode(&full(length, many));
        assert!(bytes.len() <= LARGEST, "{length} {many}: {}", bytes.len());
        let back = decode(&bytes).unwrap();
        assert!(back.is_shortened, "{length} {many}");
        assert_eq!(back.facts, full(1, 0).facts);
        assert!(!back.publisher.unwrap().is_empty());
    }
}

type Change = fn(&mut v1::Inspection);

#[test]
fn what_no_inspection_says_is_refused() {
    let told = |change: Change| {
        let mut told = v1::Inspection::from(&full(10, 1));
        change(&mut told);
        decode(&told.encode_to_vec()).map(drop)
    };
    assert_eq!(told(|_| ()), Ok(()));
    let table: [(Change, &str); 15] = [
        (|told| told.facts = None, "facts"),
        (|told| told.outcome = "fine".to_owned(), "outcome"),
        (|told| told.outcome = "timed out".to_owned(), "inspection (of a file that was not read)"),
        (|told| told.reason = "x".repeat(513), "reason"),
        (|told| told.publisher = Some("x".repeat(4097)), "publisher"),
        (|told| told.further_signatures = vec![v1::Signature::default(); 17], "further signatures"),
        (|told| told.signature.as_mut().unwrap().flaw = "none".to_owned(), "flaw"),
        (|told| told.signature.as_mut().unwrap().nested = true, "carrier"),
        (|told| told.signature.as_mut().unwrap().signer_hash = vec![1; 19], "signer hash"),
        (|told| told.signature.as_mut().unwrap().chain[0].sha256.clear(), "certificate's sha256"),
        (|told| told.signature.as_mut().unwrap().stamp = "x".to_owned(), "stamp"),
        (|told| told.pe.as_mut().unwrap().machine = 65_536, "machine"),
        (|told| told.pe.as_mut().unwrap().sections = vec![v1::PeSection::default(); 97], "sections"),
        (|told| told.elf.as_mut().unwrap().relro = 3, "relro"),
        (|told| told.elf.as_mut().unwrap().needed = vec![String::new(); 513], "needed"),
    ];
    for (change, what) in table {
        assert_eq!(told(change), Err(Malformed(what)));
    }
    assert_eq!(decode(&vec![0; LARGEST + 1]), Err(Malformed("inspection (its length)")));
    assert_eq!(decode(&[0xff; 32]), Err(Malformed("inspection")));
}

#[test]
fn no_bytes_make_it_panic() {
    let good = encode(&full(10, 2));
    for at in 0..good.len() {
        for value in [0, 0x7f, 0x80, 0xff, good[at] ^ 1] {
            let mut bytes = good.clone();
            bytes[at] = value;
            if let Ok(read) = decode(&bytes) {
                assert!(encode(&read).len() <= LARGEST);
            }
        }
        let _ = decode(&good[..at]);
    }
}
