//! Numbers as one ELF file writes them.

/// Width and order of a file's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Addresses have 64 bits, else 32.
    pub(super) is_wide: bool,
    /// The most significant byte comes first.
    pub(super) is_big_endian: bool,
}

impl Form {
    /// As the first bytes say; none for what is no ELF file, or one of a form that nobody runs.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let [0x7f, b'E', b'L', b'F', class @ 1..=2, order @ 1..=2, ..] = head else { return None };
        Some(Self { is_wide: *class == 2, is_big_endian: *order == 2 })
    }

    /// The number of two bytes at `at`.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let two = *bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big_endian { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    }

    /// The number of four bytes at `at`.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let four = *bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    /// The number of eight bytes at `at`.
    pub(super) fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let eight = *bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big_endian { u64::from_be_bytes(eight) } else { u64::from_le_bytes(eight) })
    }

    /// The number at `at` that is as long as an address.
    pub(super) fn word(self, bytes: &[u8], at: usize) -> Option<u64> {
        if self.is_wide { self.u64(bytes, at) } else { self.u32(bytes, at).map(u64::from) }
    }

    /// Length of an address in bytes.
    pub(super) const fn word_length(self) -> usize {
        if self.is_wide { 8 } else { 4 }
    }
}
