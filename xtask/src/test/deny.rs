//! What we depend on: licences, bans and sources, by cargo-deny.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::tally::{Outcome, Tally};
use crate::house::House;
use crate::live;

const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];
/// The version whose configuration `deny.toml` is written in.
const VERSION: &str = "^0.20";
const ADVISORIES: &str = "advisories: not run (no database reachable here)";

/// Runs the three checks that need no database.
pub(super) fn run(house: &House) -> Result<Outcome> {
    let program = provide(house)?;
    let ran = live::run(house.command(program).args(["check", "--hide-inclusion-graph"]).args(CHECKS))?;
    println!("{ADVISORIES}");
    let held = CHECKS.iter().filter(|check| holds(&ran.lines, check)).count();
    let mut outcome = Outcome::checks(held, CHECKS.len() - held);
    if !ran.status.success() {
        outcome = Outcome::of_tests(
            outcome.tally,
            false,
            "who brings it in: cargo deny check bans licenses sources",
        );
    }
    outcome.tally.add(Tally { skipped: 1, not_run: vec![ADVISORIES.to_owned()], ..Tally::default() });
    Ok(outcome)
}

/// The closing line of cargo-deny reads `bans ok, licenses FAILED, sources ok`.
fn holds(lines: &[String], check: &str) -> bool {
    let mut parts = lines.iter().flat_map(|line| line.split(", "));
    parts.any(|part| part.trim().strip_prefix(check).is_some_and(|rest| rest == " ok"))
}

/// cargo-deny from the path, else our own, which is built once.
fn provide(house: &House) -> Result<PathBuf> {
    let own = house.tools().join("bin").join("cargo-deny");
    let on_path = house.command("cargo-deny").arg("--version").output().is_ok_and(|out| out.status.success());
    if on_path {
        return Ok("cargo-deny".into());
    }
    if !own.is_file() {
        println!("cargo-deny is missing: building it once");
        let mut install = house.cargo(&["install", "--locked", "cargo-deny", "--version", VERSION]);
        if !live::run(install.arg("--root").arg(house.tools()))?.status.success() {
            bail!("cargo-deny could not be installed: type `cargo install --locked cargo-deny`");
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_read_from_the_closing_line() {
        let lines = ["warning: bans okay-ish".to_owned(), "bans ok, licenses FAILED, sources ok".to_owned()];
        let held: Vec<bool> = CHECKS.iter().map(|check| holds(&lines, check)).collect();
        assert_eq!(held, [true, false, true]);
    }
}
