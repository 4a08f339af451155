//! Which kind of ELF a file is.

const ET_REL: u16 = 1;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const ET_CORE: u16 = 4;
const PT_INTERP: u32 = 3;

/// Program, shared object, … as far as the head tells. A position-independent program differs from a shared
/// object by having an interpreter.
pub(crate) fn subtype(head: &[u8]) -> Option<&'static str> {
    let header = Header::read(head)?;
    match header.kind {
        ET_REL => Some("Relocatable"),
        ET_EXEC => Some("Program"),
        ET_DYN if header.has_interpreter(head) => Some("Program"),
        ET_DYN => Some("SharedObject"),
        ET_CORE => Some("Core"),
        _ => None,
    }
}

struct Header {
    kind: u16,
    wide: bool,
    big_endian: bool,
}

impl Header {
    fn read(head: &[u8]) -> Option<Self> {
        let wide = *head.get(4)? == 2;
        let big_endian = *head.get(5)? == 2;
        let header = Self { kind: 0, wide, big_endian };
        Some(Self { kind: header.half(head, 16)?, ..header })
    }

    fn has_interpreter(&self, head: &[u8]) -> bool {
        self.program_headers(head).unwrap_or_default().contains(&PT_INTERP)
    }

    fn program_headers(&self, head: &[u8]) -> Option<Vec<u32>> {
        let (table, entry, count) = if self.wide {
            (self.word(head, 32)?, self.half(head, 54)?, self.half(head, 56)?)
        } else {
            (self.word(head, 28)?, self.half(head, 42)?, self.half(head, 44)?)
        };
        // No real program has more; a lying count costs no more than this.
        let offsets = (0..usize::from(count.min(64))).map(|index| index.checked_mul(usize::from(entry)));
        Some(offsets.filter_map(|offset| self.word(head, (table as usize).checked_add(offset?)?)).collect())
    }

    fn half(&self, head: &[u8], at: usize) -> Option<u16> {
        let bytes: [u8; 2] = head.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    /// A 32-bit word. The offset of a 64-bit header's table fits one in the head that is looked at, so only
    /// its low half is read.
    fn word(&self, head: &[u8], at: usize) -> Option<u32> {
        let at = if self.wide && self.big_endian && at == 32 { at + 4 } else { at };
        let bytes: [u8; 4] = head.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_prefix_of_a_program_makes_it_panic() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for end in 0..256 {
            let _ = subtype(&bytes[..end]);
        }
        let mut lying = bytes[..256].to_vec();
        lying[32..64].fill(0xff);
        let _ = subtype(&lying);
    }
}
