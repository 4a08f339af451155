//! `cargo xtask test`: all suites in order, none stopped by another's failure.

use std::time::Instant;

use anyhow::Result;

use crate::house::House;
use crate::packages;
use report::{Report, Row};
use suite::Suite;

pub(crate) use namespace::NEEDED;

mod agent_only;
mod cargo;
mod deny;
mod namespace;
mod report;
mod suite;
pub(crate) mod tally;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only this suite (may be given several times).
    #[arg(long, value_enum, value_name = "SUITE")]
    only: Vec<Suite>,
}

/// Runs the suites; whether none failed.
pub(crate) fn run(house: &House, args: &Args) -> Result<bool> {
    let chosen: Vec<Suite> = Suite::ALL
        .iter()
        .copied()
        .filter(|suite| args.only.is_empty() || args.only.contains(suite))
        .collect();
    if chosen.iter().any(|suite| suite.needs_namespace()) {
        packages::provide(house, namespace::NEEDED);
    }
    let host = namespace::Host::probe();
    let mut report = Report::default();
    for suite in chosen {
        println!("\n== {}", suite.name());
        let begun = Instant::now();
        let outcome =
            suite.run(house, &host).unwrap_or_else(|why| tally::Outcome::failed(format!("{why:#}")));
        let row = Row { suite: suite.name(), outcome, took: begun.elapsed() };
        println!("== {}", row.line());
        report.add(row);
    }
    println!("\n{report}");
    Ok(report.failed() == 0)
}
