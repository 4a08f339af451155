//! `quell agent bypass`: go past a rule that warns, as the user who runs this.

use agent::local::{self, Reply, Request};
use model::FileId;
use wire::rest::Stamp;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::say;

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    /// SHA-256 or SHA-1 of the file that you were warned of
    #[arg(value_name = "HASH")]
    file: FileId,
    /// Why; your administrators read it
    #[arg(long, value_name = "TEXT")]
    comment: String,
    /// The agent's data directory [default: /var/lib/quell]
    #[arg(long, value_name = "DIR", default_value = "/var/lib/quell")]
    data_dir: std::path::PathBuf,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let request = Request::Bypass(args.file, args.comment);
    match local::ask_as_user(&args.data_dir, &request)? {
        Reply::Bypassed(until) => {
            say::out(format!("you may run it until {}; your administrators are told", Stamp(until)));
            Ok(())
        }
        Reply::Refused(reason) => Err(Failure::new(Exit::Refused, reason)),
        _ => Err(Failure::new(Exit::Failed, "the agent answered something else")),
    }
}
