//! `quell agent`: what runs on a machine, and what it keeps there.

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Format;

mod guard;
mod metrics;
pub(crate) mod places;
mod run;
mod status;
mod top;
mod vault;
mod waits;

/// What the role is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Be this machine's agent; `quell up` starts it
    Run(run::Args),
    /// Stand between the kernel and what is executed; `quell up` starts it
    #[command(hide = true)]
    Guard(guard::Args),
    /// How the agent is: what it knows, what is denied and where, how far it is
    Status(status::Args),
    /// What the guard does now, and what each process waits for it
    Top(top::Args),
    /// The agent's figures in the text form of Prometheus
    Metrics(metrics::Args),
    /// The quarantined copies on this machine
    #[command(subcommand)]
    Vault(vault::Verb),
}

impl Args {
    /// The form that was asked for, if any was.
    pub(crate) fn format(&self) -> Option<Format> {
        match &self.verb {
            Verb::Run(_) | Verb::Guard(_) | Verb::Top(_) | Verb::Metrics(_) => None,
            Verb::Status(args) => args.output,
            Verb::Vault(verb) => verb.output(),
        }
    }
}

/// Does what the verb says.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.verb {
        Verb::Run(args) => run::run(args),
        Verb::Guard(args) => guard::run(args),
        Verb::Status(args) => status::run(&args),
        Verb::Top(args) => top::run(&args),
        Verb::Metrics(args) => metrics::run(&args),
        Verb::Vault(verb) => vault::run(&verb),
    }
}
