//! `quell operator`: the key of who answers for the machines, and what it lets go on.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use model::HoldId;

use crate::client::Connection;
use crate::client::comment::Comment;
use crate::client::patience::Patience;
use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::say;

mod approve;
mod key;
mod list;
mod rotate;
mod sign;

/// What the role is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show the operator key, take its private half away from the server, or have another one follow
    Key(key::Args),
    /// What waits for approval, on all machines
    List,
    /// Sign an approval, also where no server is reached: what it prints goes to `quell operator approve --signed`, or to
    /// `quell agent approve --signed` on the machine
    Sign {
        /// What is to be signed: the `request` that `list -o json`, or `quell agent approve --list -o json`, shows
        #[arg(value_name = "REQUEST")]
        request: String,
        #[command(flatten)]
        with: With,
        #[command(flatten)]
        comment: Comment,
    },
    /// Let something go on: signs an approval and brings it to its machine
    Approve {
        /// What is to go on, by its id
        #[arg(value_name = "ID", required_unless_present = "signed")]
        hold: Option<HoldId>,
        /// What `quell operator sign` has printed
        #[arg(long, value_name = "TEXT", conflicts_with = "hold")]
        signed: Option<String>,
        #[command(flatten)]
        with: With,
        #[command(flatten)]
        comment: Comment,
        /// How many seconds to wait at most until the machine has answered
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        timeout: u64,
    },
}

/// With which key to sign, and for how long that holds.
#[derive(clap::Args)]
struct With {
    /// The private half [default: operator-key.pem in the data directory]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    data_dir: DataDir,
    /// For how many hours the approval holds, by the machine's clock
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
    valid_for: u32,
}

/// Does what the verb says.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let format = args.connection.format();
    let api = || args.connection.api();
    match args.verb {
        Verb::Key(key::Args { verb: Some(key::Verb::Rotate(told)), .. }) => {
            rotate::run(&api()?, told, format)
        }
        Verb::Key(key::Args { verb: Some(key::Verb::Replace(told)), .. }) => key::replace(&told, format),
        Verb::Key(key) => key::run(&key.here, format),
        Verb::List => list::run(&api()?, format),
        Verb::Sign { request, with, comment } => sign::run(&request, &with, comment, format),
        Verb::Approve { signed: Some(text), timeout, .. } => {
            let api = api()?;
            Patience::of(Duration::from_secs(timeout)).call(|| approve::bring(&api, &text))?;
            say::aside("the approval is on its way to the machine");
            Ok(())
        }
        Verb::Approve { hold: Some(hold), with, comment, timeout, .. } => {
            approve::run(&api()?, hold, &with, comment, Duration::from_secs(timeout))
        }
        // The grammar does not let it come to this.
        Verb::Approve { .. } => Err(Failure::usage("say what is to go on, by its id")),
    }
}
