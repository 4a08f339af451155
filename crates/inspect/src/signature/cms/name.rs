//! Names in certificates.

use super::oid;
use super::tlv::{OID, Reader, SEQUENCE, SET};

const MOST_CHARACTERS: usize = 512;
const MOST_PARTS: usize = 64;

/// The short name that a distinguished name is shown by: its common name, else its organizational unit, else its
/// organization; of several the last, which is the finest. Empty if it has none of them.
///
/// `name` is the whole element. Bytes that are no text of their kind become U+FFFD; a zero byte does not end it.
pub(crate) fn short(name: &[u8]) -> String {
    let mut found: [Option<String>; 3] = [None, None, None];
    let parts = Reader::new(name).take(SEQUENCE).into_iter().flat_map(|name| name.parts().all());
    let parts = parts.filter(|set| set.tag == SET).flat_map(|set| set.parts().all()).take(MOST_PARTS);
    for part in parts.filter(|part| part.tag == SEQUENCE) {
        let mut fields = part.parts();
        let (Some(kind), Some(value)) = (fields.take(OID), fields.next()) else { continue };
        let place = match kind.value {
            kind if kind == oid::COMMON_NAME => 0,
            kind if kind == oid::ORGANIZATIONAL_UNIT => 1,
            kind if kind == oid::ORGANIZATION => 2,
            _ => continue,
        };
        if let Some(place) = found.get_mut(place) {
            *place = text(value.tag, value.value).or(place.take());
        }
    }
    found.into_iter().flatten().find(|name| !name.is_empty()).unwrap_or_default()
}

fn text(tag: u8, bytes: &[u8]) -> Option<String> {
    let text: String = match tag {
        0x0c => String::from_utf8_lossy(bytes).chars().take(MOST_CHARACTERS).collect(),
        // Printable, Teletex, IA5, visible: Latin-1 is what the tools write into them.
        0x13 | 0x14 | 0x16 | 0x1a => match str::from_utf8(bytes) {
            Ok(text) => text.chars().take(MOST_CHARACTERS).collect(),
            Err(_) => bytes.iter().map(|byte| char::from(*byte)).take(MOST_CHARACTERS).collect(),
        },
        0x1c => {
            let word = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes).and_then(char::from_u32);
            bytes.chunks(4).map(|bytes| word(bytes).unwrap_or('\u{fffd}')).take(MOST_CHARACTERS).collect()
        }
        0x1e => {
            let units = bytes.chunks(2).map(|bytes| bytes.try_into().map_or(0xfffd, u16::from_be_bytes));
            char::decode_utf16(units).map(|text| text.unwrap_or('\u{fffd}')).take(MOST_CHARACTERS).collect()
        }
        _ => return None,
    };
    Some(text.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(value.len()).unwrap()], value].concat()
    }

    fn name(parts: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let sets: Vec<u8> = parts
            .iter()
            .flat_map(|(kind, tag, value)| {
                let pair = [element(OID, kind), element(*tag, value)].concat();
                element(SET, &element(SEQUENCE, &pair))
            })
            .collect();
        element(SEQUENCE, &sets)
    }

    #[test]
    fn the_common_name_comes_first() {
        let (o, ou, cn) = (oid::ORGANIZATION, oid::ORGANIZATIONAL_UNIT, oid::COMMON_NAME);
        assert_eq!(short(&name(&[(o, 0x13, b"Org"), (ou, 0x13, b"Unit"), (cn, 0x0c, b"Name")])), "Name");
        assert_eq!(short(&name(&[(o, 0x13, b"Org"), (ou, 0x13, b"First"), (ou, 0x13, b"Last")])), "Last");
        assert_eq!(short(&name(&[(o, 0x13, b"Org")])), "Org");
        assert_eq!(short(&name(&[])), "");
        assert_eq!(short(b"\x30\x05\x31"), "");
    }

    #[test]
    fn texts_of_every_kind() {
        let of = |tag, value| short(&name(&[(oid::COMMON_NAME, tag, value)]));
        assert_eq!(of(0x1e, b"\0A\xd8\0"), "A\u{fffd}");
        assert_eq!(of(0x14, b"caf\xe9"), "café");
        assert_eq!(of(0x0c, b"a\xff"), "a\u{fffd}");
        assert_eq!(of(0x0c, b"Microsoft\0.evil.example"), "Microsoft\0.evil.example");
        assert_eq!(of(0x1c, b"\0\0\0A\xff\xff\xff\xff"), "A\u{fffd}");
    }
}
