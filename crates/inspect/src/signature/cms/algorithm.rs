//! Digests and signatures, by their object identifiers.

use digest::Digest as _;
use ring::signature::{self as ring_signature, UnparsedPublicKey, VerificationAlgorithm};

use super::oid;
use super::tlv::{BIT_STRING, INTEGER, OID, Reader, SEQUENCE, Tlv};
use model::inspection::Flaw;

/// A digest that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// The digest that an `AlgorithmIdentifier` names. MD5 and older are too weak.
    pub(crate) fn of(algorithm: Tlv<'_>) -> Result<Self, Flaw> {
        let id = algorithm.parts().take(OID).filter(|_| algorithm.tag == SEQUENCE).ok_or(Flaw::Malformed)?;
        match id.value {
            id if id == oid::SHA256 => Ok(Self::Sha256),
            id if id == oid::SHA1 => Ok(Self::Sha1),
            id if id == oid::SHA384 => Ok(Self::Sha384),
            id if id == oid::SHA512 => Ok(Self::Sha512),
            id if id == oid::MD5 || id == oid::MD2 => Err(Flaw::WeakAlgorithm),
            _ => Err(Flaw::UnknownAlgorithm),
        }
    }

    /// The word by which people know it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The digest of all of `parts`, one behind the other.
    pub(crate) fn of_parts(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut hasher = Hasher::new(self);
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finish()
    }
}

/// A digest in the making.
pub(crate) enum Hasher {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    pub(crate) fn new(hash: Hash) -> Self {
        match hash {
            Hash::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Hash::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Hash::Sha384 => Self::Sha384(sha2::Sha384::new()),
            Hash::Sha512 => Self::Sha512(sha2::Sha512::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha384(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }
}

/// A public key, as its certificate holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    kind: Kind,
    bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Length of the modulus in bits.
    Rsa(usize),
    P256,
    P384,
    Unknown,
}

impl<'a> Key<'a> {
    /// Reads a `SubjectPublicKeyInfo`.
    pub(crate) fn read(info: Tlv<'a>) -> Option<Self> {
        let mut parts = info.parts();
        let mut algorithm = parts.take(SEQUENCE)?.parts();
        let bytes = parts.take(BIT_STRING)?.bits()?;
        let kind = match algorithm.take(OID)?.value {
            id if id == oid::RSA => Kind::Rsa(modulus_bits(bytes)?),
            id if id == oid::EC => match algorithm.take(OID).map(|curve| curve.value) {
                Some(curve) if curve == oid::P256 => Kind::P256,
                Some(curve) if curve == oid::P384 => Kind::P384,
                _ => Kind::Unknown,
            },
            _ => Kind::Unknown,
        };
        Some(Self { kind, bytes })
    }

    /// Whether the owner of this key has signed `message`. `digest` is the digest that goes with `algorithm` where that
    /// names a kind of key alone.
    pub(crate) fn verify(
        &self,
        algorithm: Tlv<'_>,
        digest: Option<Hash>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Flaw> {
        let id = algorithm.parts().take(OID).ok_or(Flaw::Malformed)?.value;
        let scheme = Scheme::of(id, digest)?;
        let verifier = self.verifier(scheme)?;
        let key = UnparsedPublicKey::new(verifier, self.bytes);
        key.verify(message, signature).map_err(|_| Flaw::SignatureDiffers)
    }

    fn verifier(&self, scheme: Scheme) -> Result<&'static dyn VerificationAlgorithm, Flaw> {
        let verifier: &'static dyn VerificationAlgorithm = match (self.kind, scheme) {
            // What Windows refuses since 2012.
            (Kind::Rsa(..1024), Scheme::Rsa(_)) => return Err(Flaw::WeakAlgorithm),
            (Kind::Rsa(_), Scheme::Rsa(Hash::Sha1)) => {
                &ring_signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
            }
            (Kind::Rsa(_), Scheme::Rsa(Hash::Sha256)) => {
                &ring_signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
            }
            (Kind::Rsa(_), Scheme::Rsa(Hash::Sha384)) => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
            (Kind::Rsa(_), Scheme::Rsa(Hash::Sha512)) => {
                &ring_signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
            }
            (Kind::P256, Scheme::Ecdsa(Hash::Sha256)) => &ring_signature::ECDSA_P256_SHA256_ASN1,
            (Kind::P256, Scheme::Ecdsa(Hash::Sha384)) => &ring_signature::ECDSA_P256_SHA384_ASN1,
            (Kind::P384, Scheme::Ecdsa(Hash::Sha256)) => &ring_signature::ECDSA_P384_SHA256_ASN1,
            (Kind::P384, Scheme::Ecdsa(Hash::Sha384)) => &ring_signature::ECDSA_P384_SHA384_ASN1,
            (Kind::Unknown, _) | (Kind::P256 | Kind::P384, Scheme::Ecdsa(_)) => {
                return Err(Flaw::UnknownAlgorithm);
            }
            // A signature of another kind than the key's.
            (Kind::Rsa(_), Scheme::Ecdsa(_)) | (Kind::P256 | Kind::P384, Scheme::Rsa(_)) => {
                return Err(Flaw::SignatureDiffers);
            }
        };
        Ok(verifier)
    }
}

#[derive(Clone, Copy)]
enum Scheme {
    Rsa(Hash),
    Ecdsa(Hash),
}

impl Scheme {
    fn of(id: &[u8], digest: Option<Hash>) -> Result<Self, Flaw> {
        let scheme = match id {
            id if id == oid::RSA_SHA256 => Self::Rsa(Hash::Sha256),
            id if id == oid::RSA_SHA1 || id == oid::RSA_SHA1_OLD => Self::Rsa(Hash::Sha1),
            id if id == oid::RSA_SHA384 => Self::Rsa(Hash::Sha384),
            id if id == oid::RSA_SHA512 => Self::Rsa(Hash::Sha512),
            id if id == oid::ECDSA_SHA256 => Self::Ecdsa(Hash::Sha256),
            id if id == oid::ECDSA_SHA384 => Self::Ecdsa(Hash::Sha384),
            id if id == oid::ECDSA_SHA512 => Self::Ecdsa(Hash::Sha512),
            id if id == oid::RSA => Self::Rsa(digest.ok_or(Flaw::UnknownAlgorithm)?),
            id if id == oid::EC => Self::Ecdsa(digest.ok_or(Flaw::UnknownAlgorithm)?),
            id if id == oid::RSA_MD5 || id == oid::RSA_MD2 => return Err(Flaw::WeakAlgorithm),
            _ => return Err(Flaw::UnknownAlgorithm),
        };
        // The digest that was told beside it is the one that was signed.
        match (scheme, digest) {
            (Self::Rsa(own) | Self::Ecdsa(own), Some(told)) if own != told => Err(Flaw::Malformed),
            _ => Ok(scheme),
        }
    }
}

/// Length in bits of the modulus of an `RSAPublicKey`.
fn modulus_bits(key: &[u8]) -> Option<usize> {
    let modulus = Reader::new(key).take(SEQUENCE)?.parts().take(INTEGER)?.value;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let digits = modulus.get(first..)?;
    let unused = usize::try_from(digits.first()?.leading_zeros()).ok()?;
    digits.len().checked_mul(8)?.checked_sub(unused)
}
