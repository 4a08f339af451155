//! Asked about opens as well, the guard sees what an interpreter or a loader reads.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use agent::guard::client::GuardStatus;

use crate::arena::{Arena, EPERM, Guarded, Kind, deny, digests, run};
use crate::processes::Child;

struct World {
    guarded: Guarded,
    arena: Arena,
}

impl World {
    fn enter(kind: Kind) -> Option<Self> {
        let arena = Arena::enter(kind)?;
        let guarded = arena.guarded_by(Child::guard_of_opens(arena.data_dir(), arena.ground()));
        let world = Self { guarded, arena };
        // Until the agent's workers are there, opens are permitted.
        let probe = world.script("probe");
        let is_read = |status: &GuardStatus| {
            cat(&probe);
            status.counters.hashed + status.counters.from_cache > 0
        };
        world.guarded.status(is_read);
        Some(world)
    }

    fn script(&self, name: &str) -> PathBuf {
        let path = self.arena.path(name);
        fs::write(&path, format!("exit 42 # {name}\n")).unwrap();
        path
    }
}

fn status(command: &mut Command) -> Option<i32> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code()
}

/// Whether another process than this one, which is the agent, can read a file.
fn cat(path: &Path) -> bool {
    status(Command::new("cat").arg(path)) == Some(0)
}

#[test]
fn a_script_given_to_its_interpreter_on_tmpfs() {
    a_script_given_to_its_interpreter(Kind::Tmpfs);
}

#[test]
fn a_script_given_to_its_interpreter_on_ext4() {
    a_script_given_to_its_interpreter(Kind::Ext4);
}

fn a_script_given_to_its_interpreter(kind: Kind) {
    let Some(world) = World::enter(kind) else { return };
    let (bad, good) = (world.script("bad"), world.script("good"));
    let denied = deny(1, &digests(&bad));
    for _ in 0..2 {
        assert_eq!(status(Command::new("sh").arg(&bad)), Some(42));
        world.guarded.adopt([denied]);
        assert_ne!(status(Command::new("sh").arg(&bad)), Some(42));
        assert_eq!(status(Command::new("sh").arg(&good)), Some(42));
        assert!(!cat(&bad), "nor is it copied");
        world.guarded.adopt([]);
    }
    // Somebody has it open for writing and waits.
    world.guarded.adopt([denied]);
    fs::write(&good, fs::read_to_string("/proc/version").unwrap()).unwrap();
    let bytes = "exit 42 # bad\n";
    let mut writer = File::create(&good).unwrap();
    writer.write_all(bytes.as_bytes()).unwrap();
    assert!(!cat(&good));
}

#[test]
fn a_program_given_to_the_loader() {
    let Some(world) = World::enter(Kind::Ext4) else { return };
    let bad = world.arena.program("bad", "bad");
    let loader = fs::read_dir("/lib64").unwrap().flatten().map(|entry| entry.path());
    let loader = loader.into_iter().find(|path| path.to_string_lossy().contains("ld-linux")).unwrap();
    let load = || status(Command::new(&loader).arg(&bad));
    assert_eq!(load(), Some(0));
    world.guarded.adopt([deny(1, &digests(&bad))]);
    assert_ne!(load(), Some(0));
    assert_eq!(run(&bad), Err(EPERM));
    let counters = world.guarded.status(|status| status.counters.denied == 2).counters;
    assert!(counters.opens > 0, "{counters:?}");
}

#[test]
fn large_data_and_new_files_are_not_read_for_it() {
    let Some(world) = World::enter(Kind::Tmpfs) else { return };
    let large = world.arena.path("large");
    File::create(&large).unwrap().set_len(65 << 20).unwrap();
    let before = world.guarded.status(|_| true).counters;
    for _ in 0..3 {
        let status = status(Command::new("head").args(["-c1".as_ref(), large.as_os_str()]));
        assert_eq!(status, Some(0));
    }
    let counters = world.guarded.status(|status| status.counters.opens >= before.opens + 3).counters;
    assert_eq!((counters.hashed, counters.timed_out), (before.hashed, before.timed_out));
}
