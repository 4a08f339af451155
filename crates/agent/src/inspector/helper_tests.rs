//! The helper and who asks it. The helpers are this very test program, started again; each plays what it is told.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use model::facts::FileType;
use sha2::Digest;

use super::*;
use crate::inspector::child::{Answer, Broken, Helper, Patience, Running};
use crate::looking::Halt;

const PLAYS: &str = "QUELL_INSPECTOR_PLAYS";

/// Nobody waits for so long where it is not the point.
const LONG: Patience = Patience {
    soon: Duration::from_secs(120),
    processor: Duration::from_secs(60),
    late: Duration::from_secs(120),
};

/// No test of its own: a helper.
#[test]
fn helper_child() {
    let Some(part) = std::env::var_os(PLAYS) else { return };
    let part = part.into_string().unwrap();
    let socket = io::stdin().as_fd().try_clone_to_owned().unwrap();
    let parent: i32 = std::env::args().next_back().unwrap().parse().unwrap();
    if part == "unconfined: babbles" {
        let mut slots = [None];
        let _ = socket::receive(socket.as_fd(), &mut [0; REQUEST], &mut slots);
        let _ = socket::send(socket.as_fd(), &vec![0xff; 128 << 10], &[], false);
        std::thread::sleep(Duration::from_secs(60));
    }
    if part == "unconfined: lies" {
        let mut slots = [None];
        let _ = socket::receive(socket.as_fd(), &mut [0; REQUEST], &mut slots);
        let _ = socket::send(socket.as_fd(), &[0xff; 9], &[], false);
        std::thread::sleep(Duration::from_secs(60));
    }
    if part == "unconfined: is silent" {
        std::thread::sleep(Duration::from_secs(60));
    }
    if part == "unconfined: aborts" {
        std::process::abort();
    }
    if part == "cannot be confined" {
        std::process::exit(1);
    }
    confine(parent, socket.as_fd()).unwrap();
    let trust = Trust::default();
    serve(socket.as_fd(), |source, now| {
        let first = source.piece(0, 16)?;
        match first.as_slice() {
            b"loops for ever  " => loop {
                std::hint::spin_loop();
            },
            b"wants memory    " => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 1 << 20]);
                }
            }
            b"panics          " => panic!("by a file"),
            b"opens a file    " => {
                let refused =
                    File::open("/etc/passwd").and(File::create("/tmp/quell-inspected")).unwrap_err();
                Ok(Inspection {
                    publisher: Some(refused.to_string()),
                    ..inspect::inspect(source, &trust, now)?
                })
            }
            b"opens a socket  " => {
                let _ = std::net::UdpSocket::bind("127.0.0.1:0");
                unreachable!("it was let");
            }
            b"tells others    " => {
                let _ = socket::send(io::stderr().as_fd(), b"hello", &[], true);
                unreachable!("it was let");
            }
            b"starts a process" => {
                let _ = std::process::Command::new("/bin/true").status();
                unreachable!("it was let");
            }
            b"overflows       " => {
                Ok(Inspection { publisher: Some(deep(0).to_string()), ..Inspection::default() })
            }
            b"changes         " => {
                // Until it does, each block is read from the disk again.
                loop {
                    for at in 0..64 {
                        source.piece(at << 16, 1)?;
                    }
                }
            }
            _ => inspect::inspect(source, &trust, now),
        }
    });
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn deep(level: u64) -> u64 {
    let room = std::hint::black_box([level; 64]);
    deep(level + 1) + room[(level % 64) as usize]
}

fn helper(part: &str) -> Helper {
    let own = std::env::current_exe().unwrap();
    let test = "inspector::helper::tests::helper_child";
    let words = ["/usr/bin/env".into(), format!("{PLAYS}={part}").into(), own.into_os_string()];
    let more = [test, "--exact", "--nocapture", "--test-threads=1"].map(Into::into);
    // Of what it gets as the last argument the harness makes one more name of a test, which is nobody's.
    Helper(words.into_iter().chain(more).collect())
}

