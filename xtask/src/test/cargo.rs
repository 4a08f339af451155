//! Suites that are a plain call of cargo.

use anyhow::Result;

use super::namespace::Host;
use super::tally::{Outcome, Tally};
use crate::house::{House, cargo_path};
use crate::live;

/// Seconds for building and running the unit tests, and again for the examples.
const LIMIT: u32 = 1200;

/// One call that holds or does not.
pub(super) fn step(house: &House, args: &[&str], mend: &str) -> Result<Outcome> {
    if live::run(&mut house.cargo(args))?.status.success() {
        return Ok(Outcome::checks(1, 0));
    }
    Ok(Outcome::failed(format!("cargo {} failed: {mend}", args[0])))
}

/// Tests that need no privileges, then the examples in the documentation. Where the `privileged` suite can
/// run, `sys` and `agent` are left to it, so that none of their tests is counted twice.
pub(super) fn unit(house: &House, host: &Host) -> Result<Outcome> {
    let mut packages = vec!["test", "--workspace", "--no-fail-fast", "--exclude", "tests"];
    if host.usable().is_ok() {
        packages.extend(["--exclude", "sys", "--exclude", "agent"]);
    }
    // `--show-output`, or the reasons of tests that could not run would stay hidden.
    let tests = [packages.as_slice(), &["--lib", "--bins", "--tests", "--", "--show-output"]].concat();
    let examples = ["test", "--workspace", "--no-fail-fast", "--exclude", "tests", "--doc"];
    let mut tally = Tally::default();
    let mut ended_well = true;
    let mut why_not = "cargo test failed".to_owned();
    for args in [tests.as_slice(), &examples] {
        let mut command = house.limited(LIMIT);
        let ran = live::run(command.arg(cargo_path()).args(args))?;
        tally.add(Tally::read(ran.lines.iter().map(String::as_str)));
        ended_well &= ran.status.success();
        if ran.timed_out() {
            why_not = format!("stopped after {LIMIT} s");
        }
    }
    Ok(Outcome::of_tests(tally, ended_well, &why_not))
}
