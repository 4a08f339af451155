//! One user runs fresh large programs without end.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use tests::sample::Sample;

use crate::stage::{Ending, Stage, head};

/// Programs, and runs of each at the same time.
const PROGRAMS: usize = 16;
const SIZE: u64 = 100 << 20;
const FLOODER: u32 = 65533;

#[test]
fn fresh_large_programs_of_one_user() {
    let Some(stage) = Stage::set() else { return };
    head();
    let programs: Vec<_> =
        (0..PROGRAMS).map(|number| stage.ground.root().join(format!("large {number}"))).collect();
    for program in &programs {
        Sample::fresh().put(program);
        // Mostly a hole: it takes no room, and as long to hash.
        File::options().write(true).open(program).unwrap().set_len(SIZE).unwrap();
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let _ending = Ending(&stop);
        for program in &programs {
            let stop = &stop;
            threads.spawn(move || {
                let mut mode = 0o755;
                while !stop.load(Ordering::Relaxed) {
                    // Another ctime: nobody knows any more what it holds.
                    mode ^= 0o200;
                    fs::set_permissions(program, Permissions::from_mode(mode)).unwrap();
                    let mut command = Command::new(program);
                    command.arg("0").uid(FLOODER).gid(FLOODER).stdin(Stdio::null());
                    let _ = command.status();
                }
            });
        }
        stage.endure(
            "flood of fresh 100 MB programs by one user",
            || (),
            |()| stop.store(true, Ordering::Relaxed),
        );
    });
    stage.up.kill();
}
