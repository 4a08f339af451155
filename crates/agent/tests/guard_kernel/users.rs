//! Any user may speak to the agent; none of them keeps it from the others.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agent::local::{Reply, Request, ask_as_user};
use model::{FileId, Sha256};
use sha2::Digest;

use crate::arena::{Arena, Kind, PATIENCE};
use crate::processes::Child;

/// Who speak slowly: fewer than one user may send at a time.
const SLOW: usize = 2;
/// Far below what those who hold on to the agent would take.
const BOUND: Duration = Duration::from_secs(5);

fn socket(data_dir: &Path) -> PathBuf {
    let name = Sha256(sha2::Sha256::digest(data_dir.as_os_str().as_bytes()).into()).to_string();
    format!("/run/quell/{}.sock", &name[..12]).into()
}

/// Asks for something that is refused, and says whether the agent spoke.
fn is_answered(data_dir: &Path) -> bool {
    let request = Request::Bypass(FileId::Sha256(Sha256([7; 32])), String::new());
    matches!(ask_as_user(data_dir, &request), Ok(Reply::Refused(_)))
}

#[test]
fn who_speaks_slowly_is_not_waited_for() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let _agent = Child::whole_agent(arena.data_dir(), arena.ground());
    let until = Instant::now() + PATIENCE;
    while !is_answered(arena.data_dir()) {
        assert!(Instant::now() < until, "no agent");
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = AtomicBool::new(false);
    let drip = || {
        while !ended.load(Ordering::Relaxed) {
            let mut stream = UnixStream::connect(socket(arena.data_dir())).unwrap();
            // A long message is to come, and comes a byte at a time.
            let mut next = [0, 0, 1, 0].into_iter().chain(std::iter::repeat(0));
            while !ended.load(Ordering::Relaxed) && stream.write_all(&[next.next().unwrap()]).is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    };
    std::thread::scope(|threads| {
        (0..SLOW).for_each(|_| drop(threads.spawn(drip)));
        std::thread::sleep(Duration::from_millis(300));
        let start = Instant::now();
        let answered = is_answered(arena.data_dir());
        let took = start.elapsed();
        ended.store(true, Ordering::Relaxed);
        assert!(answered && took < BOUND, "{took:?}");
    });
}
