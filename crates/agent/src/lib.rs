//! The machine: what watches, denies, stops, quarantines and restores on one host.

#![forbid(unsafe_code)]

pub mod local;
pub mod run;

pub mod brake;
pub mod guard;
pub mod lever;
pub mod ruleset;
pub mod warden;

pub mod elsewhere;
pub mod filesystems;

pub mod acts;
pub mod running;
pub mod uninstall;
pub mod vault;
pub mod vouched;

mod attach;
mod behind;
mod collecting;
mod core;
mod hearing;
mod perform;
mod standing;
mod waiting;

mod examine;
mod looking;
mod mounted;
mod pace;
mod pending;
mod places;
mod pressure;
mod recorder;
mod rivals;
mod sweep;
mod watch;

pub mod ledger;

pub mod inspector;
mod inventory;
mod journal;
pub mod origin;
pub mod spared;
mod spool;

mod landlocked;

mod clock;
pub mod digest;
mod host;
mod signals;

pub use places::Watched;
