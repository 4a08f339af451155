//! Keys, certificates, signatures and signed programs, made as the tools make them.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::super::cms::algorithm::Hash;
use super::super::cms::oid;
use super::super::cms::tlv::{BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, context};
use crate::pe::Layout;

const UTF8: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;

/// An element.
pub(super) fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = value.len();
    let header = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        0x100..0x1_0000 => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        _ => vec![tag, 0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8],
    };
    [header, value].concat()
}

fn algorithm(id: &[u8]) -> Vec<u8> {
    der(SEQUENCE, &[&der(OID, &[id])])
}

pub(super) fn time(text: &str) -> Vec<u8> {
    der(GENERALIZED_TIME, &[text.as_bytes()])
}

fn name(common: &str) -> Vec<u8> {
    let pair = der(SEQUENCE, &[&der(OID, &[oid::COMMON_NAME]), &der(UTF8, &[common.as_bytes()])]);
    der(SEQUENCE, &[&der(SET, &[&pair])])
}

/// A key with its certificate.
pub(super) struct Identity {
    key: EcdsaKeyPair,
    own: Vec<u8>,
    issuer: Vec<u8>,
    serial: u8,
    pub(super) certificate: Vec<u8>,
}

/// What a certificate is to say.
#[derive(Clone, Copy)]
pub(super) struct Spec<'s> {
    pub(super) name: &'s str,
    pub(super) serial: u8,
    pub(super) purposes: &'s [&'s [u8]],
    pub(super) is_authority: bool,
    pub(super) from: &'s str,
    pub(super) until: &'s str,
}

impl<'s> Spec<'s> {
    pub(super) const fn authority(name: &'s str) -> Self {
        Self {
            name,
            serial: 1,
            purposes: &[],
            is_authority: true,
            from: "20100101000000Z",
            until: "20500101000000Z",
        }
    }

    pub(super) const fn signer(name: &'s str) -> Self {
        Self {
            name,
            serial: 7,
            purposes: &[oid::CODE_SIGNING],
            is_authority: false,
            from: "20200101000000Z",
            until: "20220101000000Z",
        }
    }

    pub(super) const fn stamper() -> Self {
        Self {
            name: "Stamper",
            serial: 9,
            purposes: &[oid::TIME_STAMPING],
            is_authority: false,
            from: "20150101000000Z",
            until: "20300101000000Z",
        }
    }

    fn extensions(&self, more: &[Vec<u8>]) -> Vec<u8> {
        let mut list: Vec<_> = more.iter().map(|one| der(SEQUENCE, &[one])).collect();
        let mut add = |id: &[u8], value: Vec<u8>| {
            let critical = der(BOOLEAN, &[&[0xff]]);
            list.push(der(SEQUENCE, &[&der(OID, &[id]), &critical, &der(OCTET_STRING, &[&value])]));
        };
        if self.is_authority {
            add(oid::BASIC_CONSTRAINTS, der(SEQUENCE, &[&der(BOOLEAN, &[&[0xff]])]));
        }
        if !self.purposes.is_empty() {
            let purposes: Vec<_> = self.purposes.iter().map(|purpose| der(OID, &[purpose])).collect();
            add(oid::PURPOSES, der(SEQUENCE, &[&purposes.concat()]));
        }
        der(context(3), &[&der(SEQUENCE, &[&list.concat()])])
    }
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap()
}

fn certificate(
    spec: &Spec<'_>,
    more: &[Vec<u8>],
    key: &EcdsaKeyPair,
    issuer: &[u8],
    by: &EcdsaKeyPair,
) -> Vec<u8> {
    let key_algorithm = der(SEQUENCE, &[&der(OID, &[oid::EC]), &der(OID, &[oid::P256])]);
    let key = der(SEQUENCE, &[&key_algorithm, &der(BIT_STRING, &[&[0], key.public_key().as_ref()])]);
    let signed = der(
        SEQUENCE,
        &[
            &der(context(0), &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[&[spec.serial]]),
            &algorithm(oid::ECDSA_SHA256),
            issuer,
            &der(SEQUENCE, &[&time(spec.from), &time(spec.until)]),
            &name(spec.name),
            &key,
            &spec.extensions(more),
        ],
    );
    let signature = by.sign(&SystemRandom::new(), &signed).unwrap();
    let signature = der(BIT_STRING, &[&[0], signature.as_ref()]);
    der(SEQUENCE, &[&signed, &algorithm(oid::ECDSA_SHA256), &signature])
}

impl Identity {
    /// One that vouches for itself.
    pub(super) fn root(spec: &Spec<'_>) -> Self {
        Self::root_with(spec, &[])
    }

