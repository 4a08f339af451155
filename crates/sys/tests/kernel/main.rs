//! This crate against the kernel that runs it. Tests that mark a filesystem run in a mount namespace of their
//! own only:
//!
//! ```sh
//! timeout 120 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p sys
//! ```

mod arena;

mod identity;
mod mounts;
mod namespaces;
mod permission;
mod pidfd;
mod place;
mod socket;
mod watch;
mod writers;
