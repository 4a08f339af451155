//! What the guard costs, beside what others cost: execs of a tiny program, commands of a shell, a build, opens,
//! and the first exec of a new file. All in one run, in paired rounds: native and each agent in another order in
//! each, and a ratio is taken within its round. Beside them native against native, which tells how much the
//! machine's noise is worth, and a responder that permits everything without a look, which is the mechanism's
//! floor here and now.
//!
//! Each agent has a filesystem of its own, all with the same content, and is asked about nothing else: so all of
//! them can be there at once.

#![forbid(unsafe_code)]

mod arm;
mod bars;
mod paired;
mod permissive;
mod slot;
mod table;
mod workloads;

use std::path::PathBuf;

use clap::Parser;

use arm::{Arms, Kind};
use workloads::Sizes;

#[derive(Parser)]
struct Arguments {
    /// Paired rounds.
    #[arg(long, default_value_t = 41)]
    rounds: usize,
    /// Rules in force, but for the first exec of a file.
    #[arg(long, default_value_t = 1000)]
    rules: u32,
    /// Few rounds of little work: to see that it runs, not to measure.
    #[arg(long)]
    quick: bool,
    /// Measure only these agents, beside native.
    #[arg(long, value_enum, value_delimiter = ',')]
    agents: Vec<Kind>,
    /// Measure only these workloads, by their letters.
    #[arg(long, value_delimiter = ',', default_values = ["a", "b", "c", "d"])]
    only: Vec<char>,
    /// Answer for this filesystem instead, permitting all.
    #[arg(long, hide = true)]
    permit_all: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if !tests::is_private() {
        std::process::exit(2);
    }
    if let Some(directory) = &arguments.permit_all {
        permissive::permit_all(directory);
    }
    let begun = std::time::Instant::now();
    let (rounds, sizes) =
        if arguments.quick { (5, Sizes::quick()) } else { (arguments.rounds, Sizes::whole()) };
    let wanted = if arguments.agents.is_empty() { Kind::ALL.to_vec() } else { arguments.agents };

    let userland = workloads::furnish(&sizes)?;
    let arms = Arms::start(&userland, &wanted, &workloads::first::trusted(&userland, rounds, &sizes)?)?;
    println!("{rounds} rounds; times are medians, ratios are of one round, with their 95 % interval");
    let mut all_hold = true;
    // While one rule is in force: the one by SHA-256.
    if arguments.only.contains(&'d') {
        all_hold &= workloads::first::measure(&arms, &userland, rounds, &sizes)?;
    }
    arms.put_in_force(arguments.rules)?;
    println!("\nrules in force at Quell from here on: {}", arms.rules());
    for (letter, workload) in workloads::repeated(&sizes) {
        if arguments.only.contains(&letter) {
            all_hold &= workload.measure(&arms, rounds)?;
        }
    }
    for (name, reason) in arms.lost() {
        println!("\nNOT MEASURED, or not to the end: {name}: {reason}");
    }
    println!(
        "\n{} in {} s",
        if all_hold { "every bar holds" } else { "a bar FALLS SHORT" },
        begun.elapsed().as_secs()
    );
    Ok(())
}
