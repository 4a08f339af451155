//! Without leases each exec's file is read anew, and what is denied is denied all the same.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use agent::local::{Reply, Request};

use crate::arena::{Arena, EPERM, Kind, PATIENCE, SETTLED, digests, run};
use crate::processes::Child;

/// A library that takes leases from whom it is preloaded into.
fn library(dir: &Path) -> Option<PathBuf> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guard_kernel/leaseless.c");
    let library = dir.join("leaseless.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).stdin(Stdio::null());
    match compiler.status() {
        Ok(status) if status.success() => Some(library),
        outcome => {
            eprintln!("not run: no C compiler here: {outcome:?}");
            None
        }
    }
}

#[test]
fn what_is_denied_is_denied_where_there_are_no_leases() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let Some(library) = library(arena.data_dir()) else { return };
    let (good, bad) = (arena.program("good", "good"), arena.program("bad", "bad"));
    let _guard = Child::guard_preloading(&library, arena.data_dir(), arena.ground());
    let (denied, content) = (digests(&bad).sha256.to_string(), std::fs::read(&bad).unwrap());
    let _agent = Child::agent_preloading(&library, arena.data_dir(), &denied);
    std::thread::sleep(SETTLED);
    for _ in 0..3 {
        assert_eq!(run(&bad), Err(EPERM));
        assert_eq!(run(&good), Ok(0));
    }
    // Nothing was kept of it that a change could make wrong.
    std::fs::write(&good, content).unwrap();
    assert_eq!(run(&good), Err(EPERM));
}

/// In this mount namespace the kernel is told to say that leases are switched off.
struct SwitchedOff;

impl SwitchedOff {
    const SWITCH: &str = "/proc/sys/fs/leases-enable";

    fn begin(dir: &Path) -> Self {
        let off = dir.join("off");
        std::fs::write(&off, "0\n").unwrap();
        let status = Command::new("mount").arg("--bind").arg(off).arg(Self::SWITCH).status().unwrap();
        assert!(status.success());
        Self
    }
}

impl Drop for SwitchedOff {
    fn drop(&mut self) {
        let _ = sys::mounts::unmount_lazily(Path::new(Self::SWITCH));
    }
}

#[test]
fn the_status_says_that_leases_are_switched_off() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let _guard = Child::guard(arena.data_dir(), arena.ground());
    let _agent = Child::whole_agent(arena.data_dir(), arena.ground());
    let notice = || match agent::local::ask(arena.data_dir(), Request::Status) {
        Ok(Reply::Status(status)) if status.in_force => Some(status.guard_notice),
        _ => None,
    };
    let deadline = Instant::now() + PATIENCE;
    while notice() != Some(String::new()) {
        assert!(Instant::now() < deadline, "{:?}", notice());
    }
    let _off = SwitchedOff::begin(arena.data_dir());
    let notice = notice().unwrap();
    assert!(notice.contains("fs.leases-enable"), "{notice}");
}
