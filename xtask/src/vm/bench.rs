//! `vm-bench`: what a guard costs in instructions, in a machine whose time is the number of its instructions.

use anyhow::{Context, Result, bail};

use super::built::stripped;
use super::kernel::Kernel;
use super::machine::Machine;
use super::marks::End;
use super::order::Order;
use super::{programs, ready, toolchain};
use crate::house::{House, UNSHARE};
use crate::live;

/// What counts, of the package `tests`.
const COUNTER: &str = "count-instructions";
/// Seconds for all of it; a hundred million instructions take about one.
const LIMIT: u32 = 3600;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Series of the kernel.
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Of `count-instructions`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Measures; whether every bar holds.
pub(crate) fn run(house: &House, args: &Args) -> Result<bool> {
    ready(house)?;
    let kernel = Kernel::fetch(house, &args.kernel)?;
    let quell = stripped(house, house.binary()?)?;
    let build = ["build", "--release", "-p", "tests", "--bin", COUNTER];
    if !live::run(&mut house.cargo(&build))?.status.success() {
        bail!("{COUNTER} does not build");
    }
    let counter = stripped(house, &house.target().join("release").join(COUNTER))?;
    let mut image = programs::image(&kernel)?;
    toolchain::put(&mut image)?;
    image.put(&quell, "/usr/bin/quell")?;
    image.put(&counter, "/usr/bin/count-instructions")?;
    let command = UNSHARE.iter().chain(["/usr/bin/count-instructions"].iter()).map(|&word| word.to_owned());
    let environment = [("QUELL_PRIVATE_NAMESPACE", "1"), ("QUELL_BINARY", "/usr/bin/quell")];
    let order = Order {
        name: COUNTER.to_owned(),
        arguments: command.chain(args.args.iter().cloned()).collect(),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        seconds: LIMIT,
    };
    let machine = Machine { kernel: &kernel, processors: 1, megabytes: 2048, counts_instructions: true };
    println!("Linux {}, one processor, a nanosecond for each instruction", kernel.release);
    let run = machine.run(house, image, &[order])?;
    if let Some(fault) = &run.fault {
        bail!("{fault}\n{}", run.tail());
    }
    let answer = run.answers.first().context("nothing was begun")?;
    println!("{:.0} s", answer.took.as_secs_f64());
    Ok(answer.end == Some(End::Exit(0)) && answer.lines.iter().any(|line| line == "every bar holds"))
}
