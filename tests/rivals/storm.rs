//! Many execs at the same time: each of a program that nobody has executed before, then the same again.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tests::footprint::family;
use tests::sample::is_denied;
use tests::up::Up;
use tests::userland::Userland;

/// What Quell denies, and nobody else.
pub(crate) const BLOCKED: &str = "bench/blocked";

const THREADS: usize = 4;
/// Programs that each thread has for itself.
const PROGRAMS: usize = 75;
/// Quell promises 250 ms; the rest is the other's, and a busy machine's.
const BOUND: Duration = Duration::from_secs(5);
/// Somebody hangs.
const LIMIT: Duration = Duration::from_secs(90);

/// How it went.
pub(crate) struct Storm {
    execs: usize,
    refusals: usize,
    first: Duration,
    warm: Duration,
}

/// The programs, all different.
pub(crate) fn furnish(userland: &Userland) -> anyhow::Result<()> {
    let program = std::fs::read("/bin/true")?;
    let put = |name: &str| {
        let path = userland.path(name);
        std::fs::write(&path, [program.as_slice(), name.as_bytes()].concat())?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
    };
    put(BLOCKED)?;
    for thread in 0..THREADS {
        for number in 0..PROGRAMS {
            put(&name(thread, number))?;
        }
    }
    Ok(())
}

fn name(thread: usize, number: usize) -> String {
    format!("bench/{thread}-{number}")
}

/// A file's SHA-256.
pub(crate) fn sha256(path: &Path) -> String {
    Sha256::digest(std::fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Storm {
    /// Executes all programs twice, while what is blocked is tried again and again.
    ///
    /// # Panics
    /// When an exec fails or takes too long, or what is blocked runs. When one hangs, everybody who answers is
    /// ended, so that this test ends as well.
    pub(crate) fn on(root: &Path, rivals: &[i32], ups: &[&Up]) -> Self {
        let done = AtomicBool::new(false);
        let blocked = root.join(BLOCKED);
        std::thread::scope(|scope| {
            scope.spawn(|| rescue(&done, rivals, ups));
            let refusing = scope.spawn(|| {
                let mut refusals = 0;
                while !done.load(Ordering::Relaxed) {
                    assert!(is_denied(&blocked), "after {refusals} refusals");
                    refusals += 1;
                }
                refusals
            });
            let runners: Vec<_> = (0..THREADS)
                .map(|thread| scope.spawn(move || [run_all(root, thread), run_all(root, thread)]))
                .collect();
            let slowest: Vec<_> = runners.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            done.store(true, Ordering::Relaxed);
            let refusals = refusing.join().expect("what is blocked never runs");
            let slowest: Vec<[Duration; 2]> =
                slowest.into_iter().map(|slowest| slowest.expect("every exec succeeds")).collect();
            let most = |which: usize| slowest.iter().map(|slowest| slowest[which]).max().unwrap_or_default();
            assert!(most(0).max(most(1)) < BOUND, "an exec took {:?}", most(0).max(most(1)));
            assert!(refusals > 0);
            Self { execs: 2 * THREADS * PROGRAMS, refusals, first: most(0), warm: most(1) }
        })
    }
}

/// The slowest of a thread's programs.
fn run_all(root: &Path, thread: usize) -> Duration {
    let run = |number| {
        let begun = Instant::now();
        let status = Command::new(root.join(name(thread, number))).stdin(Stdio::null()).status();
        assert!(status.expect("it may run").success());
        begun.elapsed()
    };
    (0..PROGRAMS).map(run).max().unwrap_or_default()
}

/// Ends whoever answers, if it lasts too long: the kernel then lets everybody go on.
fn rescue(done: &AtomicBool, rivals: &[i32], ups: &[&Up]) {
    let begun = Instant::now();
    while !done.load(Ordering::Relaxed) {
        if begun.elapsed() > LIMIT {
            for pid in ups.iter().flat_map(|up| family(up.pid())).chain(rivals.iter().copied()) {
                if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            panic!("somebody hangs");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl std::fmt::Display for Storm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { execs, refusals, first, warm } = self;
        write!(f, "{execs} execs and {refusals} refusals, the slowest first exec {first:?}, later {warm:?}")
    }
}
