//! (d) The first exec of a new file of 1 MiB, beside the digest of that file alone. One rule is in force, and it
//! names a SHA-256.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tests::peers::fapolicyd::Trusted;
use tests::userland::Userland;

use super::{Counts, Sizes, judge, settle};
use crate::arm::{Arm, Arms, Kind};
use crate::bars::{self, Bar};
use crate::paired::{self, Lane};
use crate::slot;
use crate::table::{self, MICROSECONDS};

const LENGTH: usize = 1 << 20;
const DIGEST: &str = "the digest alone";
const DIGEST_AGAIN: &str = "the digest alone again (A/A)";

/// What fapolicyd is told to trust: all files that there will be.
///
/// # Errors
/// When the program they are made of is not there.
pub(crate) fn trusted(userland: &Userland, rounds: usize, sizes: &Sizes) -> anyhow::Result<Vec<Trusted>> {
    let program = program(userland)?;
    let files = (0..=rounds).flat_map(|round| (0..sizes.firsts).map(move |number| (round, number)));
    let trusted = files.map(|(round, number)| {
        let path = format!("{}/{number}", directory(round));
        Trusted::of(path, &content(&program, round, number))
    });
    Ok(trusted.collect())
}

/// Measures and prints it; whether its bars hold.
///
/// # Errors
/// When the files can't be made.
pub(crate) fn measure(
    arms: &Arms,
    userland: &Userland,
    rounds: usize,
    sizes: &Sizes,
) -> anyhow::Result<bool> {
    let stage = tempfile::tempdir()?;
    sys::mounts::mount_tmpfs(stage.path(), 1 << 30).context("cannot mount a tmpfs")?;
    let program = program(userland)?;
    for round in 0..=rounds {
        let directory = stage.path().join(round.to_string());
        std::fs::create_dir(&directory)?;
        for number in 0..sizes.firsts {
            let path = directory.join(number.to_string());
            std::fs::write(&path, content(&program, round, number))?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
    }
    let counts = Counts::begin(arms);
    let digest = |name| {
        let turn = |round: usize| digest(&stage.path().join(round.to_string()), sizes.firsts);
        Lane { name, turn: Box::new(turn) }
    };
    let mut lanes = vec![digest(DIGEST), digest(DIGEST_AGAIN)];
    lanes.extend(arms.present().map(|arm| Lane {
        name: arm.kind.name(),
        turn: Box::new(|round| exec(arm, &stage.path().join(round.to_string()), round, sizes.firsts)),
    }));
    let series = paired::measure(&lanes, rounds);
    let title = "(d) first exec of a new file of 1 MiB, one rule in force";
    table::print(title, &series, DIGEST, &MICROSECONDS);
    counts.print(f64::from(sizes.firsts) * (rounds + 1) as f64, 1.0);
    settle(arms, &series)?;
    let _ = sys::mounts::unmount_lazily(stage.path());
    bars::compare(Kind::Quell.name(), Kind::FapolicydSha256.name(), &series);
    let bars = [Bar { of: Kind::Quell.name(), to: DIGEST, most: 1.2 }];
    Ok(judge(&bars, &series, DIGEST_AGAIN, DIGEST))
}

/// Where a round's files lie, as seen from inside.
fn directory(round: usize) -> String {
    format!("/bench/first-{round}")
}

fn program(userland: &Userland) -> anyhow::Result<Vec<u8>> {
    std::fs::read(userland.path("/bench/tiny")).context("no tiny program")
}

/// The tiny program with as much behind it as makes it large, and like no other.
fn content(program: &[u8], round: usize, number: u32) -> Vec<u8> {
    let mut content = program.to_vec();
    content.resize(LENGTH - 16, b'x');
    content.extend_from_slice(&(round as u64).to_le_bytes());
    content.extend_from_slice(&u64::from(number).to_le_bytes());
    content
}

/// The nanoseconds of one exec.
fn exec(arm: &Arm, from: &Path, round: usize, files: u32) -> anyhow::Result<f64> {
    let inside = directory(round);
    let into = arm.ground.root().join(inside.trim_start_matches('/'));
    // By others: whoever stalls must not stall this process.
    slot::prepare("cp", &[OsStr::new("-r"), from.as_os_str(), into.as_os_str()])?;
    let files = (files / arm.share()).max(1);
    let time = slot::run(&arm.ground, &["first", &inside, &files.to_string()])?;
    slot::prepare("rm", &[OsStr::new("-r"), into.as_os_str()])?;
    Ok(time)
}

/// The nanoseconds of one digest.
fn digest(directory: &Path, files: u32) -> anyhow::Result<f64> {
    let mut buffer = vec![0; 256 << 10];
    let begun = Instant::now();
    for number in 0..files {
        let mut file = File::open(directory.join(number.to_string()))?;
        let mut digest = Sha256::new();
        loop {
            let length = file.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            digest.update(&buffer[..length]);
        }
        std::hint::black_box(digest.finalize());
    }
    Ok(begun.elapsed().as_nanos() as f64 / f64::from(files))
}
