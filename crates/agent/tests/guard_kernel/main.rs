//! The guard as a process of its own, against the kernel that runs it. Runs in a mount namespace of its own only:
//!
//! ```sh
//! timeout 120 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 \
//!     cargo test -p agent --test guard_kernel
//! ```

#[expect(dead_code, reason = "each test program uses a part of it")]
mod arena;
mod processes;

mod capabilities;
mod denies;
mod effects;
mod failures;
mod fairness;
mod forged;
mod hostile;
mod later;
mod leaseless;
mod opens;
mod stalled;
mod unopened;
mod users;
