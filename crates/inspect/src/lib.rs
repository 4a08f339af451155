//! Bytes in, facts out.
//!
//! Nothing here opens a file, allocates by what the bytes say, or trusts an offset: the caller hands in the bytes.

#![forbid(unsafe_code)]

mod blocks;
mod digests;
mod elf;
mod kind;
mod le;
mod pass;
mod pe;
mod signature;
mod source;
mod trust;
mod whole;

pub use digests::Digester;
pub use kind::{HEAD, facts};
pub use source::Source;
pub use trust::{BadTrust, List, NotAList, Trust};
pub use whole::{inspect, inspect_and_name};
