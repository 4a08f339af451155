//! The protobuf shapes: link between server and machine, guard and agent, records on a machine's disk.

pub mod frame;
pub mod record;
pub mod things;

pub mod acts;
pub mod holds;
pub mod inspection;
pub mod rules;

pub use things::Malformed;

/// The generated shapes; `proto/link.proto` documents them.
#[expect(missing_docs, reason = "generated; the .proto carries the documentation")]
#[expect(clippy::large_enum_variant, reason = "generated; messages live for a moment")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/quell.link.v1.rs"));
}

/// The protocol's version, told in `Hello`.
pub const PROTOCOL: u32 = 1;
