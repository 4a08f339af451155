//! Other products that answer the kernel before a file runs, as their packages ship them, to stand beside ours.
//!
//! They are unpacked, never installed: nothing of theirs starts by itself, and nothing outlives the test. Each
//! answers only for a filesystem that the test has made. What keeps one from being had is an error that says so.

pub mod clamonacc;
pub mod fapolicyd;

mod daemon;
mod packages;

pub use daemon::Daemon;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A program that nobody's rules allow: where it lies in a [`Userland`](crate::userland::Userland).
pub const REFUSED: &str = "/bench/refused";

/// How long a command may take that a stalled daemon could hold up.
const PATIENCE: &str = "10";

/// Whether [`REFUSED`] is refused on a filesystem, by whoever answers there.
///
/// # Errors
/// When that could not be tried: it hangs, or does not start for another reason.
pub fn refuses(root: &Path) -> anyhow::Result<bool> {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", PATIENCE, "chroot"]).arg(root).arg(REFUSED);
    let output = command.output().context("cannot start timeout")?;
    let error = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(false),
        Some(126) if error.contains("Operation not permitted") => Ok(true),
        Some(124 | 137) | None => bail!("an exec got no answer in {PATIENCE} s"),
        _ => bail!("an exec failed: {}: {}", output.status, error.trim()),
    }
}

/// Waits until a daemon refuses what it should.
fn wait_refusing(daemon: &mut Daemon, root: &Path, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        daemon.check()?;
        if refuses(root)? {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{} runs, but refuses nothing; it says: {}", daemon.name(), daemon.last_words());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
