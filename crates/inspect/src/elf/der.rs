//! Who signed, by a PKCS#7 signature: only as much of DER as that takes.

use model::inspection::ModuleSignature;

const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, of a structure and of plain bytes.
const FIRST: u8 = 0xa0;
const FIRST_PLAIN: u8 = 0x80;

const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
/// Names by which a signer may be called, the best first: common name, organizational unit, organization.
const NAMES: [&[u8]; 3] = [b"\x55\x04\x03", b"\x55\x04\x0b", b"\x55\x04\x0a"];
const DIGESTS: [(&[u8], &str); 9] = [
    (b"\x2a\x86\x48\x86\xf7\x0d\x02\x05", "md5"),
    (b"\x2b\x0e\x03\x02\x1a", "sha1"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x04", "sha224"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x01", "sha256"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x02", "sha384"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x03", "sha512"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x08", "sha3-256"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x09", "sha3-384"),
    (b"\x60\x86\x48\x01\x65\x03\x04\x02\x0a", "sha3-512"),
];
/// No more of a key's name is kept, and no longer name.
const LONGEST_KEY: usize = 64;
const LONGEST_NAME: usize = 256;

/// Values that follow each other. Nothing is copied, and nothing is called again for what lies in another.
struct Values<'b>(&'b [u8]);

impl<'b> Values<'b> {
    /// The next value with its tag; none where no whole one follows.
    fn next(&mut self) -> Option<(u8, &'b [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match usize::from(*first) {
            short @ ..0x80 => (short, rest),
            long => {
                let (number, rest) = rest.split_at_checked(long - 0x80)?;
                if number.is_empty() || number.len() > 4 {
                    return None;
                }
                (number.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }

    /// The next value, if it has this tag; else nothing is taken.
    fn take(&mut self, tag: u8) -> Option<&'b [u8]> {
        let before = self.0;
        let found = self.next().filter(|(found, _)| *found == tag);
        if found.is_none() {
            self.0 = before;
        }
        found.map(|(_, value)| value)
    }
}

/// The first signer that a signature names; none for what is no signature.
pub(super) fn signer(bytes: &[u8]) -> Option<ModuleSignature> {
    let mut content = Values(Values(bytes).take(SEQUENCE)?);
    content.take(OID).filter(|kind| *kind == SIGNED_DATA)?;
    let mut signed = Values(Values(content.take(FIRST)?).take(SEQUENCE)?);
    signed.take(INTEGER)?;
    signed.take(SET)?;
    signed.take(SEQUENCE)?;
    // Certificates and revocation lists stand between, where there are any.
    while signed.take(FIRST).or_else(|| signed.take(FIRST + 1)).is_some() {}
    let mut signer = Values(Values(signed.take(SET)?).take(SEQUENCE)?);
    signer.take(INTEGER)?;
    let (name, key) = match signer.next()? {
        (SEQUENCE, issuer_and_serial) => {
            let mut both = Values(issuer_and_serial);
            (short_name(both.take(SEQUENCE)?), both.take(INTEGER)?)
        }
        (FIRST | FIRST_PLAIN, key) => (None, key),
        _ => return None,
    };
    let digest = Values(signer.take(SEQUENCE)?).take(OID)?;
    Some(ModuleSignature {
        signer: name,
        // A zero byte stands before a number that would else be negative.
        key_id: key.strip_prefix(&[0]).unwrap_or(key).iter().copied().take(LONGEST_KEY).collect(),
        digest: DIGESTS.iter().find(|(oid, _)| *oid == digest).map(|(_, word)| (*word).to_owned()),
    })
}

fn short_name(name: &[u8]) -> Option<String> {
    NAMES.iter().find_map(|wanted| {
        let mut parts = Values(name);
        while let Some(part) = parts.take(SET) {
            let mut pairs = Values(part);
            while let Some(pair) = pairs.take(SEQUENCE) {
                let mut pair = Values(pair);
                if pair.take(OID) == Some(*wanted) {
                    return pair.next().map(|(tag, value)| text(tag, value));
                }
            }
        }
        None
    })
}

fn text(tag: u8, value: &[u8]) -> String {
    const BMP_STRING: u8 = 0x1e;
    let value = value.get(..LONGEST_NAME).unwrap_or(value);
    if tag == BMP_STRING {
        let units: Vec<u16> = value.as_chunks().0.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
        return String::from_utf16_lossy(&units);
    }
    String::from_utf8_lossy(value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = match content.len() {
            short @ ..0x80 => vec![short as u8],
            long => [&[0x82][..], &(long as u16).to_be_bytes()].concat(),
        };
        [&[tag][..], &length, content].concat()
    }

    fn signature(sid: &[u8]) -> Vec<u8> {
        let digest = value(SEQUENCE, &value(OID, DIGESTS[3].0));
        let signer = value(SEQUENCE, &[&value(INTEGER, &[1])[..], sid, &digest].concat());
        let certificates = value(FIRST, &[0x30, 0]);
        let content = value(SEQUENCE, &value(OID, b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"));
        let parts = [value(INTEGER, &[1]), value(SET, &digest), content, certificates, value(SET, &signer)];
        let signed = value(FIRST, &value(SEQUENCE, &parts.concat()));
        value(SEQUENCE, &[value(OID, SIGNED_DATA), signed].concat())
    }

    fn by_name() -> Vec<u8> {
        let part = |oid: &[u8], name: &str| {
            value(SET, &value(SEQUENCE, &[value(OID, oid), value(0x0c, name.as_bytes())].concat()))
        };
        let name = value(SEQUENCE, &[part(NAMES[2], "Example"), part(NAMES[0], "Kernel CA")].concat());
        signature(&value(SEQUENCE, &[name, value(INTEGER, &[0, 0xa0, 1])].concat()))
    }

    #[test]
    fn a_signer_is_named_by_issuer_or_key() {
        let found = signer(&by_name()).unwrap();
        assert_eq!((found.signer.as_deref(), found.key_id.as_slice()), (Some("Kernel CA"), &[0xa0, 1][..]));
        assert_eq!(found.digest.as_deref(), Some("sha256"));
        let found = signer(&signature(&value(FIRST_PLAIN, &[7; 20]))).unwrap();
        assert_eq!((found.signer, found.key_id), (None, vec![7; 20]));
    }

    #[test]
    fn whatever_is_cut_or_changed_is_read_to_an_end() {
        let whole = by_name();
        for end in 0..whole.len() {
            assert_eq!(signer(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut other = whole.clone();
                other[at] = byte;
                let _ = signer(&other);
            }
        }
    }
}
