//! Signatures made for the tests, and every way in which one may be wrong.

#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "what is made here is known to be well formed"
)]

mod build;
mod evasions;
mod forms;
mod hostile;
mod lists;
mod verdicts;

use model::Time;
use model::inspection::{Flaw, Signature};

use super::cms::oid;
use crate::trust::Trust;
use build::{Identity, Signing, Spec, indirect, indirect_of};

/// Root, authority and signer, as a publisher has them, and who stamps.
struct Family {
    root: Identity,
    authority: Identity,
    signer: Identity,
    stamper: Identity,
}

impl Family {
    fn new() -> Self {
        Self::with(&Spec::signer("Publisher"), &Spec::authority("Authority"))
    }

    fn with(signer: &Spec<'_>, authority: &Spec<'_>) -> Self {
        let root = Identity::root(&Spec::authority("Root"));
        let authority = root.issue(authority);
        let signer = authority.issue(signer);
        let stamper = root.issue(&Spec::stamper());
        Self { root, authority, signer, stamper }
    }

    /// A signature over `digest` of a file.
    fn signing(&self, digest: &[u8]) -> Signing<'_> {
        Signing {
            by: &self.signer,
            certificates: [&self.signer, &self.authority].map(|one| one.certificate.clone()).to_vec(),
            content_type: oid::INDIRECT_DATA,
            content: indirect(oid::SHA256, digest),
            announced: oid::SHA256,
            signing_time: None,
            unsigned: Vec::new(),
        }
    }

    /// A signature over `digest` of a file that is no program.
    fn signing_of(&self, kind: &[u8], digest: &[u8]) -> Signing<'_> {
        Signing { content: indirect_of(kind, oid::SHA256, digest), ..self.signing(digest) }
    }

    /// The program of the tests, signed.
    fn signed_program(&self) -> Vec<u8> {
        let program = build::program();
        build::signed(&program, &[self.signing(&build::digest(&program)).bytes()])
    }

    fn trust(&self) -> Trust {
        let mut trust = Trust::default();
        trust.add_roots(std::slice::from_ref(&self.root.certificate)).unwrap();
        trust
    }
}

/// A day while the signer's certificate is good.
fn today() -> Time {
    Time::from_seconds(1_600_000_000)
}

/// A day after the signer's certificate has ended.
fn later() -> Time {
    Time::from_seconds(1_700_000_000)
}

fn all(file: &[u8], trust: &Trust, now: Time) -> (Option<Signature>, Vec<Signature>) {
    let found = crate::inspect(&file, trust, now).unwrap();
    (found.signature, found.further_signatures)
}

fn first(file: &[u8], trust: &Trust, now: Time) -> Signature {
    all(file, trust, now).0.unwrap()
}

fn flaw(file: &[u8], trust: &Trust, now: Time) -> Option<Flaw> {
    let signature = first(file, trust, now);
    assert_eq!(signature.is_valid, signature.flaw.is_none());
    signature.flaw
}
