//! Who signed a file, and whether that holds.

use crate::Time;
use crate::digest::{Sha1, Sha256};

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The signer's short name: common name, else organizational unit, else organization.
    pub signer: Option<String>,
    /// Short name of who vouches for the signer; not the root.
    pub issuer: Option<String>,
    /// SHA-1 of the signer's certificate, the thumbprint.
    pub signer_hash: Option<Sha1>,
    /// Whether digest, signature, time stamp, chain and purposes all hold. Exactly when `flaw` is none.
    pub is_valid: bool,
    /// The first thing that does not hold.
    pub flaw: Option<Flaw>,
    /// How the file carries it.
    pub carrier: Carrier,
    /// Digest over the file, such as `sha256`.
    pub digest: Option<String>,
    /// When it was signed, by a time stamp that holds.
    pub stamped_at: Option<Time>,
    /// Form of that time stamp.
    pub stamp: Option<StampForm>,
    /// From the signer up, as far as a chain was found; at most eight.
    pub chain: Vec<Certificate>,
    /// Bytes behind what the signature covers, or in its padding, which are not covered and not zero.
    pub uncovered_bytes: u64,
}

/// How a file carries a signature.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Carrier {
    /// In itself.
    #[default]
    Embedded,
    /// In another signature of it.
    Nested,
    /// In the catalogue of this name.
    Catalogue(String),
}

/// Form of a time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StampForm {
    /// RFC 3161 token.
    Rfc3161,
    /// PKCS#9 counter-signature, the older form.
    Pkcs9,
}

/// A certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Short name of its subject.
    pub subject: String,
    /// Short name of its issuer.
    pub issuer: String,
    /// Serial number, at most 32 bytes.
    pub serial: Vec<u8>,
    /// SHA-1 of its DER.
    pub sha1: Sha1,
    /// SHA-256 of its DER.
    pub sha256: Sha256,
    /// Good from.
    pub not_before: Time,
    /// Good until.
    pub not_after: Time,
}

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// It cannot be read.
    Malformed,
    /// The file is not what was signed.
    DigestDiffers,
    /// The signature is not the signer's.
    SignatureDiffers,
    /// A digest or key that is too weak to count.
    WeakAlgorithm,
    /// An algorithm that this inspection does not know.
    UnknownAlgorithm,
    /// The time stamp does not hold.
    BadTimeStamp,
    /// Nobody who is trusted vouches for the signer.
    UntrustedRoot,
    /// No chain of certificates leads from the signer to a root.
    IncompleteChain,
    /// A certificate of the chain was out of its time.
    OutOfTime,
    /// The signer's certificate, or one of its chain, is not meant for signing code.
    WrongPurpose,
    /// The operator, or the trust list, disallows a certificate of the chain.
    Disallowed,
    /// Bytes lie behind what is covered, and the operator wants none (`--strict-padding`).
    UncoveredBytes,
}

impl Flaw {
    /// Every flaw, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Malformed,
        Self::DigestDiffers,
        Self::SignatureDiffers,
        Self::WeakAlgorithm,
        Self::UnknownAlgorithm,
        Self::BadTimeStamp,
        Self::UntrustedRoot,
        Self::IncompleteChain,
        Self::OutOfTime,
        Self::WrongPurpose,
        Self::Disallowed,
        Self::UncoveredBytes,
    ];

    /// The word on the wire and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::DigestDiffers => "digestDiffers",
            Self::SignatureDiffers => "signatureDiffers",
            Self::WeakAlgorithm => "weakAlgorithm",
            Self::UnknownAlgorithm => "unknownAlgorithm",
            Self::BadTimeStamp => "badTimeStamp",
            Self::UntrustedRoot => "untrustedRoot",
            Self::IncompleteChain => "incompleteChain",
            Self::OutOfTime => "outOfTime",
            Self::WrongPurpose => "wrongPurpose",
            Self::Disallowed => "disallowed",
            Self::UncoveredBytes => "uncoveredBytes",
        }
    }

    /// The flaw that `word` means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flaw| flaw.word() == word)
    }
}
