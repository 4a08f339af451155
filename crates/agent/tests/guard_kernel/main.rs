//! The guard as a process of its own, against the kernel that runs it. Runs in a mount namespace of its own only:
//!
//! ```sh
//! timeout 120 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 \
//!     cargo test -p agent --test guard_kernel
//! ```

mod arena;
mod processes;

mod denies;
mod failures;
mod fairness;
mod opens;
mod rewrites;
