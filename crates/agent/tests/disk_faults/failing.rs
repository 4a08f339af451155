//! A disk fails or is full in the middle of an act: a clear result, nothing lost, and nothing tried for ever.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use model::act::CopyState;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::disk::{Kind, On};
use crate::replay::Effort;
use crate::scene::{Case, Scene, Told};

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The disk answers requests of a kind with EIO, from one on: all of them, or that one.
    Fails { disk: usize, kind: Kind, skip: u64, times: u64 },
    /// At the moment of that number, the filesystem of a disk has no room any more.
    Full { disk: usize, at: usize },
    /// At that moment, the filesystem of a disk can't be written any more.
    ReadOnly { disk: usize, at: usize },
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Tally {
    faults: u32,
    /// Requests that the disks refused.
    refused: u64,
    /// Acts that succeeded all the same, failed, or had no result before the disk was mended.
    succeeded: u32,
    failed: u32,
    unfinished: u32,
    /// The reasons of failed copies, without paths.
    reasons: BTreeMap<String, u32>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, refused, succeeded, failed, unfinished, .. } = self;
        write!(
            f,
            "faults {faults}, requests refused {refused}, acts that succeeded {succeeded}, failed {failed}, had no \
             result before the disk was mended {unfinished}"
        )
    }
}

/// Tries every fault, or one of so many, in one act.
pub(crate) fn try_all(on: On, case: Case, effort: &Effort) -> Tally {
    let mut scene = Scene::set(on, case);
    scene.disks.unmount();
    scene.disks.record();
    // Undisturbed: how many requests and moments there are.
    let (mut moments, mut counts) = (0, Vec::new());
    run(&mut scene, "undisturbed", |scene| {
        let before = scene.disks.counts();
        let told = scene.try_act(&mut |_| moments += 1);
        let after = scene.disks.counts();
        counts = after.iter().zip(before).map(|(after, before)| after - before).collect();
        told
    });
    let mut faults = Vec::new();
    for (number, count) in counts.into_iter().enumerate() {
        let (disk, kind) = (number / Kind::ALL.len(), Kind::ALL[number % Kind::ALL.len()]);
        for (skip, times) in (0..count).flat_map(|skip| [(skip, 1), (skip, u64::MAX)]) {
            faults.push(Fault::Fails { disk, kind, skip, times });
        }
    }
    for disk in 0..scene.disks.points().len() {
        faults.extend((0..moments).map(|at| Fault::Full { disk, at }));
        faults.extend((0..moments).map(|at| Fault::ReadOnly { disk, at }));
    }
    let mut tally = Tally::default();
    let every = if effort.is_all { 1 } else { faults.len().div_ceil(effort.faults).max(1) };
    for fault in faults.into_iter().step_by(every) {
        try_one(&mut scene, fault, &mut tally);
    }
    println!("failing disk: {} {case}: {tally}", on.word());
    for (reason, count) in &tally.reasons {
        println!("failing disk:   {count} x {reason}");
    }
    tally
}

fn try_one(scene: &mut Scene, fault: Fault, tally: &mut Tally) {
    let points = scene.disks.points();
    let mut refused = 0;
    let told = run(scene, &format!("{fault:?}"), |scene| {
        if let Fault::Fails { disk, kind, skip, times } = fault {
            scene.disks.fail(disk, kind, skip, times, Errno::IO);
        }
        let (mut number, mut count) = (0, BTreeMap::<String, u32>::new());
        let told = scene.try_act(&mut |moment| {
            strike(fault, number, &points);
            number += 1;
            *count.entry(format!("{moment:?}")).or_default() += 1;
        });
        // Each step once for each copy, and nothing again and again.
        assert!(count.values().all(|count| *count <= 2), "tried once: {count:?}");
        refused = scene.disks.heal();
        told
    });
    tally.faults += 1;
    tally.refused += refused;
    let Some(outcome) = told.outcome else {
        tally.unfinished += 1;
        return;
    };
    let failed: Vec<_> = outcome.copies.iter().filter(|copy| copy.state == CopyState::Failed).collect();
    if failed.is_empty() {
        tally.succeeded += 1;
        return;
    }
    tally.failed += 1;
    let failure = outcome.failure.as_ref().expect("an act with failed copies says so as a whole");
    for copy in failed {
        let reason = copy.reason.as_deref().expect("a reason");
        let said =
            ["Input/output error", "No space left", "Read-only file system", "Structure needs cleaning"];
        assert!(said.iter().any(|said| reason.contains(said)), "{fault:?}: {reason}");
        let reason = reason
            .split(' ')
            .filter(|word| !word.contains('/') || word.contains("Input/"))
            .collect::<Vec<_>>();
        *tally.reasons.entry(format!("{:#010x} {}", failure.code, reason.join(" "))).or_default() += 1;
    }
}

/// Starts at the beginning, has `act` done, and starts again on mended disks.
fn run(scene: &mut Scene, what: &str, act: impl FnOnce(&mut Scene) -> Told) -> Told {
    let what = format!("{} {what}", scene.case);
    scene.disks.cut(0, None);
    scene.disks.mount().unwrap();
    let told = caught(&what, || act(scene));
    for point in scene.disks.points() {
        let _ = std::fs::remove_file(point.join("filler"));
    }
    scene.disks.unmount();
    scene.disks.mount().unwrap_or_else(|error| panic!("{what}: the kernel does not mount it: {error}"));
    for point in scene.disks.points() {
        let _ = std::fs::remove_file(point.join("filler"));
    }
    caught(&format!("{what}; told: {told:?}"), || scene.recover(&told));
    scene.disks.unmount();
    told
}

fn caught<T>(what: &str, act: impl FnOnce() -> T) -> T {
    std::panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| panic!("{what}"))
}

/// What is to happen at this moment.
fn strike(fault: Fault, now: usize, points: &[std::path::PathBuf]) {
    match fault {
        Fault::Full { disk, at } if at == now => fill(&points[disk]),
        Fault::ReadOnly { disk, at } if at == now => {
            // Not while a file is open for writing there, as ledger and journal are.
            let _ = rustix::mount::mount_remount(&points[disk], MountFlags::RDONLY, c"");
        }
        _ => {}
    }
}

/// Takes all room, to the last block.
fn fill(point: &Path) {
    let Ok(filler) = File::create(point.join("filler")) else { return };
    let (mut length, mut piece) = (0, 64 << 20);
    while piece >= 1024 {
        match rustix::fs::fallocate(&filler, FallocateFlags::empty(), length, piece) {
            Ok(()) => length += piece,
            Err(_) => piece /= 2,
        }
    }
}
