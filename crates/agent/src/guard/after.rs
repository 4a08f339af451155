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
/// A writer is kept waiting no longer, whatever has become of the exec: anybody can start one that fails.
const LONGEST: Duration = Duration::from_millis(200);
/// For so long an exec that the timer has permitted may need to begin, until its process is stopped for it. What then
/// runs otherwise, as a script does, or elsewhere, as children do, the agent looks for.
const BEGINNING: Duration = Duration::from_secs(1);
/// Files whose time comes within this are looked at together.
const TOGETHER: Duration = Duration::from_millis(1);
/// Room for all execs of several steps on a busy machine.
const ROOM: usize = 4096;

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
    /// It was let run by the timer, and must not: it is stopped as soon as it runs that file.
    Stops { file: Stat, process: PidFd, judged: Instant },
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
    /// When it was let run before this was known, in clock ticks since boot; 0 when it was not.
    pub(super) ran_at: u64,
}

/// Where what was done is told.
pub(super) struct Books<'g> {
    pub(super) outbox: &'g Outbox<'g>,
    pub(super) recent: &'g Recent,
    pub(super) costs: &'g Costs,
}

/// The way to the thread.
pub(super) struct Way(Sender<Task>);

impl Way {
    /// Passes a task on. When too many are on the way, it is given back, rather than that anybody waits. What is to be
    /// stopped always finds room: there are no more of them than openers that wait.
    ///
    /// # Errors
    /// The task.
    #[expect(clippy::result_large_err, reason = "nothing is allocated on this way")]
    pub(super) fn take(&self, task: Task) -> Result<(), Task> {
        let is_urgent = matches!(task.then, Then::Stops { .. });
        if self.0.len() >= ROOM && !is_urgent {
            return Err(task);
        }
        self.0.send(task).map_err(|refused| refused.0)
    }
}

/// The way to the thread, and its end there.
pub(super) fn way() -> (Way, Receiver<Task>) {
    let (to, tasks) = crossbeam_channel::unbounded();
    (Way(to), tasks)
}

/// A task whose file is kept.
struct Held {
    due: Instant,
    task: Task,
    /// What the process ran when it was looked at first.
    before: Option<(u64, u64)>,
}

/// Works until the other end is gone, and keeps no more than `most` files meanwhile.
pub(super) fn run(tasks: &Receiver<Task>, most: usize, books: &Books<'_>) {
    // In the order in which they are to be looked at.
    let mut held: VecDeque<Held> = VecDeque::new();
    loop {
        if held.is_empty() {
            let Ok(task) = tasks.recv() else { return };
            take(task, &mut held, books);
        }
        tasks.try_iter().for_each(|task| take(task, &mut held, books));
        let now = Instant::now();
        let due = held.front().map_or(now, |front| front.due);
        if due > now && held.len() < most {
            std::thread::sleep((due - now).max(TOGETHER));
        } else if let Some(mut front) = held.pop_front()
            && front.is_open(now)
            && held.len() < most
        {
            held.push_back(Held { due: now + STEP, ..front });
        }
    }
}

/// Does what need not wait, and keeps the file if there is more to do.
fn take(task: Task, held: &mut VecDeque<Held>, books: &Books<'_>) {
    if let Some(meeting) = &task.meeting {
        books.outbox.put(report(&task, meeting));
    }
    books.costs.count(task.pid, task.given.waited);
    books.recent.keep(task.pid, task.given);
    let now = Instant::now();
    let due = match task.then {
        Then::Runs { answered, .. } => answered + STEP,
        Then::Stops { .. } => {
            // Nobody reads it any more. It fails only when the lease has ended already.
            let _ = sys::lease::release(task.file.as_fd());
            now
        }
        Then::Nothing => return,
    };
    let mut taken = Held { due, task, before: None };
    if due > now || taken.is_open(now) {
        held.push_back(taken);
    }
}

impl Held {
    /// Does what is due. Whether there is more to do later.
    fn is_open(&mut self, now: Instant) -> bool {
        match &self.task.then {
            Then::Runs { file, answered } => {
                now < *answered + LONGEST && has_yet_to_run(self.task.pid, file, &mut self.before)
            }
            Then::Stops { file, process, judged } => {
                now < *judged + BEGINNING && !stop(process, self.task.pid, file)
            }
            Then::Nothing => false,
        }
    }
}