fn ask(running: &mut Running, file: &File, wanted: Sha256, patience: Patience) -> Result<Answer, Broken> {
    running.ask(file.as_fd(), wanted, Time::from_seconds(1_700_000_000), patience, &Halt::default())
}

/// A file whose beginning tells a helper what to do.
fn file(does: &str) -> (File, Sha256) {
    let mut bytes = does.as_bytes().to_vec();
    bytes.resize(16, b' ');
    bytes.resize(8192, 7);
    of(&bytes)
}

fn of(bytes: &[u8]) -> (File, Sha256) {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    (file, Sha256(sha2::Sha256::digest(bytes).into()))
}

#[test]
fn one_helper_inspects_many_files_and_goes_when_nobody_asks_any_more() {
    let mut running = Running::start(&helper("")).unwrap();
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    for _ in 0..3 {
        let (file, wanted) = of(&own[..1 << 20]);
        let Answer::Inspected(record) = ask(&mut running, &file, wanted, LONG).unwrap() else { panic!() };
        assert_eq!((record.facts.file_type, record.facts.size), (FileType::Elf, 1 << 20));
    }
    let (file, wanted) = file("panics");
    let Answer::Inspected(record) = ask(&mut running, &file, wanted, LONG).unwrap() else { panic!() };
    assert!(matches!(record.outcome, Outcome::Malformed(reason) if reason.contains("helper_tests.rs")));
    assert_eq!(record.facts.size, 8192);
    let (file, wanted) = of(b"#!/bin/sh\n");
    assert!(matches!(ask(&mut running, &file, wanted, LONG), Ok(Answer::Inspected(_))), "after a panic");
    assert!(running.end().is_none());
}

#[test]
fn the_helper_can_do_nothing_but_compute() {
    let mut running = Running::start(&helper("")).unwrap();
    let (opens, wanted) = file("opens a file");
    let Answer::Inspected(record) = ask(&mut running, &opens, wanted, LONG).unwrap() else { panic!() };
    assert!(record.publisher.unwrap().contains("not permitted"));
    for does in ["opens a socket", "tells others", "starts a process"] {
        let mut running = Running::start(&helper("")).unwrap();
        let (file, wanted) = file(does);
        let broken = ask(&mut running, &file, wanted, LONG);
        assert!(
            matches!(&broken, Err(Broken::Ended(Some(status)))
            if std::os::unix::process::ExitStatusExt::signal(status) == Some(31)),
            "{does}: {broken:?}"
        );
    }
    assert!(!std::path::Path::new("/tmp/quell-inspected").exists());
}

#[test]
fn what_a_file_does_to_the_helper_is_known_of_the_file() {
    use crate::inspector::answer::outcome_of;
    // Whose stack overflows aborts as well.
    for (does, expected) in [("wants memory", "too big"), ("overflows", "too big")] {
        let mut running = Running::start(&helper("")).unwrap();
        let (file, wanted) = file(does);
        let broken = ask(&mut running, &file, wanted, LONG);
        let Err(Broken::Ended(Some(status))) = broken else { panic!("{does}: {broken:?}") };
        assert_eq!(outcome_of(status).unwrap().word(), expected, "{does}: {status}");
    }
}

#[test]
fn a_file_that_takes_for_ever_ends_the_helper() {
    let mut running = Running::start(&helper("")).unwrap();
    let (file, wanted) = file("loops for ever");
    let patience =
        Patience { soon: Duration::from_millis(200), processor: Duration::from_millis(100), ..LONG };
    let broken = ask(&mut running, &file, wanted, patience);
    assert!(matches!(broken, Err(Broken::TimedOut)), "{broken:?}");
    assert!(running.end().is_none());

    // One that does not compute is not the file's fault.
    let mut running = Running::start(&helper("unconfined: is silent")).unwrap();
    let patience = Patience { soon: Duration::ZERO, late: Duration::ZERO, ..LONG };
    let broken = ask(&mut running, &file, wanted, patience);
    assert!(matches!(broken, Err(Broken::Starved)), "{broken:?}");
}

