//! `bench` and `soak`: programs of the `tests` package, by name.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::house::{House, cargo_path};
use crate::packages;
use crate::test::NEEDED;

/// Which program, and what is handed on to it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the program, without its prefix.
    name: Option<String>,
    /// Arguments of the program.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// The two kinds, told apart by the prefix of their file names.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Measures; prints ratios.
    Bench,
    /// Lasts longer than continuous integration may.
    Soak,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Bench => "bench-",
            Self::Soak => "soak-",
        }
    }
}

/// Programs that measure the agent as it is packaged, without the server.
const AGENT_ALONE: [&str; 2] = ["bench-inventory", "bench-memory"];

/// What `bench-inspect` compares with, and what brings it its programs.
const PEERS_OF_INSPECT: [packages::Needed; 4] = [
    ("hashdeep", "hashdeep"),
    ("openssl", "openssl"),
    ("osslsigncode", "osslsigncode"),
    ("pip3", "python3-pip"),
];

/// A test that lasts as long as it is told to: briefly among the suites, long as a soak.
struct Long {
    name: &'static str,
    /// Of the crate `agent`.
    test: &'static str,
    /// What tells it how long.
    measure: &'static str,
    long: &'static str,
}

const LONG_TESTS: [Long; 6] = [
    Long { name: "crash", test: "crash", measure: "QUELL_CRASH_ROUNDS", long: "60" },
    Long { name: "crash", test: "crash_act", measure: "QUELL_ACT_ROUNDS", long: "10" },
    Long { name: "crash", test: "disk_faults", measure: "QUELL_CUTS", long: "all 20" },
    Long { name: "race", test: "vault_race", measure: "QUELL_RACE_ROUNDS", long: "10000" },
    Long { name: "restore", test: "vault_identical", measure: "QUELL_RESTORE_CASES", long: "50000" },
    Long { name: "rewrite", test: "model_walk", measure: "QUELL_WALK_SECONDS", long: "1800" },
];

impl Long {
    fn run(&self, house: &House) -> Result<bool> {
        let mut command = house.private();
        command.arg(cargo_path()).args(["test", "--release", "-p", "agent", "--test", self.test]);
        command.args(["--", "--nocapture"]);
        if std::env::var_os(self.measure).is_none() {
            command.env(self.measure, self.long);
        }
        println!("{} = {}", self.measure, std::env::var(self.measure).unwrap_or(self.long.to_owned()));
        Ok(command.status().context("cannot start cargo")?.success())
    }
}

/// Runs one, or lists them.
pub(crate) fn run(house: &House, kind: Kind, args: &Args) -> Result<bool> {
    let mut known = names(&house.root().join("tests/src/bin"), kind.prefix())?;
    if let Kind::Soak = kind {
        known.extend(LONG_TESTS.iter().map(|long| long.name.to_owned()));
        known.dedup();
    }
    let listed = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
    let Some(name) = &args.name else {
        println!("{listed}");
        return Ok(true);
    };
    if !known.contains(name) {
        bail!("there is no {}{name}; there is: {listed}", kind.prefix());
    }
    let mut long =
        LONG_TESTS.iter().filter(|long| matches!(kind, Kind::Soak) && long.name == name).peekable();
    if long.peek().is_some() {
        packages::provide(house, NEEDED);
        // All of them, also when one has failed.
        return long.try_fold(true, |held, long| Ok(long.run(house)? && held));
    }
    let program = format!("{}{name}", kind.prefix());
    if program == "bench-inspect" {
        packages::provide(house, &PEERS_OF_INSPECT);
    }
    // They mount, guard and quarantine: in a mount namespace of their own, as root.
    let mut command = house.private();
    command.arg(cargo_path()).args(["run", "--release", "-p", "tests", "--bin", &program, "--"]);
    let binary = if AGENT_ALONE.contains(&program.as_str()) {
        house.agent_binary()?
    } else {
        house.binary()?.to_owned()
    };
    command.args(&args.args).env("QUELL_BINARY", binary);
    command.env("QUELL_PEERS", house.peers());
    Ok(command.status().context("cannot start cargo")?.success())
}

/// Names in `directory` (`PREFIXname.rs` or `PREFIXname/main.rs`), sorted, without the prefix.
fn names(directory: &Path, prefix: &str) -> Result<Vec<String>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in directory.read_dir()? {
        let entry = entry?.file_name();
        let entry = entry.to_string_lossy();
        let entry = entry.strip_suffix(".rs").unwrap_or(&entry);
        names.extend(entry.strip_prefix(prefix).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_files() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["bench-get.rs", "soak-crash.rs", "bench-exec.rs", "helper.rs"] {
            std::fs::write(directory.path().join(file), "").unwrap();
        }
        std::fs::create_dir(directory.path().join("bench-link")).unwrap();
        assert_eq!(names(directory.path(), "bench-").unwrap(), ["exec", "get", "link"]);
        assert!(names(&directory.path().join("absent"), "bench-").unwrap().is_empty());
    }
}
