//! Mach-O files.

/// A word for what a Mach-O file is; none if it is none.
pub(super) fn subtype(head: &[u8]) -> Option<&'static str> {
    let is_big_endian = match head.first_chunk::<4>()? {
        [0xcf | 0xce, 0xfa, 0xed, 0xfe] => false,
        [0xfe, 0xed, 0xfa, 0xce | 0xcf] => true,
        [0xca, 0xfe, 0xba, 0xbe | 0xbf] => return universal(head),
        _ => return None,
    };
    let kind: [u8; 4] = *head.get(12..)?.first_chunk()?;
    let kind = if is_big_endian { u32::from_be_bytes(kind) } else { u32::from_le_bytes(kind) };
    Some(match kind {
        1 => "Object",
        2 => "Program",
        4 => "Core",
        6 | 9 => "Library",
        7 => "Linker",
        8 => "Bundle",
        10 => "Symbols",
        11 => "KernelExtension",
        _ => "Other",
    })
}

/// A universal file counts its architectures where a Java class has its version, which is never below 45.
fn universal(head: &[u8]) -> Option<&'static str> {
    let count = u32::from_be_bytes(*head.get(4..)?.first_chunk()?);
    (1..45).contains(&count).then_some("Universal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_order_and_kind_is_known() {
        let mut program = b"\xcf\xfa\xed\xfe".to_vec();
        program.extend([0; 8]);
        program.extend([2, 0, 0, 0]);
        assert_eq!(subtype(&program), Some("Program"));
        let mut library = b"\xfe\xed\xfa\xce".to_vec();
        library.extend([0; 8]);
        library.extend([0, 0, 0, 6]);
        assert_eq!(subtype(&library), Some("Library"));
        assert_eq!(subtype(b"\xca\xfe\xba\xbe\0\0\0\x02"), Some("Universal"));
        assert_eq!(subtype(b"\xca\xfe\xba\xbe\0\0\0\x41"), None);
        for end in 0..program.len() {
            assert_eq!(subtype(&program[..end]), None, "{end}");
        }
    }
}
