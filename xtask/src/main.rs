//! Upkeep of the workspace: `cargo xtask test | tidy | bench | soak | bpf | vm-test | vm-bench | vm-run`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

mod bpf;
mod house;
mod live;
mod packages;
mod programs;
mod test;
mod tidy;
mod vm;

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
    /// Compile the guard's LSM programs, or check that they are what their source says.
    Bpf(bpf::Args),
    /// Run the tests that need another kernel, in an emulated machine.
    VmTest(vm::suite::Args),
    /// Count the instructions that a guard costs, in an emulated machine.
    VmBench(vm::bench::Args),
    /// Run a command as root in an emulated machine with a kernel of Debian's.
    VmRun(vm::RunArgs),
}

fn main() -> ExitCode {
    if vm::guest::is_guest() {
        vm::guest::run();
    }
    let as_code = |held: bool| u8::from(!held);
    let done = house::House::here().and_then(|house| match Task::parse() {
        Task::Test(args) => test::run(&house, &args).map(as_code),
        Task::Tidy => tidy::run(&house).map(|report| as_code(report.clean())),
        Task::Bench(args) => programs::run(&house, programs::Kind::Bench, &args).map(as_code),
        Task::Soak(args) => programs::run(&house, programs::Kind::Soak, &args).map(as_code),
        Task::Bpf(args) => bpf::run(&house, &args).map(as_code),
        Task::VmTest(args) => vm::suite::run_alone(&house, &args).map(as_code),
        Task::VmBench(args) => vm::bench::run(&house, &args).map(as_code),
        Task::VmRun(args) => vm::run(&house, &args),
    });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            eprintln!("xtask: {why:#}");
            ExitCode::from(2)
        }
    }
}
