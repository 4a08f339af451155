//! What is done once the kernel has its answer, by a thread that nobody waits for.
//!
//! The lease on a file that was permitted is held until exec has shut writers out by itself: between our answer
//! and that moment its thread may lose the processor for long. Paths are looked up; a process that was let run
//! too early is stopped. Closing a file can mean work on a disk (it may have been the last name of a removed
//! file), so that is done here too.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use model::rule::Effect;
use model::{Names, RuleId};
use rustix::fs::{AtFlags, CWD, StatxFlags};
use rustix::io::Errno;
use sys::identity::Stat;
use sys::pidfd::PidFd;
use wire::link::{things, v1};

use super::costs::Costs;
use super::outbox::Outbox;
use super::recent::{Given, Recent};

/// How long exec usually needs from our answer to shutting writers out, with something to spare. Then one looks; few
/// leases of one file are left meanwhile, and each open of it walks their list.
const STEP: Duration = Duration::from_millis(1);
/// What runs a script is its interpreter, so that nothing tells when the exec is past its check: this long is enough
/// on all but the busiest machines.
const SCRIPT: Duration = Duration::from_millis(5);
/// A writer is kept waiting no longer, whatever has become of the exec: anybody can start one that fails.
const LONGEST: Duration = Duration::from_millis(200);
/// Files whose time comes within this are looked at together.
const TOGETHER: Duration = Duration::from_millis(1);
/// Room for all execs of several steps on a busy machine.
const ROOM: usize = 2048;

/// What is left to do about one opener. Its lease ends with its file.
pub(super) struct Task {
    pub(super) file: OwnedFd,
    pub(super) pid: i32,
    pub(super) then: Then,
    /// What is to be reported.
    pub(super) meeting: Option<Meeting>,
    /// What it was told.
    pub(super) given: Given,
}

/// What has become of the opener.
pub(super) enum Then {
    /// It was permitted: the lease is kept until it runs the file.
    Runs { file: Stat, answered: Instant },
    /// It was let run by the timer, and must not: it is stopped, if it still runs that file.
    Stops { file: Stat, process: PidFd },
    /// It does not run.
    Nothing,
}

/// A file met a rule; nobody has looked for its path yet.
#[derive(Clone, Copy)]
pub(super) struct Meeting {
    pub(super) names: Names,
    pub(super) size: u64,
    pub(super) rule: RuleId,
    pub(super) effect: Effect,
    pub(super) user: u32,
    pub(super) late: bool,
    pub(super) spared: bool,
    pub(super) bypassed: bool,
}

/// Where what was done is told.
pub(super) struct Books<'g> {
    pub(super) outbox: &'g Outbox<'g>,
    pub(super) recent: &'g Recent,
    pub(super) costs: &'g Costs,
}

/// The way to the thread. When it is full, files are closed on the spot and reports are lost, rather than that
/// anybody waits.
pub(super) fn channel() -> (Sender<Task>, Receiver<Task>) {
    crossbeam_channel::bounded(ROOM)
}

/// Works until the other end is gone, and keeps no more than `most` files meanwhile.
pub(super) fn run(tasks: &Receiver<Task>, most: usize, books: &Books<'_>) {
    // In the order in which they are to be looked at.
    let mut held: VecDeque<(Instant, Task)> = VecDeque::new();
    loop {
        if held.is_empty() {
            let Ok(task) = tasks.recv() else { return };
            take(task, &mut held, books);
        }
        tasks.try_iter().for_each(|task| take(task, &mut held, books));
        let now = Instant::now();
        let due = held.front().map_or(now, |(due, _)| *due);
        if due > now && held.len() < most {
            std::thread::sleep((due - now).max(TOGETHER));
        } else if let Some((_, task)) = held.pop_front()
            && held.len() < most
            && needs_lease(&task, now)
        {
            held.push_back((now + STEP, task));
        }
    }
}

/// Does what need not wait, and keeps the file if its lease is still needed.
fn take(task: Task, held: &mut VecDeque<(Instant, Task)>, books: &Books<'_>) {
    if let Then::Stops { file, process } = &task.then {
        stop(process, task.pid, file);
    }
    if let Some(meeting) = &task.meeting {
        books.outbox.put(report(&task, meeting));
    }
    books.costs.count(task.pid, task.given.waited);
    books.recent.keep(task.pid, task.given);
    if let Then::Runs { answered, .. } = task.then {
        held.push_back((answered + STEP, task));
    }
}

