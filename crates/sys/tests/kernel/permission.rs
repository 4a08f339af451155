//! Execs that are asked about.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::arena::{Arena, PATIENCE, asked, run, run_asked};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::fanotify::EventBuffer;
use sys::fanotify::permission::{About, Answer, PermissionGroup, marked_by};
use sys::lease::{self, Lease};

/// Answers the next `count` questions; returns what was asked. A panic or the end of patience closes the
/// group, so that nobody is left waiting.
fn answer_next(
    group: PermissionGroup,
    count: usize,
    answer: Answer,
) -> JoinHandle<(PermissionGroup, Vec<(String, i32)>)> {
    std::thread::spawn(move || {
        let mut buffer = EventBuffer::default();
        let mut asked = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while asked.len() < count && wait(&group, deadline) {
            for question in group.read(&mut buffer).unwrap() {
                group.answer(question.file.as_fd(), answer).unwrap();
                let path = sys::place::path_of(question.file.as_fd()).unwrap();
                asked.push((path.file_name().unwrap().to_str().unwrap().to_owned(), question.pid));
            }
        }
        (group, asked)
    })
}

fn wait(group: &PermissionGroup, deadline: Instant) -> bool {
    let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).unwrap();
    poll(&mut [PollFd::new(group, PollFlags::IN)], Some(&left)).unwrap() > 0
}

fn guarded(arena: &Arena) -> PermissionGroup {
    let group = PermissionGroup::new(About::Execs).unwrap();
    group.mark_filesystem(arena.root().as_fd()).unwrap();
    group
}

fn run_answered(arena: &Arena, program: &Path, answer: Answer) -> io::Result<()> {
    let group = guarded(arena);
    let fd = group.as_fd().as_raw_fd();
    let answerer = answer_next(group, 1, answer);
    let outcome = run_asked(program, fd);
    let (group, asked) = answerer.join().unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(Some(asked[0].0.as_str()), program.file_name().unwrap().to_str());
    assert!(asked[0].1 > 0);
    assert_eq!(group.skipped(), 0);
    outcome
}

fn start(program: PathBuf, group: &PermissionGroup) -> JoinHandle<io::Result<()>> {
    let group = group.as_fd().as_raw_fd();
    std::thread::spawn(move || run_asked(&program, group))
}

#[test]
fn permitted_it_runs() {
    let Some(arena) = Arena::enter() else { return };
    run_answered(&arena, &arena.program("tool"), Answer::Permit).unwrap();
}

#[test]
fn what_runs_is_shut_to_writers() {
    let Some(arena) = Arena::enter() else { return };
    let program = arena.copy("/bin/sleep", "sleep");
    let group = guarded(&arena);
    let fd = group.as_fd().as_raw_fd();
    let answerer = answer_next(group, 1, Answer::Permit);
    let mut child = asked(&program, fd).arg("60").spawn().unwrap();
    let (group, _) = answerer.join().unwrap();
    let written = File::options().write(true).open(&program).map(drop);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(group);
    // The content that was judged is the content that runs, only because of this.
    assert_eq!(written.unwrap_err().raw_os_error(), Some(libc::ETXTBSY));
}

#[test]
fn denied_it_does_not() {
    let Some(arena) = Arena::enter() else { return };
    let error = run_answered(&arena, &arena.program("tool"), Answer::Deny).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}

#[test]
fn busy_it_may_try_again() {
    let Some(arena) = Arena::enter() else { return };
    let can = PermissionGroup::new(About::Execs).unwrap().can_refuse_busy();
    let error = run_answered(&arena, &arena.program("tool"), Answer::Busy).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(if can { libc::ETXTBSY } else { libc::EPERM }));
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    assert_eq!(can, (parts.next(), parts.next()) >= (Some(6), Some(14)), "on {release}");
}

#[test]
fn nothing_queued_is_nothing_asked() {
    let Some(arena) = Arena::enter() else { return };
    let group = guarded(&arena);
    assert_eq!(group.read(&mut EventBuffer::new(0)).unwrap().count(), 0);
}

#[test]
fn an_answer_is_given_once() {
    let Some(arena) = Arena::enter() else { return };
    let group = guarded(&arena);
    let program = arena.program("tool");
    let runner = start(program, &group);
    assert!(wait(&group, Instant::now() + PATIENCE));
    let mut buffer = EventBuffer::default();
    let question = group.read(&mut buffer).unwrap().next().unwrap();
    group.answer(question.file.as_fd(), Answer::Permit).unwrap();
    let again = group.answer(question.file.as_fd(), Answer::Deny).unwrap_err();
    assert_eq!(again.raw_os_error(), Some(libc::ENOENT));
    runner.join().unwrap().unwrap();
}

