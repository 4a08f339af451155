//! The machine: what watches, denies, stops, quarantines and restores on one host.

#![forbid(unsafe_code)]

pub mod local;
pub mod run;

pub mod guard;
pub mod ruleset;

pub mod acts;
pub mod vault;

mod attach;
mod core;
mod hearing;
mod perform;

mod examine;
mod looking;
mod places;
mod recorder;
mod sweep;
mod watch;

mod inventory;
mod journal;
mod ledger;
mod spared;
mod spool;

mod clock;
pub mod digest;
mod host;

pub use places::Watched;
