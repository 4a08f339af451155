//! Upkeep of the workspace: `cargo xtask test | tidy | bench | soak`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

mod house;
mod live;
mod programs;
mod test;
mod tidy;

/// Upkeep of the workspace.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Task {
    /// Run every suite (or those named), as continuous integration does.
    Test(test::Args),
    /// Check the house rules.
    Tidy,
    /// Run a measurement of the `tests` package (without a name: list them).
    Bench(programs::Args),
    /// Run a long test of the `tests` package (without a name: list them).
    Soak(programs::Args),
}

fn main() -> ExitCode {
    let done = house::House::here().and_then(|house| match Task::parse() {
        Task::Test(args) => test::run(&house, &args),
        Task::Tidy => tidy::run(&house).map(|report| report.clean()),
        Task::Bench(args) => programs::run(&house, programs::Kind::Bench, &args),
        Task::Soak(args) => programs::run(&house, programs::Kind::Soak, &args),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("xtask: {why:#}");
            ExitCode::from(2)
        }
    }
}
