//! `quell agent`: what runs on a machine, and what it keeps there.

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Format;

mod approve;
pub(crate) mod brake;
mod bypass;
mod explain;
mod guard;
mod inspect;
mod metrics;
pub(crate) mod places;
pub(crate) mod release;
pub(crate) mod retention;
mod run;
mod spared;
mod status;
mod survey;
mod top;
mod uninstall;
mod vault;
mod waits;
mod work;

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
    /// Stand between the kernel and what is executed; `run` starts it
    #[command(hide = true)]
    Guard(guard::Args),
    /// Do what else an agent does; `run` starts it
    #[command(hide = true)]
    Work(work::Args),
    /// Find out what may never be denied; `work` starts it
    #[command(hide = true)]
    Survey(survey::Args),
    /// Parse what lies on this machine, with no right but to compute; `work` starts it
    #[command(hide = true)]
    Inspect(inspect::Args),
    /// Let everything run on this machine, until `engage`: for when the guard itself is what is wrong
    Release(release::ReleaseArgs),
    /// Deny again after a release, or after the guard has crashed too often
    Engage(release::EngageArgs),
    /// How the agent is: what it knows, what is denied and where, how far it is
    Status(status::Args),
    /// What the guard does now, and what each process waits for it
    Top(top::Args),
    /// Why a file or a process runs or does not
    Explain(explain::Args),
    /// What may never be denied or quarantined here, by whose word, and whether it is still what it was
    Spared(spared::Args),
    /// Let go on what the brake holds: denials of files that run widely, and quarantines, beyond so many an hour
    Approve(approve::Args),
    /// Go past a rule that warns of a file, for a day
    Bypass(bypass::Args),
    /// The agent's figures in the text form of Prometheus
    Metrics(metrics::Args),
    /// Remove the agent's files from this machine, once it is settled what becomes of quarantined copies
    Uninstall(uninstall::Args),
    /// The quarantined copies on this machine
    #[command(subcommand)]
    Vault(vault::Verb),
}

impl Args {
    /// The form that was asked for, if any was.
    pub(crate) fn format(&self) -> Option<Format> {
        match &self.verb {
            Verb::Run(_) | Verb::Guard(_) | Verb::Work(_) | Verb::Top(_) | Verb::Metrics(_) => None,
            Verb::Release(_) | Verb::Engage(_) | Verb::Survey(_) | Verb::Uninstall(_) => None,
            Verb::Inspect(_) => None,
            Verb::Spared(args) => args.output,
            Verb::Status(args) => args.output,
            Verb::Explain(args) => args.output,
            Verb::Approve(args) => args.output,
            Verb::Bypass(_) => None,
            Verb::Vault(verb) => verb.output(),
        }
    }
}

/// Does what the verb says.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.verb {
        Verb::Run(args) => run::run(args),
        Verb::Guard(args) => guard::run(args),
        Verb::Work(args) => work::run(args),
        Verb::Survey(args) => survey::run(&args),
        Verb::Inspect(args) => inspect::run(&args),
        Verb::Spared(args) => spared::run(&args),
        Verb::Release(args) => release::release(&args),
        Verb::Engage(args) => release::engage(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Approve(args) => approve::run(args),
        Verb::Bypass(args) => bypass::run(args),
        Verb::Top(args) => top::run(&args),
        Verb::Metrics(args) => metrics::run(&args),
        Verb::Uninstall(args) => uninstall::run(&args),
        Verb::Vault(verb) => vault::run(verb),
    }
}

/// The process that started this one.
fn parent() -> i32 {
    rustix::process::getppid().map_or(0, rustix::process::Pid::as_raw_pid)
}