#[test]
fn questions_not_taken_are_permitted_and_close_their_files() {
    let Some(arena) = Arena::enter() else { return };
    let group = guarded(&arena);
    let programs = ["a", "b", "c"].map(|name| arena.program(name));
    let runners = programs.map(|program| start(program, &group));
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = EventBuffer::default();
    while !runners.iter().all(JoinHandle::is_finished) && Instant::now() < deadline {
        let _ = poll(
            &mut [PollFd::new(&group, PollFlags::IN)],
            Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 }),
        );
        drop(group.read(&mut buffer).unwrap());
    }
    drop(group);
    for runner in runners {
        runner.join().unwrap().unwrap();
    }
    let this = std::process::id().cast_signed();
    let device = std::os::unix::fs::MetadataExt::dev(&arena.root().metadata().unwrap());
    assert!(sys::processes::open_files(this).all(|file| file.device != device));
}

#[test]
fn a_group_that_is_closed_permits() {
    let Some(arena) = Arena::enter() else { return };
    let group = guarded(&arena);
    let program = arena.program("tool");
    let runner = start(program, &group);
    assert!(wait(&group, Instant::now() + PATIENCE));
    let mut buffer = EventBuffer::default();
    let taken = group.read(&mut buffer).unwrap().next().unwrap();
    drop(group);
    runner.join().unwrap().unwrap();
    drop(taken);
}

#[test]
fn an_unmarked_filesystem_is_not_asked_about() {
    let Some(arena) = Arena::enter() else { return };
    let group = guarded(&arena);
    group.unmark_filesystem(arena.root().as_fd()).unwrap();
    run(&arena.program("tool")).unwrap();
    assert_eq!(group.read(&mut EventBuffer::default()).unwrap().count(), 0);
    let again = group.unmark_filesystem(arena.root().as_fd()).unwrap_err();
    assert_eq!(again.raw_os_error(), Some(libc::ENOENT));
}

#[test]
fn all_marks_are_told_and_removed_while_a_question_waits() {
    let Some(arena) = Arena::enter() else { return };
    let group = guarded(&arena);
    let device = std::os::unix::fs::MetadataExt::dev(&arena.root().metadata().unwrap());
    let by_this_process = || marked_by(std::process::id().cast_signed()).unwrap().contains(&device);
    assert!(by_this_process());
    let runner = start(arena.program("waits"), &group);
    assert!(wait(&group, Instant::now() + PATIENCE));
    group.unmark_all().unwrap();
    assert!(!by_this_process() && group.marked().unwrap().is_empty());
    run(&arena.program("tool")).unwrap();
    // Who had asked before still waits, and is told.
    let mut buffer = EventBuffer::default();
    let question = group.read(&mut buffer).unwrap().next().unwrap();
    group.answer(question.file.as_fd(), Answer::Deny).unwrap();
    assert_eq!(runner.join().unwrap().unwrap_err().raw_os_error(), Some(libc::EPERM));
}

/// The walk of the guard: the worker holds a duplicate that came over a socket, leases it and hashes; the
/// guard answers by the descriptor it kept.
#[test]
fn a_question_is_leased_by_a_worker_and_answered_by_the_guard() {
    let Some(arena) = Arena::enter() else { return };
    lease::ignore_break_signals().unwrap();
    let group = guarded(&arena);
    let program = arena.program("tool");
    let runner = start(program.clone(), &group);
    assert!(wait(&group, Instant::now() + PATIENCE));
    let mut buffer = EventBuffer::default();
    let question = group.read(&mut buffer).unwrap().next().unwrap();

    let (guard, worker) = sys::socket::pair(sys::socket::Kind::Packets).unwrap();
    sys::socket::send(guard.as_fd(), b"hash", &[question.file.as_fd()], true).unwrap();
    let mut slots = [None];
    sys::socket::receive(worker.as_fd(), &mut [0; 16], &mut slots).unwrap();
    let received = slots[0].take().unwrap();
    assert_ne!(received.as_raw_fd(), question.file.as_raw_fd());
    assert_eq!(lease::take_read(received.as_fd()).unwrap(), Lease::Held);
    let bytes = sys::socket::read_all(received.as_fd()).unwrap();
    assert_eq!(bytes.len() as u64, program.metadata().unwrap().len());
    lease::release(received.as_fd()).unwrap();

    group.answer(question.file.as_fd(), Answer::Permit).unwrap();
    runner.join().unwrap().unwrap();
}
