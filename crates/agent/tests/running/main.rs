//! What runs already when a rule begins. Each test guards a filesystem of its own and starts what may be stopped;
//! where everything is guarded, it has a pid namespace of its own, so that nobody else can be.
//!
//! ```sh
//! timeout 300 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test running
//! ```

#[path = "../arena/mod.rs"]
mod arena;

mod forking;
mod judge;
mod kinds;
mod never;
mod pids;
mod scripts;
