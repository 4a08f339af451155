//! The product on a filesystem of the test's own, one allowed and one denied file, and what becomes of who runs
//! them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tests::filesystem::Filesystem;
use tests::sample::{Sample, is_denied, try_run};
use tests::up::{Options, Up, one_of, options};
use tests::{is_private, wait_for};

use crate::openers::{Openers, Seen};
use crate::watchdog::{self, Watchdog};

/// What is asserted; promised is a quarter of it.
const BOUND: Duration = Duration::from_secs(1);
/// How long openers go on after a fault.
const WINDOW: Duration = Duration::from_millis(1500);
/// How long openers go on before a fault, or a fault before they come.
const SETTLED: Duration = Duration::from_millis(150);
/// How long it may take until a denied file is denied again.
pub(crate) const BACK: Duration = Duration::from_secs(10);

pub(crate) struct Stage {
    pub(crate) up: Up,
    pub(crate) ground: Filesystem,
    pub(crate) allowed: PathBuf,
    pub(crate) denied: PathBuf,
    pub(crate) dir: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// `None` when the test must not run here.
    pub(crate) fn set() -> Option<Self> {
        Self::set_with(|_, _| {})
    }

    /// The same, with something done to the options, given the test's directory.
    pub(crate) fn set_with(change: impl FnOnce(&Path, &mut Options)) -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        if !is_private() {
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let ground = Filesystem::tmpfs();
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        ground.root().ancestors().take(2).for_each(open);
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(dir.path(), ground.root());
        change(dir.path(), &mut options);
        let (allowed, denied) = (ground.root().join("allowed"), ground.root().join("denied"));
        let sample = Sample::fresh();
        sample.put(&denied);
        Sample::fresh().put(&allowed);
        let up = Up::start(&options);
        up.api().block(&sample.sha1);
        wait_for("the denial", Duration::from_secs(5), || is_denied(&denied).then_some(()));
        // Settled: its digests are kept from now on.
        wait_for("the allowed file", Duration::from_secs(5), || try_run(&allowed).ok());
        std::thread::sleep(Duration::from_millis(100));
        try_run(&allowed).unwrap();
        Some(Self { up, ground, allowed, denied, dir, _turn: turn })
    }

    /// The process that was started as `quell agent VERB`.
    pub(crate) fn one(&self, verb: &str) -> i32 {
        wait_for("its process", Duration::from_secs(5), || one_of(self.up.pid(), verb))
    }

    /// Lets openers go on during a fault, and says how long they took. `undo` is done when the time is over.
    pub(crate) fn endure<T>(&self, case: &str, fault: impl FnOnce() -> T, undo: impl FnOnce(T)) -> Seen {
        self.endure_for(case, WINDOW * 3, |_| fault(), undo)
    }

    /// The same for a fault that takes its time, but not more than `most`, and names the guards that come and go.
    pub(crate) fn endure_for<T>(
        &self,
        case: &str,
        most: Duration,
        fault: impl FnOnce(&mut Vec<i32>) -> T,
        undo: impl FnOnce(T),
    ) -> Seen {
        self.endure_as(case, most, Guard::Works, fault, undo)
    }

    /// As [`Self::endure`], with a fault that comes while nobody has been asked about for a while, and before anybody is.
    pub(crate) fn endure_at_rest<T>(
        &self,
        case: &str,
        fault: impl FnOnce() -> T,
        undo: impl FnOnce(T),
    ) -> Seen {
        self.endure_as(case, WINDOW * 3, Guard::Rests, |_| fault(), undo)
    }

    fn endure_as<T>(
        &self,
        case: &str,
        most: Duration,
        guard: Guard,
        fault: impl FnOnce(&mut Vec<i32>) -> T,
        undo: impl FnOnce(T),
    ) -> Seen {
        watchdog::control_once();
        let mut watchdog = Watchdog::turn_on();
        let mut pids = vec![self.one("guard")];
        let start = || Openers::start(&self.allowed, &self.denied);
        let openers = match guard {
            Guard::Works => Some(start()),
            Guard::Rests => {
                wait_for("it to rest", BACK * 3, || rests(pids[0]).then_some(()));
                None
            }
        };
        std::thread::sleep(SETTLED);
        let mut begun = Instant::now();
        let standing = fault(&mut pids);
        let openers = openers.unwrap_or_else(|| {
            std::thread::sleep(SETTLED);
            begun = Instant::now();
            start()
        });
        std::thread::sleep(WINDOW);
        pids.extend(one_of(self.up.pid(), "guard"));
        let seen = openers.finish();
        let took = begun.elapsed();
        undo(standing);
        let back = Instant::now();
        wait_for("the denial again", BACK, || is_denied(&self.denied).then_some(()));
        let worst = [seen.root, seen.other, seen.denied].map(|met| met.worst.as_millis());
        let complaints = watchdog.complaints(&pids);
        println!(
            "never-hang | {case:<52} | {:>4} | {:>4} | {:>4} | {:>3} of {:<3} | {:>4} | {}",
            worst[0],
            worst[1],
            worst[2],
            seen.denied.ran,
            seen.denied.ran + seen.denied.refused,
            back.elapsed().as_millis(),
            complaints.len(),
        );
        assert!(took < most, "{case}: openers hang: {seen:?}");
        assert!(worst.iter().all(|worst| *worst < BOUND.as_millis()), "{case}: {seen:?}");
        assert!(seen.root.refused == 0 && seen.other.refused == 0, "{case}: {seen:?}");
        assert!(seen.other.ran > 10, "{case}: the other user starves: {seen:?}");
        seen
    }
}

/// What the guard does when a fault comes.
enum Guard {
    Works,
    Rests,
}

/// Whether the guard's loop is woken less than three times a second: at work it beats more than twice as often.
fn rests(guard: i32) -> bool {
    let woken = || {
        let status = fs::read_to_string(format!("/proc/{guard}/status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse::<u64>().unwrap()
    };
    let before = woken();
    std::thread::sleep(Duration::from_secs(1));
    woken() < before + 3
}

/// What the columns mean.
pub(crate) fn head() {
    println!(
        "never-hang | {:<52} | root | user | den. | denied ran | back | complaints  (worst exec in ms; promised 250)",
        "case"
    );
}

pub(crate) fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    let _ = rustix::process::kill_process(pid, signal);
}

/// Tells threads of a scope to end, also when the test fails: the scope waits for them.
pub(crate) struct Ending<'a>(pub(crate) &'a std::sync::atomic::AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
