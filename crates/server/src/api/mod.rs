//! The HTTP API: the contract's two roots, our own `/api/quell`, and the token endpoint.
//!
//! [`router`] is the table. A request meets the edge (one spelling, limits, one log line), the gate (token,
//! role, budget), and its endpoint: one file with doc, handler and tests. HTTP status codes live here and
//! nowhere else.

mod called;
mod caller;
mod door;
mod edge;
mod errors;
mod gate;
mod limit;
mod pace;
mod paging;
mod path;
mod permission;
mod router;
mod serve;

mod files;
mod holds;
mod lists;
mod machine_actions;
mod machines;
mod operator_key;
mod orders;
mod policy;
mod preview;
mod status;
mod token;

pub(crate) use edge::Edge;
pub(crate) use limit::{Failures, Limits};
pub(crate) use serve::serve;

#[cfg(test)]
mod tests;
