//! `quell file`: what is known of a file, and whether it may run.

use std::ffi::OsString;

use clap::Subcommand;

use crate::client::Connection;
use crate::client::comment::Comment;
use crate::client::confirm::Confirm;
use crate::client::each::each;
use crate::client::target::Target;
use crate::client::wait::Wait;
use crate::failure::Failure;

mod decide;
mod show;
mod whereabouts;

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
    /// What is known of the file
    Show(Files),
    /// On which machines it lies, and where there
    Where(Files),
    /// It may not run anywhere in the organization
    Block {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        comment: Comment,
        #[command(flatten)]
        confirm: Confirm,
        #[command(flatten)]
        wait: Wait,
    },
    /// It may run again
    Unblock {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        comment: Comment,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(clap::Args)]
struct Files {
    /// SHA-1, SHA-256, or the path of a file on this host
    #[arg(required = true, value_name = "HASH|PATH")]
    files: Vec<OsString>,
}

/// Does it for each file.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let format = args.connection.format();
    let api = args.connection.api()?;
    match args.verb {
        Verb::Show(files) => each(&files.files, format, |file| show::run(&api, format, &Target::of(file)?)),
        Verb::Where(files) => {
            each(&files.files, format, |file| whereabouts::run(&api, format, &Target::of(file)?))
        }
        Verb::Block { files, comment, confirm, wait } => {
            let comment = comment.words()?;
            each(&files.files, format, |file| {
                decide::block(&api, format, &Target::of(file)?, &comment, confirm, &wait)
            })
        }
        Verb::Unblock { files, comment, wait } => {
            let comment = comment.words()?;
            each(&files.files, format, |file| {
                decide::unblock(&api, format, &Target::of(file)?, &comment, &wait)
            })
        }
    }
}
