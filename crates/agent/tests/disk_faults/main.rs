//! The power is cut at every place of an act, and what the disk did not flush is partly lost: each copy is in place
//! or whole in the vault, and the act has a result.
//!
//! Ledger, vault and guarded files lie on disks that remember each write. `QUELL_CUTS` says how many reorderings are
//! tried of each act; with `all` before it (`all 200`), also each act on each filesystem, and every write is a place.
//!
//! ```sh
//! timeout 300 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test disk_faults
//! ```

#[path = "../arena/mod.rs"]
mod arena;
#[path = "../disk/mod.rs"]
mod disk;
mod failing;
mod replay;
mod scene;

use disk::On;
use replay::Effort;

#[test]
fn the_process_that_is_the_disks() {
    disk::be_the_disks();
}

#[test]
fn no_cut_of_the_power_costs_a_copy() {
    let Some(effort) = Effort::here() else { return };
    for on in [On::Ext4, On::Xfs] {
        let mut tally = replay::Tally::default();
        for case in effort.cases() {
            tally.add(&replay::replay(on, case, &effort));
        }
        println!("power cut: {} in all: {tally}, copies lost 0", on.word());
    }
}

#[test]
fn no_fault_of_a_disk_costs_a_copy_or_an_answer() {
    let Some(effort) = Effort::here() else { return };
    for on in [On::Ext4, On::Xfs] {
        for case in effort.cases().filter(|case| case.is_apart && !case.is_fresh) {
            failing::try_all(on, case, &effort);
        }
    }
}
