//! Every program and script of a small Debian is denied and quarantined, in batches; after each the machine is tried.

use clap::Parser;
use tests::brick::{Measure, run};

/// The whole brick proof.
#[derive(Parser)]
struct Args {
    /// Which order the files come in.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many are away at a time.
    #[arg(long, default_value_t = 60)]
    batch: usize,
    /// Only so many files.
    #[arg(long)]
    files: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let Args { seed, batch, files } = Args::parse();
    for opens in [false, true] {
        let tally = run(&Measure { files, seed, batch, opens })?;
        let asked = if opens { "execs and opens" } else { "execs" };
        println!(
            "asked about {asked}: {} files denied, {} quarantined and restored, {} spared, {} trials",
            tally.denied, tally.quarantined, tally.spared, tally.trials
        );
    }
    Ok(())
}