/// Whether an exec may not yet have shut writers out: the process runs what it ran `before`. What runs a script is its
/// interpreter, so that any other program will do.
fn has_yet_to_run(pid: i32, file: &Stat, before: &mut Option<(u64, u64)>) -> bool {
    match program(pid) {
        Ok(program) => program != name(file) && *before.get_or_insert(program) == program,
        // It has ended.
        Err(Errno::NOENT | Errno::SRCH) => false,
        // What it runs now lies where we may not look.
        Err(_) => true,
    }
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
        ran_at: meeting.ran_at,
    }
}

/// Ends the process if the file is what it runs. Whether nothing is left to do.
fn stop(process: &PidFd, pid: i32, file: &Stat) -> bool {
    // The id is still this process's own if it has not ended by the time its program was looked at.
    let runs_it = program(pid) == Ok(name(file));
    if process.has_ended() {
        return true;
    }
    // It fails only when the process has ended in this moment.
    runs_it && process.kill().is_ok()
}

/// The program that a process runs, as device and inode. Asks no filesystem that could keep us waiting: by now
/// the process may run anything.
fn program(pid: i32) -> Result<(u64, u64), Errno> {
    let of = |directory: &str| {
        let path = format!("{directory}/exe");
        let program = rustix::fs::statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
        Ok((rustix::fs::makedev(program.stx_dev_major, program.stx_dev_minor), program.stx_ino))
    };
    let own = format!("/proc/{pid}");
    match of(&own) {
        // The thread it began with may have ended before the others.
        Err(Errno::NOENT) => std::fs::read_dir(format!("{own}/task"))
            .into_iter()
            .flatten()
            .find_map(|task| of(task.ok()?.path().to_str()?).ok())
            .ok_or(Errno::NOENT),
        outcome => outcome,
    }
}

/// Whether a process runs this file.
pub(super) fn runs(pid: i32, file: &Stat) -> bool {
    program(pid) == Ok(name(file))
}

fn name(file: &Stat) -> (u64, u64) {
    (file.device, file.inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::identity::Identity;

    #[test]
    fn only_a_process_that_runs_the_file_is_stopped() {
        let program = std::fs::canonicalize("/bin/sleep").unwrap();
        let meant = Identity::of(std::fs::File::open(&program).unwrap().as_fd()).unwrap();
        let other = Stat { inode: meant.inode + 1, ..meant };
        let mut child = std::process::Command::new(&program).arg("60").spawn().unwrap();
        let pid = child.id().cast_signed();
        let process = sys::pidfd::open(pid).unwrap();
        assert!(!stop(&process, pid, &other));
        assert!(!process.wait_ended(Duration::from_millis(50)));
        assert!(stop(&process, pid, &meant));
        assert!(process.wait_ended(Duration::from_secs(5)));
        assert!(stop(&process, pid, &other), "it has ended");
        child.wait().unwrap();
    }

    #[test]
    fn an_exec_is_over_when_another_program_runs() {
        let stat = |path: &str| Identity::of(std::fs::File::open(path).unwrap().as_fd()).unwrap();
        let (file, this) = (stat("/bin/sh"), std::process::id().cast_signed());
        let mut before = None;
        assert!(has_yet_to_run(this, &file, &mut before), "it still runs what it ran before");
        assert!(has_yet_to_run(this, &file, &mut before));
        assert!(!has_yet_to_run(this, &file, &mut Some((0, 0))), "an interpreter runs");
        assert!(!has_yet_to_run(this, &stat("/proc/self/exe"), &mut None), "it runs the file");
        assert!(!has_yet_to_run(0, &file, &mut None), "it has ended, or nobody knows it");
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_is_known_by_the_others() {
        let script = "import ctypes,platform,threading,time
threading.Thread(target=lambda: time.sleep(60)).start()
print(flush=True)
ctypes.CDLL(None).syscall({'x86_64': 60}.get(platform.machine(), 93), 0)";
        let python = std::process::Command::new("python3")
            .args(["-c", script])
            .stdout(std::process::Stdio::piped())
            .spawn();
        let Ok(mut python) = python else {
            eprintln!("not run: no python3 here");
            return;
        };
        std::io::Read::read_exact(python.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let pid = python.id().cast_signed();
        let is_over = || sys::scheduling::is_over(pid);
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::fs::metadata(format!("/proc/{pid}/exe")).is_ok() {
            assert!(Instant::now() < deadline, "the first thread goes on: {}", is_over());
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(program(pid).is_ok());
        python.kill().unwrap();
        python.wait().unwrap();
        assert_eq!(program(pid), Err(Errno::NOENT));
    }
}
