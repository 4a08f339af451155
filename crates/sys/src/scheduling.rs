//! Whether a process stands still by itself, or is only not let run.

use std::fs;
use std::io;
use std::time::Duration;

/// What a process does, to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or would if it got a processor.
    Runs,
    /// It waits. So does one that the unified hierarchy has frozen.
    Sleeps,
    /// It waits and takes no signal. So does one that the old freezer has frozen.
    WaitsDeeply,
    /// Somebody has stopped it: by a signal, or with a debugger.
    Stopped,
    /// It has ended.
    Ended,
}

/// What the first thread of a process does.
///
/// # Errors
/// Those of reading /proc; ESRCH or `NotFound` when there is none.
pub fn state(pid: i32) -> io::Result<State> {
    let line = fs::read(format!("/proc/{pid}/stat"))?;
    letter(&line).map(state_of).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Whether nothing of a process runs any more and its files are closed. A debugger that does not let go of it keeps
/// that from its pidfd, and from whoever waits for it.
pub fn is_over(pid: i32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| match fs::read(thread.path().join("stat")) {
        Ok(line) => letter(&line).map(state_of) == Some(State::Ended),
        Err(_) => true,
    })
}

/// How much processor time its first thread has had.
///
/// # Errors
/// As [`state`].
pub fn ran(pid: i32) -> io::Result<Duration> {
    had(&fs::read_to_string(format!("/proc/{pid}/schedstat"))?)
}

fn had(told: &str) -> io::Result<Duration> {
    let nanoseconds = told.split_ascii_whitespace().next().and_then(|first| first.parse().ok());
    nanoseconds.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// How much processor time the threads have had that a process has now.
///
/// # Errors
/// As [`state`]; where the kernel does not count it.
pub fn computed(pid: i32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        sum += had(&fs::read_to_string(thread?.path().join("schedstat"))?)?;
    }
    Ok(sum)
}

/// Behind the name, which the process chooses as it likes.
fn letter(line: &[u8]) -> Option<u8> {
    let name_end = line.iter().rposition(|&byte| byte == b')')?;
    line.get(name_end + 2).copied()
}

fn state_of(letter: u8) -> State {
    match letter {
        b'R' => State::Runs,
        b'T' | b't' => State::Stopped,
        b'D' => State::WaitsDeeply,
        b'Z' | b'X' => State::Ended,
        _ => State::Sleeps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pidfd;
    use rustix::process::{Pid, Signal, kill_process};

    #[test]
    fn a_name_cannot_forge_the_state() {
        assert_eq!(letter(b"7 (a) T (b) R 1 2").map(state_of), Some(State::Runs));
    }

    #[test]
    fn a_stopped_process_is_told_from_one_that_runs() {
        let own = std::process::id().cast_signed();
        assert!(ran(own).is_ok() && computed(own).unwrap() >= ran(own).unwrap() / 2);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let wait = |wanted| {
            let deadline = std::time::Instant::now() + Duration::from_secs(5);
            while state(pid).unwrap() != wanted {
                assert!(std::time::Instant::now() < deadline);
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        wait(State::Sleeps);
        kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
        wait(State::Stopped);
        pidfd::open(pid).unwrap().kill().unwrap();
        wait(State::Ended);
        assert!(is_over(pid) && !is_over(own));
        child.wait().unwrap();
    }
}
