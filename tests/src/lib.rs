//! What the tests, benches and soaks of the whole product share: a filesystem of their own, a shipped binary
//! that runs on it, and the calls that a customer would make.
//!
//! All of it belongs in a private mount namespace; `cargo xtask test` makes one. Nothing here marks, guards or
//! kills outside of what it made itself.

#![forbid(unsafe_code)]

pub mod api;
pub mod command;
pub mod filesystem;
pub mod footprint;
pub mod guarding;
pub mod measure;
pub mod peers;
pub mod plane;
pub mod sample;
pub mod systemd;
pub mod up;
pub mod userland;

use std::time::{Duration, Instant};

/// Whether this process may mount and guard: `cargo xtask test` says so when it has made a mount namespace for
/// it. Otherwise says, once a test, why that test is not run.
pub fn is_private() -> bool {
    let private = std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_some();
    if !private {
        println!("not run: needs root and a private mount namespace (cargo xtask test makes one)");
    }
    private
}

/// Waits until `condition` gives something.
///
/// # Panics
/// When it does not within `patience`: with `what` was waited for.
pub fn wait_for<T>(what: &str, patience: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