    /// The same, with further extensions: identifier and value of each.
    pub(super) fn root_with(spec: &Spec<'_>, more: &[Vec<u8>]) -> Self {
        let key = new_key();
        let own = name(spec.name);
        let certificate = certificate(spec, more, &key, &own, &key);
        Self { key, issuer: own.clone(), own, serial: spec.serial, certificate }
    }

    /// One that this one vouches for.
    pub(super) fn issue(&self, spec: &Spec<'_>) -> Self {
        self.issue_with(spec, &[])
    }

    /// The same, with further extensions: identifier and value of each.
    pub(super) fn issue_with(&self, spec: &Spec<'_>, more: &[Vec<u8>]) -> Self {
        let key = new_key();
        let certificate = certificate(spec, more, &key, &self.own, &self.key);
        Self { key, own: name(spec.name), issuer: self.own.clone(), serial: spec.serial, certificate }
    }

    /// Another certificate for the key of `other`, by this one.
    pub(super) fn cross(&self, spec: &Spec<'_>, other: &Self) -> Vec<u8> {
        certificate(spec, &[], &other.key, &self.own, &self.key)
    }
}

/// A signature to be made.
#[derive(Clone)]
pub(super) struct Signing<'s> {
    pub(super) by: &'s Identity,
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) content_type: &'s [u8],
    /// The whole element.
    pub(super) content: Vec<u8>,
    /// What the signed data announces.
    pub(super) announced: &'s [u8],
    pub(super) signing_time: Option<&'s str>,
    pub(super) unsigned: Vec<(&'s [u8], Vec<u8>)>,
}

impl Signing<'_> {
    /// `ContentInfo`.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let signer = signer_info(
            self.by,
            Some(self.content_type),
            &value(&self.content),
            self.signing_time,
            &self.unsigned,
        );
        let signed = der(
            SEQUENCE,
            &[
                &der(INTEGER, &[&[1]]),
                &der(SET, &[&algorithm(self.announced)]),
                &der(SEQUENCE, &[&der(OID, &[self.content_type]), &der(context(0), &[&self.content])]),
                &der(context(0), &[&self.certificates.concat()]),
                &der(SET, &[&signer]),
            ],
        );
        der(SEQUENCE, &[&der(OID, &[oid::SIGNED_DATA]), &der(context(0), &[&signed])])
    }

    /// The signature itself, which stamps sign.
    pub(super) fn stamped(&self, stamp: impl Fn(&[u8]) -> (&'static [u8], Vec<u8>)) -> Vec<u8> {
        // ECDSA never signs twice the same: the attribute goes into what is made already.
        let bytes = self.bytes();
        let (signed, _) = super::super::cms::signed::Signed::read(&bytes).unwrap();
        let (kind, value) = stamp(signed.signer.signature);
        add_unsigned(&bytes, kind, &value)
    }
}

/// A `ContentInfo` whose signer has no unsigned attribute yet, with this one.
pub(super) fn add_unsigned(bytes: &[u8], kind: &[u8], value: &[u8]) -> Vec<u8> {
    use super::super::cms::tlv::Reader;
    let outer = Reader::new(bytes).take(SEQUENCE).unwrap();
    let mut parts = outer.parts();
    let id = parts.take(OID).unwrap();
    let signed = parts.take(context(0)).unwrap().parts().take(SEQUENCE).unwrap();
    let mut fields: Vec<Vec<u8>> = signed.parts().all().map(|part| part.raw.to_vec()).collect();
    let signers = fields.pop().unwrap();
    let signer = Reader::new(&signers).take(SET).unwrap().parts().take(SEQUENCE).unwrap();
    let attribute = der(SEQUENCE, &[&der(OID, &[kind]), &der(SET, &[value])]);
    let signer = der(SEQUENCE, &[signer.value, &der(context(1), &[&attribute])]);
    let signed = der(SEQUENCE, &[&fields.concat(), &der(SET, &[&signer])]);
    der(SEQUENCE, &[id.raw, &der(context(0), &[&signed])])
}

fn value(element: &[u8]) -> Vec<u8> {
    super::super::cms::tlv::Reader::new(element).next().unwrap().value.to_vec()
}

