//! The power is cut at every place of an act, and what the disk did not flush is partly lost: each copy is in place
//! or whole in the vault, and the act has a result.
//!
//! Ledger, vault and guarded files lie on disks that remember each write. `QUELL_CUTS` says how many reorderings are
//! tried of each act; with `all` before it (`all 200`), also each act on each filesystem, and every write is a place.
//!
//! ```sh
//! timeout 300 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test power_cut
//! ```

#[path = "../arena/mod.rs"]
mod arena;
#[path = "../disk/mod.rs"]
mod disk;
mod replay;
mod scene;

use disk::On;
use replay::Effort;
use scene::{Case, Way};

#[test]
fn the_process_that_is_the_disks() {
    disk::be_the_disks();
}

#[test]
fn no_cut_of_the_power_costs_a_copy() {
    if std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_none_or(|value| value != "1") {
        println!("not run: it mounts filesystems, which needs a mount namespace of its own");
        return;
    }
    let effort = Effort::of_environment();
    for on in [On::Ext4, On::Xfs] {
        let mut tally = replay::Tally::default();
        for case in Case::all().into_iter().filter(|case| effort.is_all || case.is_telling()) {
            tally.add(&replay::replay(on, case, &effort));
        }
        println!("power cut: {} in all: {tally}, copies lost 0", on.word());
    }
}

impl Case {
    /// Whether it is among those that are always tried.
    fn is_telling(self) -> bool {
        match self.way {
            Way::Renaming => true,
            Way::Copying => self.is_apart,
        }
    }
}
