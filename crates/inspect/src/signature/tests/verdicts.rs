//! The verdict on each way to sign, and on each way to sign wrongly.

use model::inspection::{Carrier, Flaw, StampForm};
use model::{Sha1, Time};

use super::super::cms::oid;
use super::build::{self, Identity, Spec, counter_signature, indirect, token};
use super::{Family, all, first, flaw, later, today};
use crate::trust::Trust;

/// The family's program with a stamp on its signature.
fn stamped(family: &Family, stamp: impl Fn(&[u8]) -> (&'static [u8], Vec<u8>)) -> Vec<u8> {
    let program = build::program();
    build::signed(&program, &[family.signing(&build::digest(&program)).stamped(stamp)])
}

#[test]
fn a_good_signature_tells_who_signed() {
    let family = Family::new();
    let signature = first(&family.signed_program(), &family.trust(), today());
    assert_eq!((signature.is_valid, signature.flaw, &signature.carrier), (true, None, &Carrier::Embedded));
    assert_eq!(signature.signer.as_deref(), Some("Publisher"));
    assert_eq!(signature.issuer.as_deref(), Some("Authority"));
    let thumbprint = <sha1::Sha1 as digest::Digest>::digest(&family.signer.certificate);
    assert_eq!(signature.signer_hash, Some(Sha1(thumbprint.into())));
    assert_eq!(
        (signature.digest.as_deref(), signature.stamped_at, signature.uncovered_bytes),
        (Some("sha256"), None, 0)
    );
    let names: Vec<_> = signature.chain.iter().map(|one| one.subject.as_str()).collect();
    assert_eq!(names, ["Publisher", "Authority", "Root"]);
}

#[test]
fn an_unsigned_program_has_none() {
    let family = Family::new();
    assert_eq!(all(&build::program(), &family.trust(), today()), (None, Vec::new()));
}

#[test]
fn nobody_is_trusted_but_the_roots() {
    let family = Family::new();
    let file = family.signed_program();
    assert_eq!(flaw(&file, &Trust::default(), today()), Some(Flaw::IncompleteChain));
    assert_eq!(flaw(&file, &Trust::carried(), today()), Some(Flaw::IncompleteChain));
    assert_eq!(flaw(&file, &Family::new().trust(), today()), Some(Flaw::IncompleteChain));
}

#[test]
fn a_self_signed_signer_is_told_and_not_valid() {
    let mut family = Family::new();
    let trusted = family.trust();
    family.signer = Identity::root(&Spec::signer("Microsoft Corporation"));
    let signature = first(&family.signed_program(), &trusted, today());
    assert_eq!((signature.is_valid, signature.flaw), (false, Some(Flaw::UntrustedRoot)));
    assert_eq!(signature.signer.as_deref(), Some("Microsoft Corporation"));
    // The operator may trust it all the same.
    let mut trust = Trust::default();
    trust.add_roots(&[family.signer.certificate.clone()]).unwrap();
    assert_eq!(flaw(&family.signed_program(), &trust, today()), None);
}

#[test]
fn a_certificate_must_be_in_its_time() {
    let family = Family::new();
    let (file, trust) = (family.signed_program(), family.trust());
    assert_eq!(flaw(&file, &trust, later()), Some(Flaw::OutOfTime));
    assert_eq!(flaw(&file, &trust, Time::from_seconds(1_500_000_000)), Some(Flaw::OutOfTime));
}

#[test]
fn a_stamp_of_either_form_outlasts_the_certificate() {
    let family = Family::new();
    let trust = family.trust();
    let by = &family.stamper;
    let new = stamped(&family, |signature| {
        (oid::TIME_STAMP_TOKEN, token(by, &[by], "20200601120000.25Z", signature))
    });
    let signature = first(&new, &trust, later());
    assert_eq!((signature.flaw, signature.stamp), (None, Some(StampForm::Rfc3161)));
    assert_eq!(signature.stamped_at, Some(Time::from_ticks(15_910_128_002_500_000)));

    let program = build::program();
    let mut signing = family.signing(&build::digest(&program));
    signing.certificates.push(by.certificate.clone());
    let old = signing
        .stamped(|signature| (oid::COUNTER_SIGNATURE, counter_signature(by, "20200601120000Z", signature)));
    let signature = first(&build::signed(&program, &[old]), &trust, later());
    assert_eq!((signature.flaw, signature.stamp), (None, Some(StampForm::Pkcs9)));
}

#[test]
fn a_stamp_after_the_end_helps_nobody() {
    let family = Family::new();
    let by = &family.stamper;
    let file =
        stamped(&family, |signature| (oid::TIME_STAMP_TOKEN, token(by, &[by], "20230101000000Z", signature)));
    assert_eq!(flaw(&file, &family.trust(), today()), Some(Flaw::OutOfTime));
}

#[test]
fn a_bad_stamp_is_worse_than_none() {
    let family = Family::new();
    let trust = family.trust();
    let stranger = Identity::root(&Spec::stamper());
    let bad: [(&str, Vec<u8>); 4] = [
        (
            "of another signature",
            stamped(&family, |_| {
                (
                    oid::TIME_STAMP_TOKEN,
                    token(&family.stamper, &[&family.stamper], "20200601120000Z", b"other"),
                )
            }),
        ),
        (
            "by somebody who may not",
            stamped(&family, |signature| {
                (
                    oid::TIME_STAMP_TOKEN,
                    token(&family.signer, &[&family.signer], "20200601120000Z", signature),
                )
            }),
        ),
        (
            "by a stranger",
            stamped(&family, |signature| {
                (oid::TIME_STAMP_TOKEN, token(&stranger, &[&stranger], "20200601120000Z", signature))
            }),
        ),
        ("that can't be read", stamped(&family, |_| (oid::TIME_STAMP_TOKEN, b"\x30\x00".to_vec()))),
    ];
    for (what, file) in bad {
        assert_eq!(flaw(&file, &trust, today()), Some(Flaw::BadTimeStamp), "{what}");
    }
}

#[test]
fn certificates_serve_their_purposes_alone() {
    let tls: &[&[u8]] = &[b"\x2b\x06\x01\x05\x05\x07\x03\x01"];
    let any: &[&[u8]] = &[oid::ANY_PURPOSE];
    let signer = Spec::signer("Publisher");
    let authority = Spec::authority("Authority");
    let table = [
        (Spec { purposes: tls, ..signer }, authority, Some(Flaw::WrongPurpose)),
        (Spec { purposes: &[], ..signer }, authority, Some(Flaw::WrongPurpose)),
        (Spec { purposes: any, ..signer }, authority, Some(Flaw::WrongPurpose)),
        (signer, Spec { purposes: tls, ..authority }, Some(Flaw::WrongPurpose)),
        (signer, Spec { purposes: any, ..authority }, None),
        (signer, Spec { is_authority: false, ..authority }, Some(Flaw::WrongPurpose)),
    ];
    for (place, (signer, authority, expected)) in table.into_iter().enumerate() {
        let family = Family::with(&signer, &authority);
        assert_eq!(flaw(&family.signed_program(), &family.trust(), today()), expected, "{place}");
    }
}

#[test]
fn what_lies_behind_the_table_is_covered_and_its_padding_is_not() {
    let family = Family::new();
    let trust = family.trust();
    let mut appended = family.signed_program();
    appended.extend(b"appended");
    assert_eq!(flaw(&appended, &trust, today()), Some(Flaw::DigestDiffers));

    let program = build::program();
    let padded = [family.signing(&build::digest(&program)).bytes(), b"payload".to_vec()].concat();
    let padded = build::signed(&program, &[padded]);
    let signature = first(&padded, &trust, today());
    assert_eq!((signature.flaw, signature.uncovered_bytes), (None, 7));
    assert_eq!(flaw(&padded, &trust.clone().strict(), today()), Some(Flaw::UncoveredBytes));
    assert_eq!(flaw(&family.signed_program(), &trust.strict(), today()), None);
}

#[test]
fn digests_must_agree_and_count() {
    let family = Family::new();
    let program = build::program();
    let mut signing = family.signing(&build::digest(&program));
    signing.announced = oid::SHA384;
    let file = build::signed(&program, &[signing.bytes()]);
    assert_eq!(flaw(&file, &family.trust(), today()), Some(Flaw::Malformed));

    signing.announced = oid::MD5;
    signing.content = indirect(oid::MD5, &[0; 16]);
    let file = build::signed(&program, &[signing.bytes()]);
    assert_eq!(flaw(&file, &family.trust(), today()), Some(Flaw::WeakAlgorithm));
}

#[test]
fn another_files_signature_is_not_this_ones() {
    let family = Family::new();
    let mut other = build::program();
    other[350] = b'!';
    let file = build::signed(&other, &[family.signing(&build::digest(&build::program())).bytes()]);
    assert_eq!(flaw(&file, &family.trust(), today()), Some(Flaw::DigestDiffers));
}

#[test]
fn the_first_signature_decides_and_the_others_are_told() {
    let (family, other) = (Family::new(), Family::with(&Spec::signer("Other"), &Spec::authority("A")));
    let program = build::program();
    let digest = build::digest(&program);
    let nested = other.signing(&digest).bytes();
    let outer = family.signing(&digest).stamped(|_| (oid::NESTED_SIGNATURE, nested.clone()));
    let (own, further) = all(&build::signed(&program, &[outer, nested]), &family.trust(), today());
    assert_eq!(own.map(|one| (one.is_valid, one.signer)), Some((true, Some("Publisher".to_owned()))));
    let further: Vec<_> =
        further.into_iter().map(|one| (one.carrier, one.signer.unwrap(), one.is_valid)).collect();
    let expected =
        [(Carrier::Nested, "Other".to_owned(), false), (Carrier::Embedded, "Other".to_owned(), false)];
    assert_eq!(further, expected);
}

#[test]
fn who_is_disallowed_signs_nothing() {
    let family = Family::new();
    let file = family.signed_program();
    for one in [&family.signer, &family.authority, &family.root] {
        let mut trust = family.trust();
        let digest = <sha2::Sha256 as digest::Digest>::digest(&one.certificate);
        trust.disallow(&data_encoding::HEXLOWER.encode(&digest)).unwrap();
        assert_eq!(flaw(&file, &trust, today()), Some(Flaw::Disallowed));
    }
}

#[test]
fn every_path_is_tried() {
    // The authority has two certificates: by a stranger, and by the root.
    let family = Family::new();
    let stranger = Identity::root(&Spec::authority("Stranger"));
    let crossed = stranger.cross(&Spec::authority("Authority"), &family.authority);
    let expired = Spec { until: "20190101000000Z", ..Spec::authority("Authority") };
    let expired = family.root.cross(&expired, &family.authority);
    let program = build::program();
    let mut signing = family.signing(&build::digest(&program));
    signing.certificates = [
        &family.signer.certificate,
        &stranger.certificate,
        &crossed,
        &expired,
        &family.authority.certificate,
    ]
    .map(Clone::clone)
    .to_vec();
    let file = build::signed(&program, &[signing.bytes()]);
    assert_eq!(flaw(&file, &family.trust(), today()), None);
}