/// Whether exec may not yet have shut writers out.
fn needs_lease(task: &Task, now: Instant) -> bool {
    let Then::Runs { file, answered } = &task.then else { return false };
    now < *answered + LONGEST
        && program(task.pid).is_ok_and(|program| program != name(file))
        && !(now >= *answered + SCRIPT && is_script(&task.file))
}

/// What an interpreter reads of a script it reads later, and nobody keeps writers from it then.
fn is_script(file: &OwnedFd) -> bool {
    let mut head = [0; 2];
    rustix::io::pread(file, &mut head, 0) == Ok(2) && &head == b"#!"
}

fn report(task: &Task, meeting: &Meeting) -> v1::Denial {
    v1::Denial {
        digests: Some((&meeting.names).into()),
        size: meeting.size,
        path: sys::place::path_of(task.file.as_fd()).map(|path| things::bytes_of(&path)).unwrap_or_default(),
        pid: task.pid,
        rule: meeting.rule.0,
        late: meeting.late,
        spared: meeting.spared,
        bypassed: meeting.bypassed,
        effect: meeting.effect.word().to_owned(),
        times: 1,
        user: meeting.user,
    }
}

/// Ends the process if the file is what it runs.
fn stop(process: &PidFd, pid: i32, file: &Stat) {
    // The id is still this process's own if it has not ended by the time its program was looked at.
    if program(pid) == Ok(name(file)) && !process.has_ended() {
        // It fails only when the process has ended in this moment.
        let _ = process.kill();
    }
}

/// The program that a process runs, as device and inode. Asks no filesystem that could keep us waiting: by now
/// the process may run anything.
fn program(pid: i32) -> Result<(u64, u64), Errno> {
    let path = format!("/proc/{pid}/exe");
    let program = rustix::fs::statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
    Ok((rustix::fs::makedev(program.stx_dev_major, program.stx_dev_minor), program.stx_ino))
}

fn name(file: &Stat) -> (u64, u64) {
    (file.device, file.inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::identity::Identity;

    fn task(file: OwnedFd, pid: i32, then: Then) -> Task {
        let given = Given {
            answer: sys::fanotify::permission::Answer::Permit,
            because: crate::guard::recent::Because::Failed,
            file: None,
            names: None,
            waited: Duration::ZERO,
            at: model::Time::default(),
        };
        Task { file, pid, then, meeting: None, given }
    }

    #[test]
    fn only_a_process_that_runs_the_file_is_stopped() {
        let program = std::fs::canonicalize("/bin/sleep").unwrap();
        let meant = Identity::of(std::fs::File::open(&program).unwrap().as_fd()).unwrap();
        let other = Stat { inode: meant.inode + 1, ..meant };
        let mut child = std::process::Command::new(&program).arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let process = sys::pidfd::open(pid).unwrap();
        stop(&process, pid, &other);
        assert!(!process.wait_ended(Duration::from_millis(50)));
        stop(&process, pid, &meant);
        assert!(process.wait_ended(Duration::from_secs(5)));
        child.wait().unwrap();
    }

    #[test]
    fn a_lease_is_kept_until_the_opener_runs_the_file_but_not_for_ever() {
        let open = |path: &str| OwnedFd::from(std::fs::File::open(path).unwrap());
        let answered = Instant::now();
        let needs = |path: &str, pid, after| {
            let file = open(path);
            let then = Then::Runs { file: Identity::of(file.as_fd()).unwrap(), answered };
            needs_lease(&task(file, pid, then), answered + after)
        };
        let this = std::process::id().cast_signed();
        assert!(needs("/bin/sh", this, STEP), "it still runs what it ran before");
        assert!(!needs("/bin/sh", this, LONGEST));
        assert!(!needs("/proc/self/exe", this, STEP), "it runs the file");
        assert!(!needs("/bin/sh", 0, STEP), "it has ended, or nobody knows it");
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(script.path(), "#!/bin/sh\n").unwrap();
        assert!(!needs(script.path().to_str().unwrap(), this, SCRIPT), "a script is read later");
    }
}
