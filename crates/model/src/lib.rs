//! What things are.
//!
//! The words of the product as types: files, copies, machines, rules, orders, acts, verdicts, and which
//! changes of state are legal. Nothing here reads a clock, touches a disk or a network, or knows how a thing
//! looks outside the process: shapes for outsiders live in `wire`.

#![forbid(unsafe_code)]

pub mod digest;
pub mod ids;
pub mod time;

pub mod determination;
pub mod facts;
pub mod inspection;
pub mod origin;
pub mod sighting;
pub mod spared;

pub mod bypass;
pub mod log;
pub mod rule;
pub mod verdict;

pub mod act;
pub mod hold;
pub mod order;

pub use digest::{Digest, Digests, FileId, InvalidHash, Kinds, Md5, Names, Sha1, Sha256};
pub use ids::{
    ActId, Epoch, Generation, GroupId, HoldId, MachineId, OrderId, OrganizationId, RuleId, VaultId,
};
pub use time::{Clock, Time};
