//! Which kind of portable executable a file is.

use super::imports::Imports;
use super::layout::Layout;
use crate::le;

const IS_LIBRARY: u16 = 0x2000;
const NATIVE: u16 = 1;
const DOT_NET: usize = 14;
/// What only code in the kernel is linked against.
const KERNEL: [&str; 7] =
    ["ntoskrnl.exe", "hal.dll", "ndis.sys", "bootvid.dll", "kdcom.dll", "fltmgr.sys", "wdfldr.sys"];

/// `Program`, `Library`, `Driver`, `Efi`, `DotNetProgram` or `DotNetLibrary`. Without `imports` a driver and a program
/// of the boot cannot be told apart.
pub(crate) fn subtype(layout: &Layout, imports: Option<&Imports>) -> Option<&'static str> {
    let subsystem = subsystem(layout);
    if (10..=13).contains(&subsystem) {
        return Some("Efi");
    }
    let is_library = characteristics(layout) & IS_LIBRARY != 0;
    let imports_any = |names: &[&str]| {
        imports
            .is_some_and(|imports| imports.libraries.iter().any(|library| names.contains(&library.as_str())))
    };
    if imports_any(&KERNEL) {
        return Some("Driver");
    }
    if subsystem == NATIVE && !is_library {
        imports?;
        return Some(if imports_any(&["ntdll.dll"]) { "Program" } else { "Driver" });
    }
    Some(match (is_library, is_dot_net(layout)) {
        (false, false) => "Program",
        (true, false) => "Library",
        (false, true) => "DotNetProgram",
        (true, true) => "DotNetLibrary",
    })
}

/// Whether the header points at the header of an assembly.
pub(crate) fn is_dot_net(layout: &Layout) -> bool {
    layout.directory(DOT_NET).is_some_and(|(address, size)| address != 0 && size != 0)
}

pub(crate) fn characteristics(layout: &Layout) -> u16 {
    le::half(&layout.header, 22).unwrap_or(0)
}

pub(crate) fn subsystem(layout: &Layout) -> u16 {
    le::half(layout.optional(), 68).unwrap_or(0)
}
