//! Denial that survives who brought it.

use sys::bpf::pins;

use crate::arena::{Arena, EPERM, Kind, Stage, alone, run};

#[test]
fn what_is_pinned_stays_until_it_is_released() {
    // The programs of the other tests must not be there: they would deny the same.
    let Some(mut stage) = alone() else { return };
    drop(stage.take());
    drop(stage);
    pins::release().unwrap();
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let bad = arena.program("bad", "bad");
    arena.deny(&[&bad]);
    arena.programs().pin().unwrap();
    let first = arena.programs().pinned().unwrap().to_owned();
    assert!(first.join("quell_exec").exists());
    // Its holder goes, the denial stays.
    let gone = std::mem::replace(arena.stage(), Stage::set());
    drop(gone);
    assert_eq!(run(&bad), Err(EPERM));
    // The next one takes over without a gap: both deny until the first one's pins are removed.
    let device = arena.device();
    arena.programs().guard(&[device]).unwrap();
    arena.deny(&[&bad]);
    arena.programs().pin().unwrap();
    assert!(!first.exists() && pins::exist());
    assert_eq!(run(&bad), Err(EPERM));
    drop(std::mem::replace(arena.stage(), Stage::set()));
    assert_eq!(run(&bad), Err(EPERM));
    assert!(pins::release().unwrap());
    assert_eq!(run(&bad), Ok(0));
    assert!(!pins::release().unwrap() && !pins::exist());
}
