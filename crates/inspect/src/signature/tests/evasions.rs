//! Files and certificates that were changed without breaking what is signed.

use model::inspection::Flaw;

use super::super::cms::algorithm::Hash;
use super::super::cms::oid;
use super::super::cms::tlv::{BIT_STRING, OCTET_STRING, OID, Reader, SEQUENCE};
use super::build::{self, Identity, Spec, der};
use super::{Family, all, first, flaw, today};
use crate::trust::Trust;

const SECURITY_AT: usize = 0x58 + 112 + 4 * 8;

#[test]
fn a_table_that_was_moved_into_the_program_makes_it_invalid() {
    let family = Family::new();
    let (file, trust) = (family.signed_program(), family.trust());
    let length = build::program().len();
    let (program, table) = file.split_at(length);
    for at in SECURITY_AT + 8..length {
        let mut moved = [&program[..at], table, &program[at..]].concat();
        moved[SECURITY_AT..SECURITY_AT + 4].copy_from_slice(&(at as u32).to_le_bytes());
        let signature = first(&moved, &trust, today());
        assert_eq!(signature.flaw, Some(Flaw::DigestDiffers), "{at}");
        assert_eq!(signature.signer.as_deref(), Some("Publisher"));
    }
}

#[test]
fn a_section_that_reaches_into_the_table_makes_it_invalid() {
    let family = Family::new();
    let trust = family.trust();
    for (size, expected) in [(56_u32, None), (57, Some(Flaw::DigestDiffers))] {
        let mut program = build::program();
        // One section behind an optional header of 240 bytes.
        program[0x46] = 1;
        program.resize(328 + 40 + 56, b'.');
        program[328..368].fill(0);
        program[328 + 16..328 + 20].copy_from_slice(&size.to_le_bytes());
        program[328 + 20..328 + 24].copy_from_slice(&368_u32.to_le_bytes());
        let signature = family.signing(&build::digest(&program)).bytes();
        assert_eq!(flaw(&build::signed(&program, &[signature]), &trust, today()), expected, "{size}");
    }
}

/// A certificate that was written anew, its parts unchanged.
fn rewritten(certificate: &[u8]) -> Vec<Vec<u8>> {
    let long =
        |tag: u8, value: &[u8]| [&[tag, 0x84][..], &(value.len() as u32).to_be_bytes(), value].concat();
    let whole = Reader::new(certificate).take(SEQUENCE).unwrap();
    let mut parts = whole.parts();
    let (signed, algorithm) = (parts.take(SEQUENCE).unwrap(), parts.take(SEQUENCE).unwrap());
    let signature = parts.take(BIT_STRING).unwrap();
    let id = algorithm.parts().take(OID).unwrap();
    vec![
        der(SEQUENCE, &[whole.value, &[5, 0]]),
        long(SEQUENCE, whole.value),
        der(SEQUENCE, &[signed.raw, &long(SEQUENCE, algorithm.value), signature.raw]),
        der(SEQUENCE, &[signed.raw, &der(SEQUENCE, &[&long(OID, id.value)]), signature.raw]),
        der(SEQUENCE, &[signed.raw, algorithm.raw, &long(BIT_STRING, signature.value)]),
    ]
}

#[test]
fn who_is_disallowed_stays_so_however_the_certificate_is_written() {
    let family = Family::new();
    let mut trust = family.trust();
    let digest = <sha2::Sha256 as digest::Digest>::digest(&family.signer.certificate);
    trust.disallow(&data_encoding::HEXLOWER.encode(&digest)).unwrap();
    let program = build::program();
    for (place, certificate) in rewritten(&family.signer.certificate).into_iter().enumerate() {
        let mut signing = family.signing(&build::digest(&program));
        signing.certificates[0] = certificate;
        let file = build::signed(&program, &[signing.bytes()]);
        assert!(!first(&file, &trust, today()).is_valid, "{place}");
        assert!(!first(&file, &family.trust(), today()).is_valid, "{place}");
    }
}

