//! No verdict is older than the content: whatever way a file is changed, and whenever. Runs in a mount namespace of
//! its own only:
//!
//! ```sh
//! timeout 300 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test stale
//! ```

#[path = "../guard_kernel/arena.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod arena;
#[path = "../hand/mod.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod hand;
#[path = "../guard_kernel/processes.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod processes;

mod changes;
mod contents;
mod hashing;
mod ways;
