//! Small programs of Windows a second.

use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use inspect::Trust;
use model::Time;
use tests::measure::Median;

use crate::digests::Opened;
use crate::judge;

const BAR_A_SECOND: f64 = 500.0;
/// A small program is at most so long.
const SMALL: u64 = 256 * 1024;
/// How long one turn lasts.
const TURN: Duration = Duration::from_millis(500);

/// Whether the bar holds.
pub(crate) fn measure(directory: &Path, rounds: usize) -> anyhow::Result<bool> {
    let mut programs = Vec::new();
    collect(directory, &mut programs)?;
    anyhow::ensure!(!programs.is_empty(), "there is no small program in {}", directory.display());
    programs.sort();
    let trust = Trust::carried();
    let mut signed = 0;
    let mut bytes = 0;
    for program in &programs {
        let found = look(program, &trust)?;
        anyhow::ensure!(found.facts.is_pe(), "{} is no program", program.display());
        signed += usize::from(found.signature.is_some());
        bytes += found.facts.size;
    }
    let mean = bytes / programs.len() as u64;
    println!("{} programs, {signed} of them signed, {mean} bytes in the mean", programs.len());
    let (mut own, mut again) = (vec![], vec![]);
    for round in 0..=rounds {
        let rates = [turn(&programs, &trust)?, turn(&programs, &trust)?];
        if round > 0 {
            own.push(rates[0]);
            again.push(rates[1]);
        }
    }
    let noise = Median::of(&again.iter().zip(&own).map(|(again, own)| again / own).collect::<Vec<_>>());
    println!("osslsigncode verify, programs a second: {:.0}", osslsigncode(&programs)?);
    println!("A/A: {noise}");
    let ratio = Median::of(&own.iter().map(|rate| rate / BAR_A_SECOND).collect::<Vec<_>>());
    println!("programs inspected a second: {}", Median::of(&own));
    Ok(judge("to 500 programs a second", ratio, 1.0, noise))
}

/// The small programs under a directory.
fn collect(directory: &Path, programs: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in directory.read_dir()? {
        let path = entry?.path();
        let is_program = || path.extension().is_some_and(|name| name == "exe" || name == "dll");
        if path.is_dir() {
            collect(&path, programs)?;
        } else if is_program() && path.metadata()?.len() <= SMALL && fs::read(&path)?.starts_with(b"MZ") {
            programs.push(path);
        }
    }
    Ok(())
}

fn look(path: &Path, trust: &Trust) -> anyhow::Result<model::inspection::Inspection> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok(inspect::inspect_and_name(&Opened(file, size), trust, Time::from_seconds(1_700_000_000))?.1)
}

/// Programs a second: opened, read, digested and inspected, over and over.
fn turn(programs: &[PathBuf], trust: &Trust) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut count = 0_u32;
    for program in programs.iter().cycle() {
        black_box(look(program, trust)?);
        count += 1;
        if begun.elapsed() >= TURN {
            break;
        }
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

/// The same with a process for each, which says of each whether its signature holds.
fn osslsigncode(programs: &[PathBuf]) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for program in programs {
        let mut command = Command::new("osslsigncode");
        command.args(["verify", "-in"]).arg(program).stdout(Stdio::null()).stderr(Stdio::null());
        // It fails for what is not signed.
        command.status().context("cannot start osslsigncode")?;
    }
    Ok(programs.len() as f64 / begun.elapsed().as_secs_f64())
}
