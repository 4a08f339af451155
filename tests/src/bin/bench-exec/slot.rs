//! One turn of one agent in a round.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use tests::filesystem::Filesystem;

/// Longer than any turn takes; an agent that stalls is not waited for.
const LIMIT: &str = "60";

/// Runs `/bench/loop` with the ground as its root. The nanoseconds of one time of what it does.
///
/// # Errors
/// When it takes too long or fails.
pub(crate) fn run(ground: &Filesystem, arguments: &[&str]) -> anyhow::Result<f64> {
    let mut command = limited("chroot");
    command.arg(ground.root()).arg("/bench/loop").args(arguments);
    let said = told(&mut command)?;
    let last = said.trim().lines().last().unwrap_or_default();
    last.parse().with_context(|| format!("it says: {said}"))
}

/// Does something on the ground that is not measured.
///
/// # Errors
/// As [`run`].
pub(crate) fn prepare(program: &str, arguments: &[&std::ffi::OsStr]) -> anyhow::Result<()> {
    told(limited(program).args(arguments)).map(drop)
}

/// The head of a command that is killed if it takes too long: whoever waits for an answer that never comes dies
/// of that.
fn limited(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", LIMIT]).arg(program);
    command
}

fn told(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.stdin(Stdio::null()).stdout(Stdio::null()).output().context("cannot start timeout")?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(said.into_owned()),
        Some(124 | 137) | None => bail!("stalls: nothing for {LIMIT} s"),
        _ => bail!("{}: {}", output.status, said.trim().replace('\n', " | ")),
    }
}
