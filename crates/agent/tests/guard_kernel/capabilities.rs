//! What the systemd unit leaves the agent is enough for it: some tests run once more with no more than that.

use std::process::{Command, Stdio};

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set, set_no_new_privs};

use crate::arena::{Arena, Kind};

const UNIT: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/systemd/quell-agent.service"));

/// They mark, mount elsewhere, deny, answer in time, stop what ran, and give leases on files of others.
const AGAIN: [&str; 6] = [
    "later::mounted_here",
    "later::mounted_in_another_mount_namespace",
    "later::mounted_by_somebody_without_rights",
    "denies::",
    "effects::",
    "failures::what_ran_because_the_timer_won_is_stopped",
];

#[test]
fn those_of_the_unit_are_enough() {
    // Kept: what other tests mount and unmount meanwhile would lend its device numbers to those.
    let Some(_alone) = Arena::enter(Kind::Tmpfs) else { return };
    let again = || {
        // The tests themselves must be able to be somebody else.
        let left = of_unit() | CapabilitySet::SETUID | CapabilitySet::SETGID;
        for missing in CapabilitySet::all().difference(left).iter() {
            // Kernels know no more of them than they know.
            let _ = remove_capability_from_bounding_set(missing);
        }
        set_no_new_privs(true).unwrap();
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(AGAIN).args(["--test-threads", "1"]).stdin(Stdio::null()).output().unwrap()
    };
    // Only the thread and what it starts give them up.
    let output = std::thread::scope(|threads| threads.spawn(again).join().unwrap());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("running 0 tests"));
}

/// As the unit lists them.
fn of_unit() -> CapabilitySet {
    let list = UNIT.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let of = |word: &str| CapabilitySet::from_name(word.strip_prefix("CAP_").unwrap());
    list.split(' ').map(|word| of(word).unwrap_or_else(|| panic!("{word}"))).collect()
}
