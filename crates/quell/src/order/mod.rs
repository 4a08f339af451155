//! `quell order`: how far what was asked for is, and how to undo it.

use clap::Subcommand;
use model::OrderId;

use crate::client::Connection;
use crate::client::comment::Comment;
use crate::client::confirm::Confirm;
use crate::client::wait::Wait;
use crate::failure::Failure;
use crate::terms::Terms;

pub(crate) mod follow;

mod cancel;
mod list;
mod show;
mod undo;
mod watch;

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
    /// All orders, newest first
    List,
    /// One order, with each copy it met
    Show {
        /// The order's id
        #[arg(value_name = "ID")]
        order: OrderId,
    },
    /// Follow one until nothing more will happen
    Watch {
        /// The order's id
        #[arg(value_name = "ID")]
        order: OrderId,
        /// How many seconds to follow it at most [default: as long as it takes]
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Withdraw one that no machine has begun
    Cancel {
        /// The order's id
        #[arg(value_name = "ID")]
        order: OrderId,
        #[command(flatten)]
        comment: Comment,
        #[command(flatten)]
        wait: Wait,
    },
    /// Undo one: copies come back, the file may run again
    Undo {
        /// The order's id
        #[arg(value_name = "ID")]
        order: OrderId,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        confirm: Confirm,
        #[command(flatten)]
        comment: Comment,
        #[command(flatten)]
        wait: Wait,
    },
}

/// Does what the verb says.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let format = args.connection.format();
    let api = args.connection.api()?;
    match args.verb {
        Verb::List => list::run(&api, format),
        Verb::Show { order } => show::run(&api, format, order),
        Verb::Watch { order, timeout } => watch::run(&api, format, order, timeout),
        Verb::Cancel { order, comment, wait } => cancel::run(&api, format, order, comment, &wait),
        Verb::Undo { order, terms, confirm, comment, wait } => {
            undo::run(&api, format, order, terms.into(), (comment, confirm), &wait)
        }
    }
}
