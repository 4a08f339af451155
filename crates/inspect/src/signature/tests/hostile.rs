//! Files that were changed, cut, or made to cost much.

use model::inspection::Flaw;

use super::super::cms::oid;
use super::build::{self, Identity, Spec, token};
use super::{Family, all, first, flaw, today};

const CHECKSUM: std::ops::Range<usize> = 0x58 + 64..0x58 + 68;

#[test]
fn no_mutant_is_taken_for_what_was_signed() {
    let family = Family::new();
    let trust = family.trust();
    let program = build::program();
    let by = &family.stamper;
    let signing = family.signing(&build::digest(&program));
    let signature =
        signing.stamped(|signature| (oid::TIME_STAMP_TOKEN, token(by, &[by], "20200601120000Z", signature)));
    let file = build::signed(&program, &[signature]);
    let told = |file: &[u8]| {
        all(file, &trust, today())
            .0
            .filter(|one| one.is_valid)
            .map(|one| (one.signer, one.issuer, one.signer_hash, one.digest))
    };
    let original = told(&file).unwrap();
    for at in 0..file.len() {
        let mut mutant = file.clone();
        mutant[at] ^= 1 << (at % 8);
        let still = told(&mutant);
        if at < program.len() && !CHECKSUM.contains(&at) {
            assert_eq!(still, None, "byte {at} of the program");
        }
        // What is not covered in the signature itself, such as its version, changes nothing of what is told.
        assert!(still.is_none_or(|still| still == original), "byte {at}");
    }
}

#[test]
fn nothing_that_was_cut_is_valid() {
    let family = Family::new();
    let (file, trust) = (family.signed_program(), family.trust());
    for length in 0..file.len() {
        let found = all(&file[..length], &trust, today()).0;
        assert!(found.is_none_or(|one| !one.is_valid), "{length} bytes");
    }
}

#[test]
fn a_table_that_holds_no_signature_is_no_valid_one() {
    let family = Family::new();
    let trust = family.trust();
    for table in [vec![0; 8], vec![0xff; 64], b"\x30\x80\0\0".repeat(8)] {
        let file = build::signed(&build::program(), &[table]);
        assert_eq!(flaw(&file, &trust, today()), Some(Flaw::Malformed));
    }
    let mut beyond = family.signed_program();
    beyond.truncate(beyond.len() - 8);
    assert_eq!(flaw(&beyond, &trust, today()), Some(Flaw::Malformed));
}

#[test]
fn a_bag_of_authorities_that_vouch_for_each_other_ends() {
    // Sixty certificates of one name and one key: each vouches for each.
    let family = Family::new();
    let circle: Vec<Vec<u8>> = (2..62)
        .map(|serial| {
            family.authority.cross(&Spec { serial, ..Spec::authority("Authority") }, &family.authority)
        })
        .collect();
    let program = build::program();
    let mut signing = family.signing(&build::digest(&program));
    signing.certificates = [vec![family.signer.certificate.clone()], circle].concat();
    let file = build::signed(&program, &[signing.bytes()]);
    let signature = first(&file, &family.trust(), today());
    assert!(!signature.is_valid && signature.chain.len() <= 8);
}

#[test]
fn signatures_in_signatures_end() {
    let family = Family::new();
    let digest = build::digest(&build::program());
    let mut signature = family.signing(&digest).bytes();
    for _ in 0..8 {
        let inner = signature;
        signature = family.signing(&digest).stamped(|_| (oid::NESTED_SIGNATURE, inner.clone()));
    }
    let many = vec![signature; 5];
    let (own, further) = all(&build::signed(&build::program(), &many), &family.trust(), today());
    assert!(own.unwrap().is_valid);
    assert_eq!(further.len(), 16);
    let (_, further) = all(&build::signed(&build::program(), &many[..1]), &family.trust(), today());
    assert_eq!(further.len(), 4);
}

#[test]
fn a_signer_with_anothers_name_is_found_out() {
    // Another certificate with the signer's name and number lies before it in the bag.
    let family = Family::new();
    let fake = family.root.issue(&Spec::authority("Authority")).issue(&Spec::signer("Publisher"));
    let program = build::program();
    let mut signing = family.signing(&build::digest(&program));
    signing.certificates.insert(0, fake.certificate.clone());
    assert_eq!(flaw(&build::signed(&program, &[signing.bytes()]), &family.trust(), today()), None);
    signing.certificates = vec![fake.certificate, family.authority.certificate.clone()];
    let file = build::signed(&program, &[signing.bytes()]);
    assert_eq!(flaw(&file, &family.trust(), today()), Some(Flaw::SignatureDiffers));
}

#[test]
fn an_unknown_critical_demand_is_not_passed_over() {
    let stranger = Identity::root(&Spec::authority("Stranger"));
    let certificate = super::super::cms::certificate::Certificate::read(&stranger.certificate).unwrap();
    assert!(!certificate.has_unknown_demands());
    let id = build::der(0x06, &[oid::BASIC_CONSTRAINTS]);
    let at = stranger.certificate.windows(id.len()).position(|part| part == id).unwrap();
    let mut changed = stranger.certificate.clone();
    changed[at + id.len() - 1] = 30;
    let certificate = super::super::cms::certificate::Certificate::read(&changed).unwrap();
    assert!(certificate.has_unknown_demands());
}

#[test]
fn a_hundred_signers_of_one_name_cost_no_hundred_checks_each() {
    // Each signature in the table has as many certificates that may be its signer's as a bag may have.
    let family = Family::new();
    let fakes: Vec<_> = (0..63)
        .map(|_| {
            family.authority.cross(&Spec::signer("Publisher"), &Identity::root(&Spec::authority("Fake")))
        })
        .collect();
    let program = build::program();
    let mut signing = family.signing(&build::digest(&program));
    signing.certificates = fakes;
    let file = build::signed(&program, &vec![signing.bytes(); 16]);
    let (own, further) = all(&file, &family.trust(), today());
    assert_eq!(own.unwrap().flaw, Some(Flaw::SignatureDiffers));
    assert_eq!(further.len(), 15);
}

#[test]
fn a_name_without_end_is_none() {
    let endless = "x".repeat(5000);
    let stranger = Identity::root(&Spec::authority(&endless));
    assert!(super::super::cms::certificate::Certificate::read(&stranger.certificate).is_none());
}
