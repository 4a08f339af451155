//! Bytes in, facts out.
//!
//! Nothing here reads a file, allocates by what the bytes say, or trusts an offset: the caller hands in the
//! beginning of a file and its length.

#![forbid(unsafe_code)]

mod elf;
mod kind;
mod le;
mod pe;
mod source;
mod trust;
mod whole;

pub use kind::{HEAD, facts};
pub use source::Source;
pub use trust::Trust;
pub use whole::inspect;
