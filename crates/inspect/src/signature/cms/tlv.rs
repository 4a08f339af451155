//! Tag, length, value: the grain of DER, borrowed.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The context tag `number` of something built of parts.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tlv<'a> {
    pub(crate) tag: u8,
    /// The whole element, as it stands.
    pub(crate) raw: &'a [u8],
    /// What its length counts.
    pub(crate) value: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// Whether its length is written as short as it can be, as DER asks.
    pub(crate) fn is_minimal(self) -> bool {
        let digits: usize = match self.value.len() {
            0..0x80 => 0,
            0x80..0x100 => 1,
            0x100..0x1_0000 => 2,
            0x1_0000..0x100_0000 => 3,
            _ => 4,
        };
        self.raw.len().checked_sub(self.value.len()) == Some(digits.saturating_add(2))
    }

    /// What it is built of.
    pub(crate) const fn parts(self) -> Reader<'a> {
        Reader(self.value)
    }

    /// The bytes of a bit string that has no unused bits.
    pub(crate) fn bits(self) -> Option<&'a [u8]> {
        let (unused, bits) = self.value.split_first()?;
        (self.tag == BIT_STRING && *unused == 0).then_some(bits)
    }

    /// A small number that is not negative.
    pub(crate) fn number(self) -> Option<u32> {
        let digits = self.value.strip_prefix(&[0]).unwrap_or(self.value);
        let is_negative = self.value.first().is_none_or(|first| first & 0x80 != 0);
        if self.tag != INTEGER || is_negative || digits.len() > 4 {
            return None;
        }
        Some(digits.iter().fold(0, |number, digit| (number << 8) | u32::from(*digit)))
    }
}

/// Elements one behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all was read.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element; none at the end and where there is no element that lies whole in the bytes.
    pub(crate) fn next(&mut self) -> Option<Tlv<'a>> {
        let tlv = element(self.0)?;
        self.0 = self.0.get(tlv.raw.len()..)?;
        Some(tlv)
    }

    /// All elements up to the first that can't be read.
    pub(crate) fn all(mut self) -> impl Iterator<Item = Tlv<'a>> {
        std::iter::from_fn(move || self.next())
    }

    /// The next element, which must be of this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Option<Tlv<'a>> {
        self.0.first().filter(|first| **first == tag)?;
        self.next()
    }

    /// The next element if it is of this tag: the outer none says that it can't be read.
    pub(crate) fn take_if(&mut self, tag: u8) -> Option<Option<Tlv<'a>>> {
        if self.0.first() == Some(&tag) { self.next().map(Some) } else { Some(None) }
    }
}

/// The element at the beginning of `bytes`. A length may be longer than it needs to be, but not indefinite.
fn element(bytes: &[u8]) -> Option<Tlv<'_>> {
    let (&tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let digits = usize::from(first & 0x7f);
        if !(1..=4).contains(&digits) {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(digits)?;
        (digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)), rest)
    };
    let value = rest.get(..length)?;
    let header = bytes.len().checked_sub(rest.len())?;
    Some(Tlv { tag, raw: bytes.get(..header.checked_add(length)?)?, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_lie_one_behind_the_other() {
        let mut reader = Reader::new(b"\x30\x03\x02\x01\x05\x04\x81\x02ab");
        let sequence = reader.take(SEQUENCE).unwrap();
        assert_eq!(sequence.raw, b"\x30\x03\x02\x01\x05");
        assert_eq!(sequence.parts().take(INTEGER).unwrap().number(), Some(5));
        assert!(reader.take(SET).is_none());
        assert_eq!(reader.take_if(SET), Some(None));
        assert_eq!(reader.next().unwrap().value, b"ab");
        assert!(reader.is_empty() && reader.next().is_none());
    }

    #[test]
    fn nothing_reaches_beyond_its_bytes() {
        let refused: [&[u8]; 7] = [
            b"",
            b"\x30",
            b"\x30\x01",
            b"\x30\x80\0\0",
            b"\x1f\x01\0",
            b"\x04\x84\xff\xff\xff\xff",
            b"\x04\x85\0\0\0\0\0",
        ];
        for bytes in refused {
            assert_eq!(Reader::new(bytes).next(), None, "{bytes:?}");
        }
    }

    #[test]
    fn numbers_are_small_and_not_negative() {
        let number = |bytes: &'static [u8]| Reader::new(bytes).next().unwrap().number();
        assert_eq!(number(b"\x02\x05\0\xff\xff\xff\xff"), Some(u32::MAX));
        assert_eq!(number(b"\x02\x01\xff"), None);
        assert_eq!(number(b"\x02\x05\x01\0\0\0\0"), None);
        assert_eq!(number(b"\x02\0"), None);
    }
}
