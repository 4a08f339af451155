//! What only a portable executable has.

use model::inspection::{Section, Span};
use serde::Serialize;

/// A section of a portable executable.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSection {
    /// Its name.
    pub name: String,
    /// Length in memory.
    pub virtual_size: u32,
    /// Length in the file, as the header says.
    pub raw_size: u32,
    /// What may be done with it, as the header says.
    pub characteristics: u32,
    /// Bits per byte, 0 to 8.
    pub entropy: f64,
}

impl From<&Section> for FileSection {
    fn from(section: &Section) -> Self {
        Self {
            name: section.name.clone(),
            virtual_size: section.virtual_size,
            raw_size: section.raw_size,
            characteristics: section.characteristics,
            entropy: f64::from(section.entropy_thousandths) / 1_000.0,
        }
    }
}

/// A range of bytes of a file.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FileSpan {
    /// Its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
}

impl From<Span> for FileSpan {
    fn from(span: Span) -> Self {
        Self { offset: span.offset, size: span.size }
    }
}

/// The word for a processor, or its number.
pub(super) fn machine(number: u16) -> String {
    let word = match number {
        0x014c => "x86",
        0x8664 => "x64",
        0x01c0 | 0x01c2 | 0x01c4 => "arm",
        0xaa64 => "arm64",
        0xa641 => "arm64ec",
        0x0200 => "ia64",
        0x0ebc => "efiByteCode",
        0x5032 => "riscv32",
        0x5064 => "riscv64",
        0x6232 => "loongArch32",
        0x6264 => "loongArch64",
        _ => return format!("{number:#06x}"),
    };
    word.to_owned()
}

/// The word for what runs a program, or its number.
pub(super) fn subsystem(number: u16) -> String {
    let word = match number {
        1 => "Native",
        2 => "WindowsGui",
        3 => "WindowsCui",
        5 => "Os2Cui",
        7 => "PosixCui",
        8 => "NativeWindows",
        9 => "WindowsCeGui",
        10 => "EfiApplication",
        11 => "EfiBootServiceDriver",
        12 => "EfiRuntimeDriver",
        13 => "EfiRom",
        14 => "Xbox",
        16 => "WindowsBootApplication",
        _ => return number.to_string(),
    };
    word.to_owned()
}
