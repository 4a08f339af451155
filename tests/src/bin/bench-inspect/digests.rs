//! The three digests of a large file.

use std::fs::{self, File};
use std::hint::black_box;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use ::tests::measure::Median;
use anyhow::Context;
use inspect::{Source, Trust};
use model::Time;

use crate::judge;

const BAR_HASHDEEP: f64 = 1.7;
const BAR_OPENSSL: f64 = 0.85;
/// `openssl speed` takes a second for each digest; every so many rounds are enough.
const SELDOM: usize = 4;

/// A file that is read as the agent and the command line read one.
pub(crate) struct Opened(pub(crate) File, pub(crate) u64);

impl Source for Opened {
    fn size(&self) -> u64 {
        self.1
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }
}

/// Whether both bars hold.
pub(crate) fn measure(place: &Path, mebibytes: usize, rounds: usize) -> anyhow::Result<bool> {
    let path = place.join("file");
    let mut bytes = vec![0; mebibytes << 20];
    getrandom::fill(&mut bytes)?;
    fs::write(&path, &bytes)?;
    agree(&path)?;
    let amount = bytes.len() as f64;
    drop(bytes);
    let (mut own, mut again, mut theirs, mut possible) = (vec![], vec![], vec![], vec![]);
    for round in 0..=rounds {
        let times = [ours(&path)?, hashdeep(&path)?, ours(&path)?];
        if round == 0 {
            continue;
        }
        own.push(amount / times[0]);
        theirs.push(amount / times[1]);
        again.push(amount / times[2]);
        if round % SELDOM == 0 {
            possible.push((own.len() - 1, openssl()?));
        }
    }
    let gigabytes = |rates: &[f64]| Median::of(&rates.iter().map(|rate| rate / 1e9).collect::<Vec<_>>());
    println!("three digests, GB/s: {}", gigabytes(&own));
    println!("hashdeep -j0, GB/s: {}", gigabytes(&theirs));
    let limits: Vec<f64> = possible.iter().map(|(_, rate)| *rate).collect();
    println!("1/(1/md5+1/sha1+1/sha256) of openssl speed, GB/s: {}", gigabytes(&limits));
    let noise = ratios(&again, &own);
    println!("A/A: {noise}");
    let reached: Vec<f64> = possible.iter().map(|(round, rate)| own[*round] / rate).collect();
    let holds = judge("to hashdeep -j0", ratios(&own, &theirs), BAR_HASHDEEP, noise);
    Ok(judge("to openssl's digests in sequence", Median::of(&reached), BAR_OPENSSL, noise) && holds)
}

fn ratios(these: &[f64], those: &[f64]) -> Median {
    Median::of(&these.iter().zip(those).map(|(this, that)| this / that).collect::<Vec<_>>())
}

fn ours(path: &Path) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let found = inspect::inspect_and_name(&Opened(file, size), &Trust::carried(), Time::from_seconds(0))?;
    black_box(found);
    Ok(begun.elapsed().as_secs_f64())
}

fn hashdeep_of(path: &Path) -> Command {
    let mut command = Command::new("hashdeep");
    command.args(["-j0", "-c", "md5,sha1,sha256"]).arg(path).stdin(Stdio::null());
    command
}

fn hashdeep(path: &Path) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let output = hashdeep_of(path).output().context("cannot start hashdeep")?;
    anyhow::ensure!(output.status.success(), "hashdeep failed");
    Ok(begun.elapsed().as_secs_f64())
}

/// Both say the same of the file.
fn agree(path: &Path) -> anyhow::Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let (digests, _) =
        inspect::inspect_and_name(&Opened(file, size), &Trust::carried(), Time::from_seconds(0))?;
    let output = hashdeep_of(path).output().context("cannot start hashdeep")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let own = format!("{size},{},{},{},", digests.md5, digests.sha1, digests.sha256);
    anyhow::ensure!(said.lines().any(|line| line.starts_with(&own)), "hashdeep disagrees: {said}");
    Ok(())
}

/// Bytes a second of the three digests, one after the other.
fn openssl() -> anyhow::Result<f64> {
    let mut inverse = 0.0;
    for digest in ["md5", "sha1", "sha256"] {
        let output = Command::new("openssl")
            .args(["speed", "-elapsed", "-mr", "-seconds", "1", "-bytes", "262144", "-evp", digest])
            .stderr(Stdio::null())
            .output()
            .context("cannot start openssl")?;
        inverse +=
            1.0 / rate(&String::from_utf8_lossy(&output.stdout)).context("openssl speed says no rate")?;
    }
    Ok(1.0 / inverse)
}

/// Bytes a second, of the line `+F:22:MD5:760217600.00`.
fn rate(said: &str) -> Option<f64> {
    said.lines().find(|line| line.starts_with("+F:"))?.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn a_rate_is_read() {
        assert_eq!(rate("+H:262144\n+F:25:md5:743178240.00\n"), Some(743_178_240.0));
        assert_eq!(rate("nothing"), None);
    }
}
