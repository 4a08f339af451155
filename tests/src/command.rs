//! Programs of the system that tests call.

use std::process::Command;

use anyhow::{Context, bail};

/// Runs a command to its end; what it printed.
///
/// # Errors
/// When it can't be started, or fails: with its last line of error.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("{name}: {}", why.trim().lines().last().unwrap_or("failed without a word"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