#[test]
fn a_root_that_is_no_authority_vouches_for_nobody() {
    let tls: &[&[u8]] = &[b"\x2b\x06\x01\x05\x05\x07\x03\x01"];
    let (authority, signer) = (Spec::authority("Own"), Spec::signer("Publisher"));
    let usage = |first: u8| [der(OID, &[oid::KEY_USAGE]), der(OCTET_STRING, &[&[3, 2, 0, first]])].concat();
    let constraints = |value: &[u8]| {
        [der(OID, &[oid::BASIC_CONSTRAINTS]), der(OCTET_STRING, &[&der(SEQUENCE, &[value])])].concat()
    };
    let bare = Spec { is_authority: false, ..authority };
    let table = [
        (bare, vec![], None),
        (authority, vec![], None),
        (bare, vec![constraints(b"")], Some(Flaw::WrongPurpose)),
        (bare, vec![usage(0x80)], Some(Flaw::WrongPurpose)),
        (bare, vec![usage(0x06)], None),
        (bare, vec![constraints(b"\x01\x01\xff\x02\x01\x00")], None),
        (Spec { purposes: tls, ..bare }, vec![], Some(Flaw::WrongPurpose)),
    ];
    for (place, (spec, more, expected)) in table.into_iter().enumerate() {
        let root = Identity::root_with(&spec, &more);
        let signer = root.issue(&signer);
        let program = build::program();
        let mut trust = Trust::default();
        trust.add_roots(std::slice::from_ref(&root.certificate)).unwrap();
        let family = Family { signer, authority: root, ..Family::new() };
        let file = build::signed(&program, &[family.signing(&build::digest(&program)).bytes()]);
        assert_eq!(flaw(&file, &trust, today()), expected, "{place}");
    }
    // It may have no authority below it, and has one.
    let root = Identity::root_with(&bare, &[constraints(b"\x01\x01\xff\x02\x01\x00")]);
    let authority = root.issue(&Spec::authority("Authority"));
    let family = Family { signer: authority.issue(&signer), authority, root, ..Family::new() };
    assert_eq!(flaw(&family.signed_program(), &family.trust(), today()), Some(Flaw::WrongPurpose));
}

#[test]
fn what_hides_in_the_table_is_counted() {
    let family = Family::new();
    let trust = family.trust().strict();
    let program = build::program();
    let signature = family.signing(&build::digest(&program)).bytes();
    let signed = |table: &[u8]| {
        let mut file = build::signed(&program, std::slice::from_ref(&signature));
        file.extend(table);
        let size = (file.len() - program.len()) as u32;
        file[SECURITY_AT + 4..SECURITY_AT + 8].copy_from_slice(&size.to_le_bytes());
        file
    };
    let other = [&[16, 0, 0, 0, 0, 2, 9, 0][..], b"hidden!!"].concat();
    let cut = [&[0xff, 0xff, 0, 0, 0, 2, 2, 0][..], b"hidden!!"].concat();
    let late = [vec![0; 8 * 20], b"hidden!!".to_vec()].concat();
    for (table, count) in [(other, 11), (cut, 12), (late, 8)] {
        let found = first(&signed(&table), &trust, today());
        assert_eq!((found.flaw, found.uncovered_bytes), (Some(Flaw::UncoveredBytes), count));
    }
    assert_eq!(flaw(&signed(&[0; 64]), &trust, today()), None);
}

#[test]
fn a_signature_of_another_form_is_not_this_ones() {
    let family = Family::new();
    let program = build::program();
    let digest = build::digest(&program);
    for kind in [oid::SUBJECT_INFO, oid::CABINET] {
        let mut signing = family.signing(&digest);
        signing.content = build::indirect_of(kind, oid::SHA256, &digest);
        let file = build::signed(&program, &[signing.bytes()]);
        assert_eq!(flaw(&file, &family.trust(), today()), Some(Flaw::Malformed));
    }
}

#[test]
fn one_signature_with_very_many_in_it_costs_no_more_than_few() {
    let family = Family::new();
    let program = build::program();
    let inner = b"\x30\x00".repeat(100_000);
    let outer = family.signing(&build::digest(&program)).stamped(|_| (oid::NESTED_SIGNATURE, inner.clone()));
    let (mut finder, trust) = (None, family.trust());
    let finder = finder.insert(super::super::chain::Finder::new(&trust));
    let subject = super::super::judge::Subject::Catalogue(Hash::Sha256);
    let carrier = model::inspection::Carrier::Embedded;
    let judged = super::super::judge::judge(finder, &outer, carrier, subject, 0, today()).unwrap();
    assert_eq!(judged.nested.len(), 16);
    let (_, further) = all(&build::signed(&program, &[outer]), &family.trust(), today());
    assert_eq!(further.len(), 16);
}

#[test]
fn a_signer_must_be_meant_to_sign_this() {
    let any: &[&[u8]] = &[oid::ANY_PURPOSE];
    let usage = |first: u8| [der(OID, &[oid::KEY_USAGE]), der(OCTET_STRING, &[&[3, 2, 0, first]])].concat();
    let signer = Spec::signer("Publisher");
    let table = [
        (Spec { purposes: any, ..signer }, vec![], Some(Flaw::WrongPurpose)),
        (signer, vec![usage(0x20)], Some(Flaw::WrongPurpose)),
        (signer, vec![usage(0x80)], None),
        (signer, vec![usage(0x40)], None),
    ];
    for (place, (spec, more, expected)) in table.into_iter().enumerate() {
        let mut family = Family::new();
        family.signer = family.authority.issue_with(&spec, &more);
        assert_eq!(flaw(&family.signed_program(), &family.trust(), today()), expected, "{place}");
    }
}
