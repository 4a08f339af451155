//! Denial that survives the guard.

use sys::bpf::pins;

use crate::arena::{EPERM, Kind, deny, digests, run};
use crate::enter;
use crate::processes::Child;

#[test]
fn a_killed_guard_denies_nothing_unless_it_has_pinned() {
    let Some(arena) = enter(Kind::Tmpfs) else { return };
    let bad = arena.program("bad", "bad");
    let rule = deny(1, &digests(&bad));
    let mut guarded = arena.guarded();
    guarded.adopt([rule]);
    assert_eq!(run(&bad), Err(EPERM));
    guarded.process.kill();
    assert_eq!(run_soon(&bad), Ok(0));

    guarded.process = Child::guard_at("bpf-pinned", arena.data_dir(), arena.ground());
    guarded.adopt([rule]);
    assert!(pins::exist());
    guarded.process.kill();
    assert_eq!(run(&bad), Err(EPERM));
    // The next one takes over: what it does not deny is denied no more.
    guarded.process = Child::guard_at("bpf-pinned", arena.data_dir(), arena.ground());
    guarded.adopt([rule]);
    assert_eq!(run(&bad), Err(EPERM));
    guarded.adopt([]);
    assert_eq!(run(&bad), Ok(0));
    guarded.adopt([rule]);
    guarded.process.kill();
    assert_eq!(run(&bad), Err(EPERM));
    assert!(pins::release().unwrap());
    assert_eq!(run(&bad), Ok(0));

    // One that pins nothing leaves nothing of an earlier one.
    guarded.process = Child::guard_at("bpf-pinned", arena.data_dir(), arena.ground());
    guarded.adopt([rule]);
    guarded.process.kill();
    assert!(pins::exist());
    guarded.process = Child::guard_at("fanotify", arena.data_dir(), arena.ground());
    guarded.adopt([]);
    assert!(!pins::exist());
    assert_eq!(run(&bad), Ok(0));
}

/// What is not held any more ends when the kernel gets round to it.
fn run_soon(program: &std::path::Path) -> Result<i32, i32> {
    let tries = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        run(program)
    });
    tries.take(100).find(Result::is_ok).unwrap_or(Err(EPERM))
}
