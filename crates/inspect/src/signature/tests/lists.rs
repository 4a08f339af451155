//! Microsoft's form of a list of roots, made here.

use model::Time;

use super::super::cms::algorithm::Hash;
use super::super::cms::oid;
use super::super::cms::tlv::{OCTET_STRING, OID, SEQUENCE, SET};
use super::build::{self, Identity, Signing, Spec, der};
use super::{Family, first, flaw, later, today};
use crate::trust::{List, NotAList, Trust, is_authentic};
use model::inspection::Flaw;

/// What the list says of a root: properties by their kind.
type Properties<'p> = &'p [(&'p [u8], Vec<u8>)];

fn list(roots: &[(&Identity, Properties<'_>)]) -> Vec<u8> {
    let subjects: Vec<Vec<u8>> = roots
        .iter()
        .map(|(root, properties)| {
            let properties: Vec<Vec<u8>> = properties
                .iter()
                .map(|(kind, value)| {
                    der(SEQUENCE, &[&der(OID, &[kind]), &der(SET, &[&der(OCTET_STRING, &[value])])])
                })
                .collect();
            let name = Hash::Sha1.of_parts(&[&root.certificate]);
            der(SEQUENCE, &[&der(OCTET_STRING, &[&name]), &der(SET, &[&properties.concat()])])
        })
        .collect();
    der(
        SEQUENCE,
        &[
            &der(SEQUENCE, &[&der(OID, &[oid::ROOT_LIST_SIGNER])]),
            &build::time("20200601000000Z"),
            &der(SEQUENCE, &[&der(OID, &[oid::SHA1])]),
            &der(SEQUENCE, &[&subjects.concat()]),
        ],
    )
}

fn purposes(list: &[&[u8]]) -> Vec<u8> {
    der(SEQUENCE, &[&list.iter().map(|one| der(OID, &[one])).collect::<Vec<_>>().concat()])
}

fn file_time(seconds: i64) -> Vec<u8> {
    (seconds * 10_000_000 + 116_444_736_000_000_000).to_le_bytes().to_vec()
}

fn signed(family: &Family, content: Vec<u8>) -> Vec<u8> {
    Signing { content_type: oid::TRUST_LIST, content, ..family.signing(b"") }.bytes()
}

/// The family's program under a trust that the list limits.
fn limited(family: &Family, properties: Properties<'_>) -> Option<Flaw> {
    let stl = signed(family, list(&[(&family.root, properties)]));
    let mut trust = Trust::default();
    assert_eq!(trust.add_roots(&[family.root.certificate.clone(), stl]), Ok(1));
    flaw(&family.signed_program(), &trust, today())
}

#[test]
fn a_list_limits_what_roots_are_trusted_for() {
    let family = Family::new();
    let code = || purposes(&[oid::CODE_SIGNING]);
    let stamps = || purposes(&[oid::TIME_STAMPING]);
    assert_eq!(limited(&family, &[]), None);
    assert_eq!(limited(&family, &[(oid::ROOT_PURPOSES, code())]), None);
    assert_eq!(limited(&family, &[(oid::ROOT_PURPOSES, stamps())]), Some(Flaw::WrongPurpose));
    let (past, future) = (file_time(1_500_000_000), file_time(1_650_000_000));
    for kind in [oid::ROOT_DISALLOWED_FROM, oid::ROOT_NOT_BEFORE] {
        assert_eq!(limited(&family, &[(kind, past.clone())]), Some(Flaw::Disallowed));
        assert_eq!(limited(&family, &[(kind, future.clone())]), None);
    }
    let both = [(oid::ROOT_NOT_BEFORE, past.clone()), (oid::ROOT_NOT_BEFORE_PURPOSES, stamps())];
    assert_eq!(limited(&family, &both), None);
    let both = [(oid::ROOT_DISALLOWED_FROM, past), (oid::ROOT_DISALLOWED_PURPOSES, code())];
    assert_eq!(limited(&family, &both), Some(Flaw::Disallowed));
    assert_eq!(limited(&family, &[(oid::ROOT_DISALLOWED_PURPOSES, code())]), Some(Flaw::Disallowed));
    assert_eq!(limited(&family, &[(oid::ROOT_DISALLOWED_FROM, Vec::new())]), Some(Flaw::Disallowed));
    // Named by SHA-1, but another by SHA-256: the list does not speak of it.
    assert_eq!(limited(&family, &[(oid::ROOT_SHA256, vec![0; 32]), (oid::ROOT_PURPOSES, stamps())]), None);
}

#[test]
fn the_narrowest_of_several_lists_counts() {
    let family = Family::new();
    let of = |properties: Properties<'_>| {
        let stl = signed(&family, list(&[(&family.root, properties)]));
        let mut trust = Trust::default();
        trust.add_roots(&[family.root.certificate.clone(), stl]).unwrap();
        trust.list_bytes().unwrap()
    };
    let past = of(&[(oid::ROOT_NOT_BEFORE, file_time(1_500_000_000))]);
    let stamps = of(&[(oid::ROOT_PURPOSES, purposes(&[oid::TIME_STAMPING]))]);
    let (free, plain) = (of(&[]), family.root.certificate.clone());
    let table = [
        ([past.clone(), free.clone()], Some(Flaw::Disallowed)),
        ([free.clone(), past.clone()], Some(Flaw::Disallowed)),
        ([plain.clone(), past.clone()], Some(Flaw::Disallowed)),
        ([stamps, past], Some(Flaw::WrongPurpose)),
        ([free, plain], None),
    ];
    for (place, (files, expected)) in table.into_iter().enumerate() {
        let mut trust = Trust::default();
        for file in files {
            trust.add_roots(&[file]).unwrap();
        }
        assert_eq!(flaw(&family.signed_program(), &trust, today()), expected, "{place}");
    }
    // Two of Microsoft's form at once.
    let stl = |properties: Properties<'_>| signed(&family, list(&[(&family.root, properties)]));
    let limits = stl(&[(oid::ROOT_NOT_BEFORE, file_time(1_500_000_000))]);
    let mut trust = Trust::default();
    trust.add_roots(&[family.root.certificate.clone(), stl(&[]), limits]).unwrap();
    assert_eq!(flaw(&family.signed_program(), &trust, today()), Some(Flaw::Disallowed));
}

#[test]
fn a_list_alone_is_no_root() {
    let family = Family::new();
    let stl = signed(&family, list(&[(&family.root, &[])]));
    assert!(Trust::default().add_roots(&[stl]).unwrap_err().to_string().contains("digests alone"));
}

#[test]
fn a_list_is_believed_by_its_signer() {
    let signer = Spec { purposes: &[oid::ROOT_LIST_SIGNER], ..Spec::signer("List") };
    let family = Family::with(&signer, &Spec::authority("Authority"));
    let content = list(&[(&family.root, &[])]);
    let good = signed(&family, content.clone());
    // The signer's certificate has ended; it was good when the list was issued.
    assert!(is_authentic(&good, &family.trust(), later()));
    assert!(!is_authentic(&good, &Trust::carried(), later()));
    assert_eq!(List::make(&good, &family.root.certificate, later()), Err(NotAList::NotMicrosofts));
    assert_eq!(List::make(b"none", &family.root.certificate, later()), Err(NotAList::Unreadable));
    let publisher = Family::new();
    assert!(!is_authentic(&signed(&publisher, content.clone()), &publisher.trust(), later()));
    for at in (0..good.len()).filter(|at| good[*at..].starts_with(&content[8..24])) {
        let mut mutant = good.clone();
        mutant[at] ^= 1;
        assert!(!is_authentic(&mutant, &family.trust(), later()));
    }
}

#[test]
fn a_list_of_ours_is_read_back_or_refused() {
    let families = [Family::new(), Family::new(), Family::new()];
    let mut trust = Trust::default();
    let pem: Vec<_> = families.iter().map(|one| one.root.certificate.clone()).collect();
    assert_eq!(trust.add_roots(&pem), Ok(3));
    for family in &families {
        assert!(first(&family.signed_program(), &trust, today()).is_valid);
    }
    let bytes = trust.list_bytes().unwrap();
    let mut again = Trust::default();
    assert_eq!(again.add_roots(std::slice::from_ref(&bytes)), Ok(3));
    assert_eq!(again.lists()[0], trust.lists()[0]);
    assert_eq!(trust.lists()[0].issued, Time::default());
    for at in 0..bytes.len() {
        let mut mutant = bytes.clone();
        mutant[at] ^= 1;
        assert!(Trust::default().add_roots(&[mutant]).is_err(), "{at}");
    }
}
