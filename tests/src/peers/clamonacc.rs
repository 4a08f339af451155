//! clamonacc with clamd: each open of a file in a marked directory waits until its content has been scanned.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::packages::{library_path, unpacked};
use super::{Daemon, REFUSED, wait_refusing};
use crate::filesystem::Filesystem;

const PACKAGE: &str = "clamav-daemon";

/// Has its package here.
///
/// # Errors
/// Why it can't be had.
pub fn fetch() -> anyhow::Result<()> {
    unpacked(PACKAGE).map(drop)
}

/// Both daemons. The one that answers the kernel is dropped first.
#[derive(Debug)]
pub struct Clamonacc {
    answers: Daemon,
    scans: Daemon,
}

impl Clamonacc {
    /// Starts both on a filesystem that holds a [`Userland`](crate::userland::Userland), with a signature of
    /// [`REFUSED`].
    ///
    /// # Errors
    /// Why they can't be had, don't start, or don't refuse [`REFUSED`] when they have.
    pub fn start(filesystem: &Filesystem) -> anyhow::Result<Self> {
        let package = unpacked(PACKAGE)?;
        let own = filesystem.beside("clamav");
        std::fs::create_dir_all(own.join("db"))?;
        sign(filesystem.root(), &own.join("db/test.hsb"))?;
        let config = own.join("clamd.conf");
        std::fs::write(&config, settings(filesystem.root(), &own)?)?;
        let program = |name: &str| {
            let mut command = Command::new(package.join("usr/sbin").join(name));
            command.arg(format!("--config-file={}", config.display()));
            command.env("LD_LIBRARY_PATH", library_path(&package));
            command
        };
        let mut scans = Daemon::start("clamd", &mut program("clamd"), own.join("clamd.out"))?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while !own.join("clamd.sock").exists() {
            scans.check()?;
            if Instant::now() > deadline {
                bail!("clamd opens no socket: {}", scans.last_words());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut command = program("clamonacc");
        command.args(["--foreground", "--fdpass"]);
        let mut answers = Daemon::start("clamonacc", &mut command, own.join("clamonacc.out"))?;
        wait_refusing(&mut answers, filesystem.root(), Duration::from_secs(20))?;
        Ok(Self { answers, scans })
    }

    /// Their processes.
    pub fn pids(&self) -> [i32; 2] {
        [self.answers.pid(), self.scans.pid()]
    }

    /// Whether both still run.
    ///
    /// # Errors
    /// When one does not.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.answers.check()?;
        self.scans.check()
    }
}

impl Drop for Clamonacc {
    fn drop(&mut self) {
        self.answers.kill();
    }
}

/// A signature by SHA-256, and another, as a database of one entry is no database.
fn sign(root: &Path, database: &Path) -> anyhow::Result<()> {
    let refused = std::fs::read(root.join(REFUSED.trim_start_matches('/')))?;
    let mut lines = String::new();
    for (content, name) in [(refused.as_slice(), "Refused"), (b"other", "Other")] {
        let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(lines, "{digest}:{}:Test.{name}", content.len())?;
    }
    std::fs::write(database, lines).context("cannot write a signature")
}

fn settings(root: &Path, own: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    writeln!(text, "LocalSocket {}", own.join("clamd.sock").display())?;
    writeln!(text, "DatabaseDirectory {}", own.join("db").display())?;
    writeln!(text, "LogFile {}", own.join("clamd.log").display())?;
    writeln!(text, "OnAccessIncludePath {}", root.display())?;
    // It insists that somebody is let through unseen: a user that nobody is.
    text.push_str("Foreground yes\nUser root\nOnAccessPrevention yes\nOnAccessExcludeUID 65533\n");
    Ok(text)
}
