//! Suites that mount and watch: they run as root in a mount namespace of their own, so that nothing they
//! do reaches the host, and under a time limit.

use std::process::Command;

use anyhow::{Context, Result};

use super::tally::{Outcome, Tally};
use crate::house::{House, UNSHARE, cargo_path};
use crate::live;
use crate::packages::{Needed, is_root};

/// Programs that these suites call.
pub(crate) const NEEDED: &[Needed] = &[
    ("cc", "gcc"),
    ("curl", "curl"),
    ("db5.3_load", "db5.3-util"),
    ("debootstrap", "debootstrap"),
    ("getfattr", "attr"),
    ("losetup", "mount"),
    ("ip", "iproute2"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mount", "mount"),
    ("rpm", "rpm"),
    ("rpmbuild", "rpm"),
    ("setfacl", "acl"),
    ("setfattr", "attr"),
    ("timeout", "coreutils"),
    ("unshare", "util-linux"),
];

/// What this host lets us do.
pub(super) struct Host {
    refusal: Option<&'static str>,
}

impl Host {
    /// Tries it.
    pub(super) fn probe() -> Self {
        let unshared = || Command::new(UNSHARE[0]).args(&UNSHARE[1..]).arg("true").output();
        let refusal = if !is_root() {
            Some("needs root")
        } else if !unshared().is_ok_and(|out| out.status.success()) {
            Some("a private mount namespace is not permitted here")
        } else {
            None
        };
        Self { refusal }
    }

    /// Nothing, or the reason why the suites cannot run.
    pub(super) fn usable(&self) -> Result<(), &'static str> {
        self.refusal.map_or(Ok(()), Err)
    }
}

/// One suite in a namespace of its own.
pub(super) struct Inside {
    /// The arguments of cargo that choose its tests.
    chosen: Vec<&'static str>,
    /// Its name among the [[test]] targets of the package `tests`, which also need the shipped binary.
    target: Option<&'static str>,
    /// After which it is stopped; building comes before.
    seconds: u32,
}

impl Inside {
    /// All tests of some crates.
    pub(super) fn packages(packages: &[&'static str], seconds: u32) -> Self {
        let chosen = packages.iter().flat_map(|package| ["-p", package]);
        let chosen = chosen.chain(["--lib", "--bins", "--tests"]).collect();
        Self { chosen, target: None, seconds }
    }

    /// A suite of the package `tests`.
    pub(super) fn suite(name: &'static str, seconds: u32) -> Self {
        let chosen = vec!["-p", "tests", "--test", name];
        Self { chosen, target: Some(name), seconds }
    }

    /// Builds outside, runs inside.
    pub(super) fn run(&self, house: &House, host: &Host) -> Result<Outcome> {
        if let Err(reason) = host.usable() {
            return Ok(Outcome::skipped(reason));
        }
        if let Some(target) = self.target {
            let manifest = std::fs::read_to_string(house.root().join("tests/Cargo.toml"))
                .context("cannot read tests/Cargo.toml")?;
            if !declares(&manifest, target)? {
                return Ok(Outcome::failed(format!("tests/Cargo.toml declares no [[test]] named {target}")));
            }
        }
        let mut build = house.cargo(&["test", "--no-run"]);
        if !live::run(build.args(&self.chosen))?.status.success() {
            return Ok(Outcome::failed("its tests do not build".to_owned()));
        }
        let mut command = self.command(house);
        if self.target.is_some() {
            command.env("QUELL_BINARY", house.binary()?).env("QUELL_PEERS", house.peers());
        }
        let ran = live::run(&mut command)?;
        let why_not = if ran.timed_out() {
            format!("stopped after {} s", self.seconds)
        } else {
            format!("its tests ended with {}", ran.status)
        };
        let tally = Tally::read(ran.lines.iter().map(String::as_str));
        Ok(Outcome::of_tests(tally, ran.status.success(), &why_not))
    }

    fn command(&self, house: &House) -> Command {
        let mut command = house.limited(self.seconds);
        command.args(UNSHARE).arg(cargo_path()).args(["test", "--no-fail-fast"]).args(&self.chosen);
        // Output is not held back: of a suite that is stopped, one sees where it stood.
        command.args(["--", "--nocapture"]);
        command.env("QUELL_PRIVATE_NAMESPACE", "1");
        command
    }
}

/// Whether a manifest declares a test target of this name.
fn declares(manifest: &str, name: &str) -> Result<bool> {
    let manifest: toml::Table = manifest.parse().context("cannot parse tests/Cargo.toml")?;
    let targets = manifest.get("test").and_then(toml::Value::as_array);
    let named = |target: &toml::Value| target.get("name").and_then(toml::Value::as_str) == Some(name);
    Ok(targets.is_some_and(|targets| targets.iter().any(named)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_must_be_declared() {
        let manifest = "[package]\nname = \"tests\"\n[[test]]\nname = \"e2e\"\npath = \"e2e/main.rs\"\n";
        assert!(declares(manifest, "e2e").unwrap());
        assert!(!declares(manifest, "kernel").unwrap());
        assert!(!declares("[package]\n", "e2e").unwrap());
    }

    #[test]
    fn crates_are_chosen_by_name() {
        let chosen = Inside::packages(&["sys", "agent"], 1).chosen;
        assert_eq!(chosen, ["-p", "sys", "-p", "agent", "--lib", "--bins", "--tests"]);
    }
}
