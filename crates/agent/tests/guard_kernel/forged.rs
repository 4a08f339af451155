//! A file is changed, and then made to look as it was.

use std::fs::{self, FileTimes, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::arena::{Arena, EPERM, Kind, deny, digests, run};

/// Until a file is no longer young where times are kept in two seconds.
const SETTLED: Duration = Duration::from_millis(4200);

/// Gives a file other bytes of the same length, and the times it had.
fn rewrite(path: &Path, bytes: &[u8]) {
    let before = path.metadata().unwrap();
    let times =
        FileTimes::new().set_modified(before.modified().unwrap()).set_accessed(before.accessed().unwrap());
    fs::write(path, bytes).unwrap();
    OpenOptions::new().write(true).open(path).unwrap().set_times(times).unwrap();
    let now = path.metadata().unwrap();
    assert_eq!(
        (before.ino(), before.size(), before.mtime(), before.mtime_nsec()),
        (now.ino(), now.size(), now.mtime(), now.mtime_nsec())
    );
}

#[test]
fn on_ext4() {
    a_forged_change_is_seen(Kind::Ext4);
}

#[test]
fn on_vfat() {
    a_forged_change_is_seen(Kind::Vfat);
}

fn a_forged_change_is_seen(kind: Kind) {
    let Some(arena) = Arena::enter(kind) else { return };
    let (file, bad) = (arena.program("file", "good"), arena.program("bad", "evil"));
    let guarded = arena.guarded();
    guarded.adopt([deny(1, &digests(&bad))]);
    sleep(SETTLED);
    for _ in 0..2 {
        assert_eq!(run(&file), Ok(0));
    }
    rewrite(&file, &fs::read(&bad).unwrap());
    assert_eq!(run(&file), Err(EPERM), "{kind:?}");
}
