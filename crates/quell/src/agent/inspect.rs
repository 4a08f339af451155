//! `quell agent inspect`: parse files that are handed in open, with no right but to compute.

use agent::inspector::Helper;
use inspect::Trust;

use crate::failure::Failure;

/// This very program, also once another lies at its path.
const THIS: &str = "/proc/self/exe";

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The process that is answered, and with which this one ends
    parent: i32,
}

/// How an agent starts this verb.
pub(super) fn helper() -> Helper {
    Helper([THIS, "agent", "inspect"].map(Into::into).to_vec())
}

/// Returns when nobody asks any more.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    Ok(agent::inspector::inspect_for_parent(args.parent, &Trust::carried())?)
}
