//! Agent or guard stall or die: nobody waits for long, and what can still be denied is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use agent::guard::client::{Event, Level, Meeting};
use rustix::process::Signal;

use crate::arena::{Arena, EPERM, Kind, PATIENCE, SETTLED, deny, digests, run};
use crate::processes::{Child, TIMER, was_killed};

/// What starting a process may take on a busy machine.
const SLACK: Duration = Duration::from_millis(300);

fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (act(), start.elapsed())
}

#[test]
fn without_its_agent_the_guard_denies_what_it_knows() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let known = arena.program("known", "bad");
    let denied = digests(&known);
    // The same content, but nobody has hashed this copy.
    let unknown = arena.program("unknown", "bad");
    sleep(SETTLED);
    let _guard = Child::guard(arena.data_dir(), arena.ground());
    let mut agent = Child::agent(arena.data_dir(), &denied.sha256.to_string());
    assert_eq!(run(&known), Err(EPERM));

    agent.signal(Signal::STOP);
    assert_eq!(run(&known), Err(EPERM), "the agent stalls");
    let (outcome, took) = timed(|| run(&unknown));
    assert_eq!(outcome, Ok(0));
    assert!(took >= TIMER && took < TIMER + SLACK, "{took:?}");

    assert!(was_killed(agent.kill()));
    assert_eq!(run(&known), Err(EPERM), "the agent is dead");
    let (outcome, took) = timed(|| run(&unknown));
    assert_eq!(outcome, Ok(0));
    assert!(took >= TIMER && took < TIMER + SLACK, "{took:?}");

    // What could not be hashed then is hashed by the next agent.
    let _agent = Child::agent(arena.data_dir(), &denied.sha256.to_string());
    let deadline = Instant::now() + PATIENCE;
    while run(&unknown) != Err(EPERM) {
        assert!(Instant::now() < deadline);
    }
}

/// So long after its agent is gone, a guard that fails closed permits again.
const GRACE: Duration = Duration::from_secs(2);

#[test]
fn told_to_fail_closed_it_denies_what_could_not_be_judged_but_not_for_ever() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    if Path::new("/run/nologin").exists() {
        eprintln!("not run: nobody may log in here");
        return;
    }
    const EACH: usize = 4;
    let known = arena.program("known", "known");
    let denied = digests(&arena.program("bad", "bad"));
    let fresh = |name: &str| -> Vec<PathBuf> {
        (0..EACH).map(|n| format!("{name}-{n}")).map(|name| arena.program(&name, &name)).collect()
    };
    let (stalls, dead, gone) = (fresh("stalls"), fresh("dead"), fresh("gone"));
    let count = |files: &[PathBuf], told: Result<i32, i32>| {
        let outcomes = files.iter().map(|file| timed(|| run(file)));
        outcomes
            .filter(|(outcome, took)| {
                assert!(*took < TIMER + SLACK, "{took:?}");
                *outcome == told
            })
            .count()
    };
    sleep(SETTLED);
    let guard = Child::guard_failing_closed(arena.data_dir(), arena.ground());
    let mut agent = Child::agent(arena.data_dir(), &denied.sha256.to_string());
    assert_eq!(run(&known), Ok(0));

    agent.signal(Signal::STOP);
    assert_eq!(count(&stalls, Err(EPERM)), EACH, "nobody says what they are");
    assert_eq!(run(&known), Ok(0), "what is known needs no agent");
    agent.signal(Signal::CONT);
    let (deadline, mut again) = (Instant::now() + PATIENCE, 0);
    while let late @ 1.. = EACH - count(&stalls, Ok(0)) {
        again += late;
        assert!(Instant::now() < deadline, "it is judged when the agent goes on");
    }

    assert!(was_killed(agent.kill()));
    // Two of them fit into the time.
    assert_eq!(count(&dead[..2], Err(EPERM)), 2, "the agent may come back");
    sleep(GRACE);
    assert_eq!(count(&gone, Ok(0)), EACH, "it does not: whoever is to mend that must run programs");

    // The next agent brings it back; the guard has counted each time that it could not judge.
    let guarded = arena.guarded_by(guard);
    let counters = guarded.counters();
    assert_eq!((counters.timed_out, counters.denied), ((EACH + again + 2 + EACH) as u64, 0));
}

