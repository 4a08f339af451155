//! `quell agent survey`: find out what may never be denied, or what packages brought, with no right but to read files.

use agent::spared::Surveyor;

use crate::failure::Failure;

/// This very program, also once another lies at its path.
const THIS: &str = "/proc/self/exe";

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Tell which package owns which files instead
    #[arg(long)]
    origins: bool,
    /// The process that is answered, and with which this one ends
    parent: i32,
}

/// How an agent starts this verb.
pub(super) fn surveyor() -> Surveyor {
    Surveyor([THIS, "agent", "survey"].map(Into::into).to_vec())
}

/// Returns when it has answered.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.origins {
        return Ok(agent::origin::gather_for_parent(args.parent)?);
    }
    Ok(agent::spared::survey_for_parent(args.parent)?)
}
