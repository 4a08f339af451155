//! Cuts a recorded act wherever it can be cut, and lets the machine start there.

use std::collections::HashSet;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::disk::{On, missing};
use crate::scene::{Case, Scene};

/// How much is tried.
pub(crate) struct Effort {
    /// Every act, and each write as a place to cut at; else some acts, cut at flushes.
    pub(crate) is_all: bool,
    /// Reorderings of each act.
    reorderings: usize,
    /// About how many faults are tried in each act, if not all.
    pub(crate) faults: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Effort {
    /// `None`, and a line that says so, when the test must not run here.
    pub(crate) fn here() -> Option<Self> {
        if std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_none_or(|value| value != "1") {
            println!("not run: it mounts filesystems, which needs a mount namespace of its own");
            return None;
        }
        if let Some(missing) = missing() {
            println!("not run: there is no {missing} here, and so no disk that remembers what it was told");
            return None;
        }
        // Programs that another test starts would hold files open for writing for a moment.
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::env::var("QUELL_CUTS").unwrap_or_default();
        let (is_all, number) = text.strip_prefix("all").map_or((false, text.as_str()), |rest| (true, rest));
        Some(Self { is_all, reorderings: number.trim().parse().unwrap_or(6), faults: 12, _turn: turn })
    }

    /// The acts that are tried.
    pub(crate) fn cases(&self) -> impl Iterator<Item = Case> {
        let is_all = self.is_all;
        // Both filesystems meet every step in two disks.
        Case::all().into_iter().filter(move |case| is_all || case.is_apart)
    }
}

/// What was tried.
#[derive(Default)]
pub(crate) struct Tally {
    events: usize,
    prefixes: usize,
    reorderings: usize,
    /// The power was cut once more while the machine recovered.
    twice: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.prefixes += other.prefixes;
        self.reorderings += other.reorderings;
        self.twice += other.twice;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, prefixes, reorderings, twice } = self;
        write!(
            f,
            "writes and flushes {events}, prefixes {prefixes}, reorderings {reorderings}, of these cut twice {twice}"
        )
    }
}

/// Records one act and replays it.
pub(crate) fn replay(on: On, case: Case, effort: &Effort) -> Tally {
    let mut scene = Scene::set(on, case);
    scene.record();
    let mut shape = scene.disks.shape();
    // What follows is of the unmounting.
    shape.truncate(scene.end());
    let mut tally = Tally { events: shape.len(), ..Tally::default() };
    let is_flush = |at: usize| shape.get(at).is_none_or(|sign| sign.starts_with('f'));
    for length in (0..=shape.len()).filter(|length| effort.is_all || is_flush(*length) || *length == 0) {
        tally.prefixes += 1;
        attempt(&mut scene, on, length, None);
    }
    // Only where something is not flushed there is something to lose.
    let at_risk: Vec<usize> = (1..=shape.len()).filter(|length| shape[length - 1].starts_with('w')).collect();
    let mut seen = HashSet::new();
    for seed in 0..effort.reorderings as u64 * 10 {
        if seen.len() == effort.reorderings {
            break;
        }
        // By a stride that meets every place in turn.
        let length = at_risk[(seed as usize * 7919) % at_risk.len()];
        let said = scene.disks.cut(length, Some(seed));
        if (said.contains("lost") || said.contains("torn")) && seen.insert((length, said)) {
            tally.reorderings += 1;
            attempt(&mut scene, on, length, Some(seed));
            if seed.is_multiple_of(4) {
                tally.twice += 1;
                attempt_twice(&mut scene, on, length, seed);
            }
        }
    }
    println!("power cut: {} {case}: {tally}", on.word());
    tally
}

/// The power comes back once.
fn attempt(scene: &mut Scene, on: On, length: usize, seed: Option<u64>) {
    let said = scene.disks.cut(length, seed);
    let what = format!("{} {}, cut at {length}, seed {seed:?}:{said}", on.word(), scene.case);
    start(scene, length, &what);
}

/// The power goes again while the machine recovers.
fn attempt_twice(scene: &mut Scene, on: On, length: usize, seed: u64) {
    let said = scene.disks.cut(length, Some(seed));
    let what = format!("{} {}, cut at {length}, seed {seed}:{said}", on.word(), scene.case);
    scene.disks.nest();
    start(scene, length, &what);
    let recorded = scene.disks.length();
    let again = seed as usize * 104_729 % (recorded + 1);
    let said = scene.disks.cut(again, Some(seed));
    start(scene, length, &format!("{what}; and again at {again} of {recorded}:{said}"));
    scene.disks.unnest();
}

fn start(scene: &mut Scene, length: usize, what: &str) {
    scene.disks.mount().unwrap_or_else(|error| panic!("{what}: the kernel does not mount it: {error}"));
    let told = scene.told(length);
    let held = std::panic::catch_unwind(AssertUnwindSafe(|| scene.recover(&told)));
    if held.is_err() {
        panic!("{what}; told: {told:?}");
    }
    scene.disks.unmount();
}
