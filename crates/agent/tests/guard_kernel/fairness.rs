//! One user's flood of fresh executables keeps nobody else's verdict from coming in time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use model::rule::Identifier;
use wire::link::v1::GuardCounters;

use crate::arena::{Arena, EPERM, Guarded, Kind, PATIENCE, deny_by, digests, run};

const NOBODY: u32 = 65534;
/// Each takes a worker longer than the timer.
const LARGE: u64 = 200 << 20;
const FLOOD: usize = 8;
/// Small denied files of another user.
const COPIES: usize = 20;

#[test]
fn a_flood_of_large_files_makes_no_other_user_wait_for_the_timer() {
    let Some((arena, guarded)) = for_everybody() else { return };
    let (done, floods) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|threads| {
        for n in 0..FLOOD {
            let path = arena.path(&format!("flood {n}"));
            let (done, floods) = (&done, &floods);
            threads.spawn(move || {
                let mut round = 0;
                while !done.load(Ordering::Relaxed) {
                    write_fresh(&path, n, round);
                    // Refused as busy now and then: another child is forked while the file is being written.
                    let _ = Command::new(&path).uid(NOBODY).stdin(Stdio::null()).status();
                    floods.fetch_add(1, Ordering::Relaxed);
                    round += 1;
                }
            });
        }
        while floods.load(Ordering::Relaxed) < 4 {
            std::thread::yield_now();
        }
        let refused = (0..COPIES).filter(|n| retried(&denied_copy(&arena, *n)) == Err(EPERM)).count();
        // Before the assertion, or its failure would wait for the flood for ever.
        done.store(true, Ordering::Relaxed);
        // In turn behind the flood, none would be. A machine that stands still may cost one its turn.
        assert!(refused > COPIES * 3 / 4, "{refused} of {COPIES} refused in time");
    });
    let is_told = |counters: &GuardCounters| counters.denied + counters.denied_late == COPIES as u64;
    let counters = guarded.status(|status| is_told(&status.counters)).counters;
    println!(
        "{} large files executed, {} answered by the timer; {} of {COPIES} small ones refused late",
        floods.into_inner(),
        counters.timed_out,
        counters.denied_late
    );
}

/// A guarded filesystem on which everybody may run something, and what [`denied_copy`] makes is denied.
fn for_everybody() -> Option<(Arena, Guarded)> {
    let arena = Arena::enter(Kind::Tmpfs)?;
    let bad = arena.program("bad", "bad");
    let rule = deny_by(1, Identifier::Md5(digests(&bad).md5));
    fs::remove_file(&bad).unwrap();
    let guarded = arena.guarded();
    guarded.adopt([rule]);
    fs::set_permissions(arena.ground(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(arena.data_dir(), fs::Permissions::from_mode(0o711)).unwrap();
    Some((arena, guarded))
}

fn write_fresh(path: &Path, n: usize, round: u32) {
    let mut bytes = fs::read("/bin/true").unwrap();
    bytes.extend(format!("{n} {round}").bytes());
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
    // A hole takes no room, but time to read.
    fs::File::options().write(true).open(path).unwrap().set_len(LARGE).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn denied_copy(arena: &Arena, n: usize) -> PathBuf {
    arena.program(&format!("copy {n}"), "bad")
}

/// A child of another thread, forked while this file was being written, has it open until its own exec.
fn retried(path: &Path) -> Result<i32, i32> {
    loop {
        match run(path) {
            Err(crate::arena::ETXTBSY) => {}
            outcome => return outcome,
        }
    }
}

/// More than there is room for, of which nobody will ever know the digests.
const ENDLESS: usize = 600;
const AT_ONCE: usize = 100;

#[test]
fn files_without_end_take_nobodys_room() {
    let Some((arena, guarded)) = for_everybody() else { return };
    let before = guarded.process.open_files();
    let next = AtomicU32::new(0);
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                while let n @ 0..ENDLESS = next.fetch_add(1, Ordering::Relaxed) as usize {
                    let path = arena.program(&format!("endless {n}"), "endless");
                    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 60).unwrap();
                    // Permitted by the timer or refused: both are well.
                    let _ = Command::new(&path).uid(NOBODY).stdin(Stdio::null()).status();
                }
            });
        }
    });
    let fresh = denied_copy(&arena, 0);
    let outcome = Command::new(&fresh).uid(NOBODY).stdin(Stdio::null()).status();
    assert_eq!(outcome.map_err(|error| error.raw_os_error()).unwrap_err(), Some(EPERM));
    let counters = guarded.status(|status| status.counters.denied == 1).counters;
    println!(
        "{} answered by the timer, {} refused for want of a fair share",
        counters.timed_out, counters.busy
    );
    assert!(counters.busy > 0 && counters.timed_out > 0);
    let deadline = Instant::now() + PATIENCE;
    while guarded.process.open_files() > before + 20 {
        assert!(Instant::now() < deadline, "{} files are held", guarded.process.open_files());
        std::thread::sleep(Duration::from_millis(50));
    }
}