#[test]
fn what_ran_because_the_timer_won_is_stopped() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let bad = arena.copy("/bin/sleep", "bad", "bad");
    let _guard = Child::guard(arena.data_dir(), arena.ground());
    let agent = Child::agent(arena.data_dir(), &digests(&bad).sha256.to_string());
    agent.signal(Signal::STOP);
    let mut sleeper = Command::new(&bad).arg("60").stdin(Stdio::null()).spawn().unwrap();
    sleep(Duration::from_millis(50));
    assert!(sleeper.try_wait().unwrap().is_none(), "the timer lets it run");
    agent.signal(Signal::CONT);
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = sleeper.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it still runs");
        sleep(Duration::from_millis(5));
    };
    assert!(was_killed(status));
}

#[test]
fn a_late_denial_is_reported_as_such() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    // Nobody hashes 100 MB in the timer's time with this build, and if so, it is denied in time.
    let bad = arena.copy("/bin/sleep", "bad", &"x".repeat(100 << 20));
    let guarded = arena.guarded();
    guarded.adopt([deny(9, &digests(&bad))]);
    let outcome = Command::new(&bad).arg("60").stdin(Stdio::null()).status();
    let late = guarded.event(|event| match event {
        Event::Met(Meeting { path, late, spared: false, .. }) => {
            assert_eq!(path, bad);
            Some(late)
        }
        _ => None,
    });
    match outcome {
        Ok(status) => assert!(late && was_killed(status)),
        Err(error) => assert!(!late && error.raw_os_error() == Some(EPERM)),
    }
    let counters =
        guarded.status(|status| status.counters.denied + status.counters.denied_late == 1).counters;
    assert_eq!(counters.denied_late, u64::from(late));
    assert_eq!(counters.timed_out, u64::from(late));
}

#[test]
fn without_a_guard_everything_runs_and_the_next_one_denies_again() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let bad = arena.program("bad", "bad");
    sleep(SETTLED);
    let mut guarded = arena.guarded();
    guarded.adopt([deny(1, &digests(&bad))]);
    assert_eq!(run(&bad), Err(EPERM));
    assert!(was_killed(guarded.process.kill()));
    assert_eq!(run(&bad), Ok(0));
    guarded.event(|event| matches!(event, Event::Lost).then_some(()));
    assert_eq!(guarded.client.status().level, Level::Absent);

    guarded.process = Child::guard(arena.data_dir(), arena.ground());
    guarded.event(|event| matches!(event, Event::Ready).then_some(()));
    assert_eq!(run(&bad), Err(EPERM));
    assert_eq!(guarded.client.status().level, Level::Deny);
}

#[test]
fn those_who_wait_when_the_guard_dies_go_on() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let file = arena.program("file", "file");
    let mut guard = Child::guard(arena.data_dir(), arena.ground());
    let agent = Child::agent(arena.data_dir(), &digests(&file).sha256.to_string());
    agent.signal(Signal::STOP);
    let opener = std::thread::spawn(move || timed(|| run(&file)));
    sleep(Duration::from_millis(50));
    guard.kill();
    let (outcome, took) = opener.join().unwrap();
    assert_eq!(outcome, Ok(0));
    assert!(took < TIMER + SLACK, "{took:?}");
}

#[test]
fn told_to_end_it_still_judges_those_who_wait() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let bad = arena.program("bad", "bad");
    let mut guard = Child::guard(arena.data_dir(), arena.ground());
    let agent = Child::agent(arena.data_dir(), &digests(&bad).sha256.to_string());
    agent.signal(Signal::STOP);
    let file = bad.clone();
    let opener = std::thread::spawn(move || timed(|| run(&file)));
    sleep(Duration::from_millis(50));
    guard.signal(Signal::TERM);
    sleep(Duration::from_millis(20));
    agent.signal(Signal::CONT);
    let (outcome, took) = opener.join().unwrap();
    assert!(outcome == Err(EPERM) || took >= TIMER, "{outcome:?} after {took:?}");
    assert_eq!(guard.ended().code(), Some(0));
    assert_eq!(run(&bad), Ok(0), "and asks about nothing more");
}

#[test]
fn told_to_end_it_ends_well_and_nothing_is_denied() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let bad = arena.program("bad", "bad");
    let mut guarded = arena.guarded();
    guarded.adopt([deny(1, &digests(&bad))]);
    assert_eq!(run(&bad), Err(EPERM));
    guarded.process.signal(Signal::TERM);
    assert_eq!(guarded.process.ended().code(), Some(0));
    assert_eq!(run(&bad), Ok(0));
}
