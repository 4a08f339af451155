//! The brick proof: on a small Debian of its own, every program and script is denied and quarantined, and the machine
//! goes on working. The agent runs inside, as it would on a machine; this process is its server, one that orders what no
//! real server would take.

mod machine;
mod orders;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use model::act::{CopyState, Outcome};
use model::{FileId, Sha256};

use machine::Machine;

/// How much of it is done.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// So many files, chosen by `seed`; all, if none.
    pub files: Option<usize>,
    /// Which files these are, and in which order they come.
    pub seed: u64,
    /// So many are away at a time.
    pub batch: usize,
    /// The guard is asked about opens, too.
    pub opens: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files that were denied and to be quarantined, by content.
    pub denied: usize,
    /// Those of which all copies went into the vault.
    pub quarantined: usize,
    /// Those of which at least one copy was spared.
    pub spared: usize,
    /// How often the machine was tried, each time in every way.
    pub trials: usize,
}

/// Starts a machine, takes its files away in batches, tries it after each, and brings them back.
///
/// # Errors
/// When the machine does not work, a file is neither quarantined nor spared, or one does not come back as it was.
pub fn run(measure: &Measure) -> anyhow::Result<Tally> {
    let begun = Instant::now();
    let tree = tree::debian()?;
    let mut machine = Machine::start(&tree, measure.opens)?;
    println!("a machine after {:.1} s", begun.elapsed().as_secs_f64());
    let files = by_content(&machine)?;
    let chosen = chosen(&files, measure);
    println!("{} programs and scripts, of which {} are taken", files.len(), chosen.len());
    machine.tried().context("before anything is denied")?;
    let mut tally = Tally::default();
    for batch in chosen.chunks(measure.batch) {
        take_away(&mut machine, batch, &files, &mut tally)?;
    }
    trojaned(&mut machine)?;
    Ok(tally)
}

/// Programs and scripts by their content; what is no part of the machine is left out.
fn by_content(machine: &Machine) -> anyhow::Result<BTreeMap<Sha256, Vec<PathBuf>>> {
    let mut files: BTreeMap<Sha256, Vec<PathBuf>> = BTreeMap::new();
    for (path, sha256) in machine.programs()? {
        files.entry(sha256).or_default().push(path);
    }
    Ok(files)
}

fn chosen(files: &BTreeMap<Sha256, Vec<PathBuf>>, measure: &Measure) -> Vec<Sha256> {
    // Which one comes first is as good as random for a digest, and another order for each seed.
    let mut order: Vec<_> = files.keys().copied().collect();
    let key = |sha256: &Sha256| {
        let first = u64::from_le_bytes(sha256.0[..8].try_into().expect("eight bytes"));
        first.wrapping_add(measure.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    order.sort_by_key(key);
    order.truncate(measure.files.unwrap_or(usize::MAX));
    order
}

fn take_away(
    machine: &mut Machine,
    batch: &[Sha256],
    files: &BTreeMap<Sha256, Vec<PathBuf>>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let before = machine.state(batch.iter().flat_map(|sha256| &files[sha256]))?;
    machine.plane.deny(batch)?;
    let denied = begun.elapsed();
    machine.tried().context("while a batch is denied")?;
    let tried = begun.elapsed();
    let mut orders = Vec::new();
    for sha256 in batch {
        let (order, outcome) = machine.plane.quarantine(FileId::Sha256(*sha256))?;
        let paths = &files[sha256];
        let is_spared = judged(&outcome, paths).with_context(|| format!("{paths:?}: {outcome:?}"))?;
        tally.denied += 1;
        tally.spared += usize::from(is_spared);
        tally.quarantined += usize::from(!is_spared);
        orders.push(order);
    }
    let taken = begun.elapsed();
    let gone: Vec<_> = before.keys().filter(|path| !machine.holds(path)).map(PathBuf::as_path).collect();
    machine.tried().with_context(|| format!("without {gone:?}"))?;
    tally.trials += 2;
    machine.plane.deny(&[])?;
    for order in orders {
        let outcome = machine.plane.restore(order)?;
        ensure!(outcome.failure.is_none(), "it did not come back: {outcome:?}");
    }
    let after = machine.state(before.keys())?;
    for (path, state) in &before {
        ensure!(after.get(path) == Some(state), "{} came back as another: {state:?}", path.display());
    }
    println!(
        "batch of {}: {} of {} paths were away; denied {:.1}, tried {:.1}, taken {:.1}, all {:.1} s",
        batch.len(),
        gone.len(),
        before.len(),
        denied.as_secs_f64(),
        (tried - denied).as_secs_f64(),
        (taken - tried).as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Whether at least one copy was spared; each was that, or went.
fn judged(outcome: &Outcome, paths: &[PathBuf]) -> anyhow::Result<bool> {
    let mut is_spared = false;
    let mut told = BTreeSet::new();
    for copy in &outcome.copies {
        told.insert(copy.path.as_path());
        let reason = copy.reason.as_deref().unwrap_or_default();
        match copy.state {
            CopyState::Succeeded => {}
            CopyState::Failed if reason.starts_with("spared: ") => is_spared = true,
            _ => bail!("a copy was neither quarantined nor spared"),
        }
    }
    for path in paths {
        ensure!(told.contains(path.as_path()), "nobody told of {}", path.display());
    }
    Ok(is_spared)
}

/// Another ssh at the place of the machine's own can be denied, and its own again runs.
fn trojaned(machine: &mut Machine) -> anyhow::Result<()> {
    const SSH: &str = "/usr/bin/ssh";
    let known = machine.spared(SSH)?;
    ensure!(known.is_spared, "ssh is not spared: {}", known.said);
    let own = machine.replace(SSH, b"another")?;
    let (code, said) = machine.run(&[SSH, "-V"])?;
    ensure!(code == 0, "a changed ssh runs as long as nothing denies it: {code} {said}");
    let changed = machine.spared(SSH)?;
    ensure!(!changed.is_spared && changed.said.contains("not what was recorded"), "{}", changed.said);
    let sha256 = machine.digest(SSH)?;
    machine.plane.deny(&[sha256])?;
    let (code, said) = machine.run(&[SSH, "-V"])?;
    ensure!(code != 0 && said.contains("not permitted"), "a trojaned ssh runs: {code} {said}");
    let (_, outcome) = machine.plane.quarantine(FileId::Sha256(sha256))?;
    ensure!(
        outcome.copies.len() == 1 && outcome.copies[0].state == CopyState::Succeeded,
        "a trojaned ssh is taken away: {outcome:?}"
    );
    machine.put_back(SSH, own)?;
    let own = machine.digest(SSH)?;
    machine.plane.deny(&[own])?;
    let found = machine.plane.wait_spared(Path::new(SSH), own, Duration::from_secs(90));
    ensure!(found, "the machine's own ssh is spared again");
    let (code, said) = machine.run(&[SSH, "-V"])?;
    ensure!(code == 0, "the machine's own ssh is denied: {code} {said}");
    machine.plane.deny(&[])
}
