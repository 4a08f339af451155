//! Ends processes, again and again until a look at all of them finds none to end.

use std::collections::HashMap;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::io::Errno;
use sys::pidfd::PidFd;

use super::look::{Depth, Look, Piece};

/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is waited for before the next look: the others die by themselves meanwhile.
const MOMENT: Duration = Duration::from_millis(20);
/// How long new ones may go on being started.
const LONGEST: Duration = Duration::from_secs(20);

/// What came of it. With each process stands what its finder said of it.
#[derive(Debug)]
pub(crate) struct Hunted<T> {
    /// They ended.
    pub(crate) ended: Vec<(i32, T)>,
    /// They may still be there, and why.
    pub(crate) left: Vec<(i32, T, String)>,
    /// A look at all processes found none that was to be ended and was not among `left`.
    pub(crate) is_complete: bool,
}

/// A process that was told to end.
struct Told<T> {
    pid: i32,
    process: PidFd,
    what: T,
}

/// Ends all processes of which `meant` says for what, each only when it still runs that once nobody else can get its
/// number.
///
/// The first round looks at programs only; `begins` is called before each. A round that finds nobody ends the hunt,
/// unless there were several before it that found somebody: who forks fast enough may be missed once.
///
/// It runs before ordinary threads: on a busy machine those who are to end would do more meanwhile.
pub(crate) fn hunt<T: Send>(
    look: &Look,
    begins: &(dyn Fn() + Sync),
    meant: &(dyn Fn(i32, Depth) -> Option<(Piece, T)> + Sync),
) -> io::Result<Hunted<T>> {
    let in_a_hurry = || {
        sys::process::prefer_speed();
        rounds(look, begins, meant)
    };
    thread::scope(|scope| scope.spawn(in_a_hurry).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn rounds<T: Send>(
    look: &Look,
    begins: &(dyn Fn() + Sync),
    meant: &(dyn Fn(i32, Depth) -> Option<(Piece, T)> + Sync),
) -> io::Result<Hunted<T>> {
    let deadline = Instant::now() + LONGEST;
    let mut hunted = Hunted { ended: Vec::new(), left: Vec::new(), is_complete: false };
    let (mut busy, mut quiet) = (0, 0);
    let mut depth = Depth::Programs;
    // Waited for at the end.
    let mut slow: Vec<Told<T>> = Vec::new();
    while quiet < if busy > 1 { 2 } else { 1 } && Instant::now() < deadline {
        begins();
        look.look_again();
        let round = round(look, depth, meant, &hunted, &slow)?;
        if round.told.is_empty() && round.failed.is_empty() && !round.slipped {
            quiet += usize::from(depth == Depth::Everything);
        } else {
            (busy, quiet) = (busy + 1, 0);
        }
        depth = Depth::Everything;
        hunted.left.extend(round.failed);
        let moment = Instant::now() + MOMENT;
        for told in round.told {
            if told.process.wait_ended(moment.saturating_duration_since(Instant::now())) {
                hunted.ended.push((told.pid, told.what));
            } else {
                slow.push(told);
            }
        }
    }
    hunted.is_complete = quiet > 0;
    let deadline = Instant::now() + PATIENCE;
    for Told { pid, process, what } in slow {
        if process.wait_ended(deadline.saturating_duration_since(Instant::now())) {
            hunted.ended.push((pid, what));
        } else {
            hunted.left.push((pid, what, "it was killed, but does not end".to_owned()));
        }
    }
    Ok(hunted)
}

struct Round<T> {
    told: Vec<Told<T>>,
    failed: Vec<(i32, T, String)>,
    /// One was found, but not any more when it was to be ended: it may have left another in its place.
    slipped: bool,
}

fn round<T: Send>(
    look: &Look,
    depth: Depth,
    meant: &(dyn Fn(i32, Depth) -> Option<(Piece, T)> + Sync),
    hunted: &Hunted<T>,
    slow: &[Told<T>],
) -> io::Result<Round<T>> {
    // Those that were told to end and have not yet. An id in it is not anybody else's before it has ended.
    let dying: HashMap<i32, &PidFd> = slow.iter().map(|told| (told.pid, &told.process)).collect();
    let given_up: Vec<i32> = hunted.left.iter().map(|(pid, ..)| *pid).collect();
    let found = Mutex::new(Round { told: Vec::new(), failed: Vec::new(), slipped: false });
    look.processes.each(&|pid| {
        let is_dying = || dying.get(&pid).is_some_and(|process| !process.has_ended());
        if given_up.contains(&pid) {
            return;
        }
        let Some((piece, what)) = meant(pid, depth).filter(|_| !is_dying()) else { return };
        match end(pid, || look.still_runs(&piece)) {
            Ok(Some(process)) => found.lock().told.push(Told { pid, process, what }),
            Ok(None) => found.lock().slipped = true,
            Err(error) => found.lock().failed.push((pid, what, format!("it can't be stopped: {error}"))),
        }
    })?;
    Ok(found.into_inner())
}

/// Takes hold of the process before looking once more, so that no other can have got its number.
fn end(pid: i32, is_meant: impl FnOnce() -> bool) -> io::Result<Option<PidFd>> {
    let has_ended = |error: &io::Error| Errno::from_io_error(error) == Some(Errno::SRCH);
    let process = match sys::pidfd::open(pid) {
        Err(error) if has_ended(&error) => return Ok(None),
        outcome => outcome?,
    };
    if !is_meant() {
        return Ok(None);
    }
    match process.kill() {
        Err(error) if has_ended(&error) => Ok(None),
        outcome => outcome.map(|()| Some(process)),
    }
}
