//! Files that the kernel can't open for the guard: that opener is refused, and nobody else waits.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use crate::arena::{Arena, EPERM, Kind, deny, digests, run};
use crate::processes::Child;

/// How long anybody may be kept waiting, and what starting a process may take on a busy machine.
const BOUND: Duration = Duration::from_millis(250 + 1000);

/// Takes a write lease, says so, and takes no notice of those who wait for its end.
const HOLDER: &str = r#"
    $SIG{IO} = 'IGNORE';
    open(my $file, '+<', $ARGV[0]) or die "open: $!";
    my ($set_lease, $write_lock) = (1024, 1);
    fcntl($file, $set_lease, $write_lock) or die "lease: $!";
    $| = 1;
    print "held\n";
    <STDIN>;
"#;

/// Shuts down the ext4 filesystem of a directory, without writing anything back.
const SHUT_DOWN: &str = r#"
    sysopen(my $dir, $ARGV[0], 0) or die "open: $!";
    my ($shut_down, $without_log) = (0x8004587d, 2);
    ioctl($dir, $shut_down, pack('L', $without_log)) or die "shutdown: $!";
"#;

/// Somebody with a write lease, until this is dropped.
struct Holder(Process);

impl Holder {
    fn of(path: &Path) -> Self {
        let mut holder = Command::new("perl");
        holder.args(["-e", HOLDER]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program while nobody may be kept waiting.
fn run_at_once(program: &Path) -> Result<i32, i32> {
    let start = Instant::now();
    let outcome = run(program);
    assert!(start.elapsed() < BOUND, "{}: {:?}", program.display(), start.elapsed());
    outcome
}

#[test]
fn a_lease_that_is_never_given_up_keeps_nobody_waiting() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let (leased, other) = (arena.program("leased", "leased"), arena.program("other", "other"));
    let guarded = arena.guarded_by(Child::guard_at("fanotify", arena.data_dir(), arena.ground()));
    assert_eq!(run(&other), Ok(0));
    let holder = Holder::of(&leased);
    for _ in 0..3 {
        std::thread::scope(|threads| {
            let refused = threads.spawn(|| run_at_once(&leased));
            for _ in 0..20 {
                assert_eq!(run_at_once(&other), Ok(0));
            }
            assert_eq!(refused.join().unwrap(), Err(EPERM));
        });
    }
    drop(holder);
    assert_eq!(run_at_once(&leased), Ok(0));
    let counters = guarded.status(|status| status.counters.questions == 62).counters;
    assert_eq!((counters.timed_out, counters.busy), (0, 0));
    // Older kernels do not tell; those that do have told.
    if guarded.status(|_| true).refuses_busy {
        assert_eq!(counters.failed, 3);
    }
}

#[test]
fn a_filesystem_that_was_shut_down_takes_no_other_with_it() {
    let Some(arena) = Arena::enter_all(&[Kind::Tmpfs, Kind::Ext4]) else { return };
    let (good, bad) = (arena.program("good", "good"), arena.program("bad", "bad"));
    let gone = arena.grounds()[1].join("gone");
    fs::copy(&good, &gone).unwrap();
    let guard = Child::guard_with("fanotify", arena.data_dir(), arena.grounds());
    let guarded = arena.guarded_by(guard);
    guarded.adopt([deny(1, &digests(&bad))]);
    assert_eq!((run(&gone), run(&good), run(&bad)), (Ok(0), Ok(0), Err(EPERM)));
    let shut = Command::new("perl").args(["-e", SHUT_DOWN]).arg(&arena.grounds()[1]).status().unwrap();
    assert!(shut.success());
    for _ in 0..3 {
        assert_eq!(run_at_once(&gone), Err(EPERM));
        assert_eq!((run_at_once(&good), run_at_once(&bad)), (Ok(0), Err(EPERM)));
    }
    let counters = guarded.status(|status| status.counters.questions == 9).counters;
    assert_eq!((counters.failed, counters.denied), (3, 4));
}

#[test]
fn a_fifo_without_a_writer_keeps_only_its_reader_waiting() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let good = arena.program("good", "good");
    let _guarded = arena.guarded_by(Child::guard_of_opens(arena.data_dir(), arena.ground()));
    let fifo = arena.path("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut reader = Command::new("cat").arg(&fifo).stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..20 {
        assert_eq!(run_at_once(&good), Ok(0));
    }
    assert!(reader.try_wait().unwrap().is_none());
    fs::write(&fifo, "word").unwrap();
    assert_eq!(reader.wait_with_output().unwrap().stdout, b"word");
}
