//! `quell file`: what is known of a file, whether it may run, and its bytes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;
use model::MachineId;

use crate::client::comment::Comment;
use crate::client::confirm::Confirm;
use crate::client::each::each;
use crate::client::target::Target;
use crate::client::wait::Wait;
use crate::client::{Api, Connection};
use crate::failure::Failure;
use crate::output::Format;

mod collect;
mod decide;
mod facts;
mod inspect;
pub(crate) mod judge;
mod sample;
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
    /// What the bytes of files on this host say; no server is asked
    Inspect(inspect::Inspect),
    #[command(flatten)]
    Known(Known),
}

/// What the server knows of files, and does with them.
#[derive(Subcommand)]
enum Known {
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
    /// Say what it is, above all lists and engines; `--as unknown` takes that back
    Judge {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        judgement: judge::Judgement,
        #[command(flatten)]
        comment: Comment,
    },
    /// Its bytes are to come from a machine to the server
    Collect {
        #[command(flatten)]
        files: Files,
        /// The machine that has a copy, by its id
        #[arg(long, value_name = "MACHINE")]
        machine: MachineId,
        #[command(flatten)]
        comment: Comment,
        #[command(flatten)]
        wait: Wait,
    },
    /// Fetch its bytes from the server: a zip archive, its password is `infected`
    Sample {
        /// SHA-1, SHA-256, or the path of a file on this host
        #[arg(value_name = "HASH|PATH")]
        file: OsString,
        /// Where to put the archive; nothing is replaced
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
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
    match args.verb {
        Verb::Inspect(inspect) => inspect::run(&inspect, format),
        Verb::Known(verb) => ask(verb, &args.connection.api()?, format),
    }
}

fn ask(verb: Known, api: &Api, format: Format) -> Result<(), Failure> {
    match verb {
        Known::Show(files) => each(&files.files, format, |file| show::run(api, format, &Target::of(file)?)),
        Known::Where(files) => {
            each(&files.files, format, |file| whereabouts::run(api, format, &Target::of(file)?))
        }
        Known::Block { files, comment, confirm, wait } => {
            let comment = comment.words()?;
            each(&files.files, format, |file| {
                decide::block(api, format, &Target::of(file)?, &comment, confirm, &wait)
            })
        }
        Known::Collect { files, machine, comment, wait } => {
            let comment = comment.words()?;
            each(&files.files, format, |file| {
                collect::run(api, format, machine, &Target::of(file)?, &comment, &wait)
            })
        }
        Known::Judge { files, judgement, comment } => {
            let comment = comment.words()?;
            each(&files.files, format, |file| {
                judge::run(api, format, &Target::of(file)?, &judgement, &comment)
            })
        }
        Known::Sample { file, to } => sample::run(api, &Target::of(&file)?, &to),
        Known::Unblock { files, comment, wait } => {
            let comment = comment.words()?;
            each(&files.files, format, |file| {
                decide::unblock(api, format, &Target::of(file)?, &comment, &wait)
            })
        }
    }
}