fn signer_info(
    by: &Identity,
    content_type: Option<&[u8]>,
    content: &[u8],
    signing_time: Option<&str>,
    unsigned: &[(&[u8], Vec<u8>)],
) -> Vec<u8> {
    let attribute = |id: &[u8], value: &[u8]| der(SEQUENCE, &[&der(OID, &[id]), &der(SET, &[value])]);
    let digest = Hash::Sha256.of_parts(&[content]);
    let mut attributes = attribute(oid::MESSAGE_DIGEST, &der(OCTET_STRING, &[&digest]));
    if let Some(kind) = content_type {
        attributes.extend(attribute(oid::CONTENT_TYPE, &der(OID, &[kind])));
    }
    if let Some(at) = signing_time {
        attributes.extend(attribute(oid::SIGNING_TIME, &time(at)));
    }
    let signature = by.key.sign(&SystemRandom::new(), &der(SET, &[&attributes])).unwrap();
    let unsigned: Vec<_> = unsigned.iter().map(|(id, value)| attribute(id, value)).collect();
    let unsigned = if unsigned.is_empty() { Vec::new() } else { der(context(1), &[&unsigned.concat()]) };
    der(
        SEQUENCE,
        &[
            &der(INTEGER, &[&[1]]),
            &der(SEQUENCE, &[&by.issuer, &der(INTEGER, &[&[by.serial]])]),
            &algorithm(oid::SHA256),
            &der(context(0), &[&attributes]),
            &algorithm(oid::ECDSA_SHA256),
            &der(OCTET_STRING, &[signature.as_ref()]),
            &unsigned,
        ],
    )
}

/// What a signature over a file says: its digest.
pub(super) fn indirect(digest_algorithm: &[u8], digest: &[u8]) -> Vec<u8> {
    indirect_of(oid::PROGRAM, digest_algorithm, digest)
}

/// The same over another form of file than a program.
pub(super) fn indirect_of(kind: &[u8], digest_algorithm: &[u8], digest: &[u8]) -> Vec<u8> {
    let data = der(SEQUENCE, &[&der(OID, &[kind])]);
    let info = der(SEQUENCE, &[&algorithm(digest_algorithm), &der(OCTET_STRING, &[digest])]);
    der(SEQUENCE, &[&data, &info])
}

/// A time-stamp token over a signature.
pub(super) fn token(by: &Identity, chain: &[&Identity], at: &str, signature: &[u8]) -> Vec<u8> {
    let digest = Hash::Sha256.of_parts(&[signature]);
    let info = der(
        SEQUENCE,
        &[
            &der(INTEGER, &[&[1]]),
            &der(OID, &[b"\x2a\x03"]),
            &der(SEQUENCE, &[&algorithm(oid::SHA256), &der(OCTET_STRING, &[&digest])]),
            &der(INTEGER, &[&[5]]),
            &time(at),
        ],
    );
    let signing = Signing {
        by,
        certificates: chain.iter().map(|one| one.certificate.clone()).collect(),
        content_type: oid::TIME_STAMP_INFO,
        content: der(OCTET_STRING, &[&info]),
        announced: oid::SHA256,
        signing_time: None,
        unsigned: Vec::new(),
    };
    signing.bytes()
}

/// A counter-signature of the older form.
pub(super) fn counter_signature(by: &Identity, at: &str, signature: &[u8]) -> Vec<u8> {
    signer_info(by, Some(oid::DATA), signature, Some(at), &[])
}

/// An unsigned program: headers and a little behind them, 384 bytes.
pub(super) fn program() -> Vec<u8> {
    let mut file = vec![0; 384];
    file[..2].copy_from_slice(b"MZ");
    file[0x3c] = 0x40;
    file[0x40..0x44].copy_from_slice(b"PE\0\0");
    file[0x44..0x46].copy_from_slice(&0x8664_u16.to_le_bytes());
    file[0x54] = 240;
    file[0x58..0x5a].copy_from_slice(&0x20b_u16.to_le_bytes());
    file[0x58 + 108] = 16;
    file[328..384].fill(b'.');
    file
}

/// Its digest.
pub(super) fn digest(program: &[u8]) -> Vec<u8> {
    let layout = Layout::read(&program).unwrap().unwrap();
    crate::pe::authentihash::<sha2::Sha256>(&program, &layout).unwrap().to_vec()
}

/// A program with these signatures in its certificate table.
pub(super) fn signed(program: &[u8], signatures: &[Vec<u8>]) -> Vec<u8> {
    let mut table = Vec::new();
    for signature in signatures {
        table.extend((signature.len() as u32 + 8).to_le_bytes());
        table.extend([0, 2, 2, 0]);
        table.extend(signature);
        table.resize(table.len().next_multiple_of(8), 0);
    }
    let entry = 0x58 + 112 + 4 * 8;
    let mut file = program.to_vec();
    file[entry..entry + 4].copy_from_slice(&(program.len() as u32).to_le_bytes());
    file[entry + 4..entry + 8].copy_from_slice(&(table.len() as u32).to_le_bytes());
    file.extend(table);
    file
}
