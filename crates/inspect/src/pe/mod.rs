//! Portable executables: Windows programs, libraries, drivers and EFI images.

mod authentihash;
mod layout;

pub(crate) use authentihash::{authentihash, covered};
pub(crate) use layout::Layout;
