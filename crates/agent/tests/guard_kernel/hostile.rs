//! Whoever speaks for the agent sends what is no set of rules: what was in force stays so.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

use agent::guard::client::Guard;
use sys::socket::{Kind as Way, connect, memfd_sealed, send};

use crate::arena::{Arena, EPERM, Kind, SETTLED, deny, digests, run};

#[test]
fn malformed_rules_change_nothing() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let (bad, good) = (arena.program("bad", "bad"), arena.program("good", "good"));
    let denied = digests(&bad);
    sleep(SETTLED);
    let guarded = arena.guarded();
    guarded.adopt([deny(1, &denied)]);
    assert_eq!((run(&bad), run(&good)), (Err(EPERM), Ok(0)));
    // From here on nobody tells the guard anything else.
    drop(guarded.client);

    let control = connect(&Guard::socket(arena.data_dir()), Way::Packets).unwrap();
    send(control.as_fd(), b"control", &[], false).unwrap();
    let empty = memfd_sealed("empty", b"").unwrap();
    let noise = memfd_sealed("noise", &[0xa5; 5000]).unwrap();
    let ordinary: OwnedFd = File::open(&good).unwrap().into();
    let all: [&OwnedFd; 3] = [&empty, &noise, &ordinary];
    let mut files: Vec<Vec<BorrowedFd<'_>>> = vec![vec![]];
    for first in all {
        files.push(vec![first.as_fd()]);
        files.extend(all.map(|second| vec![first.as_fd(), second.as_fd()]));
    }
    for files in files {
        send(control.as_fd(), b"snapshot", &files, false).unwrap();
    }
    sleep(Duration::from_millis(200));
    // A guard that had died of it would deny nothing.
    assert_eq!((run(&bad), run(&good)), (Err(EPERM), Ok(0)));
}
