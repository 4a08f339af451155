//! A guard that has the kernel deny by itself, where the kernel does that: in the emulated machine
//! (`cargo xtask vm-test`). Runs in a mount namespace of its own only, and at that level only:
//!
//! ```sh
//! env QUELL_PRIVATE_NAMESPACE=1 QUELL_GUARD_LEVEL=bpf unshare -m --propagation private \
//!     cargo test -p agent --test guard_bpf
//! ```

#[path = "../guard_kernel/arena.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod arena;
#[path = "../guard_kernel/processes.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod processes;

mod denies;
mod pinned;

use agent::guard::bpf::Level;
use arena::{Arena, Kind};

/// An arena, where this level can be.
fn enter(kind: Kind) -> Option<Arena> {
    if processes::level() != Level::Bpf {
        eprintln!("not run: it is about another level (QUELL_GUARD_LEVEL=bpf)");
        return None;
    }
    if let Err(why) = sys::bpf::probe() {
        eprintln!("not run: this kernel takes no LSM programs: {why}");
        return None;
    }
    Arena::enter(kind)
}