#[test]
fn what_a_helper_says_is_believed_only_if_it_makes_sense() {
    let (file, wanted) = file("");
    for part in ["unconfined: babbles", "unconfined: lies"] {
        let mut running = Running::start(&helper(part)).unwrap();
        let broken = ask(&mut running, &file, wanted, LONG);
        assert!(matches!(broken, Err(Broken::Nonsense)), "{part}: {broken:?}");
    }
    let mut running = Running::start(&helper("cannot be confined")).unwrap();
    let broken = ask(&mut running, &file, wanted, LONG);
    assert!(matches!(broken, Err(Broken::Gone | Broken::Ended(_))), "{broken:?}");
    assert!(Running::start(&Helper(Vec::new())).is_err());
}

#[test]
fn a_helper_that_is_killed_harms_nobody_and_another_one_goes_on() {
    let mut running = Running::start(&helper("")).unwrap();
    let (loops, wanted) = file("loops for ever");
    let pid = running.id();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        sys::pidfd::open(pid).unwrap().kill().unwrap();
    });
    let broken = ask(&mut running, &loops, wanted, LONG);
    assert!(matches!(&broken, Err(Broken::Ended(Some(_)))), "{broken:?}");
    killer.join().unwrap();
    assert!(matches!(ask(&mut running, &loops, wanted, LONG), Err(Broken::Gone)));
    let mut running = Running::start(&helper("")).unwrap();
    let (file, wanted) = file("");
    assert!(matches!(ask(&mut running, &file, wanted, LONG), Ok(Answer::Inspected(_))));
}

#[test]
fn what_ends_a_helper_at_once_is_no_files_doing() {
    let now = Time::from_seconds(1_700_000_000);
    for part in ["unconfined: aborts", "cannot be confined", "unconfined: lies"] {
        let mut running = Running::start(&helper(part)).unwrap();
        let tried = running.try_out(now, LONG, &Halt::default());
        assert!(tried.is_err(), "{part}");
    }
    let mut running = Running::start(&helper("")).unwrap();
    running.try_out(now, LONG, &Halt::default()).unwrap();
    let (wants, wanted) = file("wants memory");
    assert!(matches!(ask(&mut running, &wants, wanted, LONG), Err(Broken::Ended(Some(_)))));
}

#[test]
fn another_file_than_was_asked_for_is_noticed() {
    let mut running = Running::start(&helper("")).unwrap();
    let (file, _) = file("");
    assert_eq!(ask(&mut running, &file, Sha256([1; 32]), LONG).unwrap(), Answer::Changed);
}

#[test]
fn a_file_that_is_replaced_under_the_reader_is_noticed() {
    let mut running = Running::start(&helper("")).unwrap();
    let mut bytes = b"changes         ".to_vec();
    bytes.resize(4 << 20, 3);
    let (file, wanted) = of(&bytes);
    let writer = file.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        writer.write_all_at(&[9], 1 << 20).unwrap();
    });
    assert_eq!(ask(&mut running, &file, wanted, LONG).unwrap(), Answer::Changed);
    writing.join().unwrap();
}

#[test]
fn a_large_sparse_file_takes_no_memory() {
    let mut running = Running::start(&helper("")).unwrap();
    let (file, _) = of(b"#!/bin/sh\n");
    file.set_len(128 << 20).unwrap();
    // It is read to its end, and another one.
    assert_eq!(ask(&mut running, &file, Sha256([1; 32]), LONG).unwrap(), Answer::Changed);
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = line.trim().trim_end_matches(" kB").trim().parse().unwrap();
    assert!(peak < 64 << 10, "{peak} KiB, less than half of it");
}

#[test]
fn nobody_waits_for_the_helper_when_the_agent_stops() {
    let mut running = Running::start(&helper("")).unwrap();
    let (file, wanted) = file("loops for ever");
    let halt = Halt::default();
    halt.now();
    let now = Time::from_seconds(0);
    assert!(matches!(running.ask(file.as_fd(), wanted, now, LONG, &halt), Err(Broken::Stopped)));
}
