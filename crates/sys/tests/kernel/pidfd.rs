//! Processes held by descriptor.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use sys::pidfd;

use crate::arena::alone;

#[test]
fn an_own_child_is_killed_and_seen_to_end() {
    let _alone = alone();
    let mut child = Command::new("/bin/sleep").arg("60").spawn().unwrap();
    let held = pidfd::open(child.id().cast_signed()).unwrap();
    assert!(!held.has_ended());
    let begin = Instant::now();
    assert!(!held.wait_ended(Duration::from_millis(30)));
    assert!(begin.elapsed() >= Duration::from_millis(30));
    held.kill().unwrap();
    assert!(held.wait_ended(Duration::from_secs(5)));
    assert!(held.has_ended());
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    assert_eq!(held.kill().unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn no_process_is_no_process() {
    for pid in [0, -1, i32::MIN] {
        assert!(pidfd::open(pid).is_err(), "{pid}");
    }
    assert_eq!(pidfd::open(i32::MAX).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}
