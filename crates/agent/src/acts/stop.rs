//! Every process that runs the file ends.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sys::pidfd::PidFd;

use super::recognize::{Recognizer, State};
use super::{Grounds, scripts};

/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the machine is looked over: a process may have started another between two looks.
const ROUNDS: u32 = 20;
const INIT: i32 = 1;

/// What was stopped, and what was not.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    pub(super) count: u32,
    /// Why a process that runs the file may still be there.
    pub(super) failures: BTreeSet<String>,
    /// From where the file was run: perhaps copies that nobody knew.
    pub(super) seen: BTreeSet<PathBuf>,
}

/// Stops until a whole look at all processes finds none.
pub(super) fn stop(grounds: &Grounds, recognizer: &mut Recognizer) -> Stopped {
    let mut stopped = Stopped::default();
    let mut never: HashSet<i32> = grounds.own_pids.iter().copied().collect();
    never.extend([INIT, std::process::id().cast_signed()]);
    for _ in 0..ROUNDS {
        let mut killed = Vec::new();
        for pid in sys::processes::all() {
            let Some(path) = runs(grounds, recognizer, pid) else { continue };
            if never.contains(&pid) {
                stopped.failures.insert(format!("process {pid} runs it, and is never stopped"));
                continue;
            }
            match kill(grounds, recognizer, pid) {
                Ok(Some(held)) => {
                    killed.push((pid, held));
                    stopped.seen.insert(path);
                }
                Ok(None) => {}
                Err(error) => {
                    stopped.failures.insert(format!("process {pid} can't be stopped: {error}"));
                }
            }
        }
        if killed.is_empty() {
            return stopped;
        }
        let deadline = Instant::now() + PATIENCE;
        for (pid, held) in killed {
            if held.wait_ended(deadline.saturating_duration_since(Instant::now())) {
                stopped.count += 1;
            } else {
                stopped.failures.insert(format!("process {pid} was killed, but does not end"));
                never.insert(pid);
            }
        }
    }
    stopped
        .failures
        .insert(format!("new processes that run it were still being started after {ROUNDS} rounds"));
    stopped
}

/// Takes hold of the process before looking once more, so that no other can have got its number.
fn kill(grounds: &Grounds, recognizer: &mut Recognizer, pid: i32) -> std::io::Result<Option<PidFd>> {
    let ended = |error: &std::io::Error| error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error());
    let held = match sys::pidfd::open(pid) {
        Err(error) if ended(&error) => return Ok(None),
        outcome => outcome?,
    };
    if runs(grounds, recognizer, pid).is_none() {
        return Ok(None);
    }
    match held.kill() {
        Err(error) if ended(&error) => Ok(None),
        outcome => outcome.map(|()| Some(held)),
    }
}

/// Which path the process runs the file from, if it does.
fn runs(grounds: &Grounds, recognizer: &mut Recognizer, pid: i32) -> Option<PathBuf> {
    let scripts = scripts::candidates(recognizer, pid);
    let mut on_guarded =
        program(pid).into_iter().chain(scripts).filter(|(_, state)| grounds.guards(state.device));
    on_guarded.find_map(|(path, state)| {
        let digests = recognizer.recognize(&path, state)?;
        let real = path.canonicalize().or_else(|_| path.read_link()).unwrap_or(path);
        (grounds.spared)(&real, &digests).is_none().then_some(real)
    })
}

/// The program that a process runs. Its first thread may have ended, and with it what /proc says of it.
fn program(pid: i32) -> Option<(PathBuf, State)> {
    let of = |path: PathBuf| State::of(&path).map(|state| (path, state));
    of(format!("/proc/{pid}/exe").into()).or_else(|| {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        threads.flatten().find_map(|thread| of(Path::new(&thread.path()).join("exe")))
    })
}
