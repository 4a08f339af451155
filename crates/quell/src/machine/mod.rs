//! `quell machine`: the machines, and acts on one.

use std::ffi::OsString;

use clap::Subcommand;
use model::MachineId;

use crate::client::Connection;
use crate::client::comment::Comment;
use crate::client::confirm::Confirm;
use crate::client::wait::Wait;
use crate::failure::Failure;

mod list;
mod quarantine;
mod show;

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
    /// All machines
    List,
    /// What is known of one
    Show {
        /// The machine's id: 40 hexadecimal digits
        #[arg(value_name = "ID")]
        machine: MachineId,
    },
    /// Stop a file there, move every copy into the vault, and never let it run there again
    Quarantine {
        /// The machine's id: 40 hexadecimal digits
        #[arg(value_name = "ID")]
        machine: MachineId,
        /// SHA-1, SHA-256, or the path of a file on this host
        #[arg(value_name = "HASH|PATH")]
        file: OsString,
        #[command(flatten)]
        comment: Comment,
        #[command(flatten)]
        confirm: Confirm,
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
        Verb::Show { machine } => show::run(&api, format, machine),
        Verb::Quarantine { machine, file, comment, confirm, wait } => {
            quarantine::run(&api, format, machine, &file, (comment, confirm), &wait)
        }
    }
}
