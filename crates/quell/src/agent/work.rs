//! `quell agent work`: what of the agent need not stand between the kernel and an exec.

use std::path::PathBuf;

use agent::Watched;
use agent::run::Config;
use agent::warden::{Numbers, Tether};
use model::{MachineId, OrganizationId};

use crate::data_dir::DataDir;
use crate::failure::Failure;

use super::{brake, inspect, parent, places, release, retention, survey};

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
    #[command(flatten)]
    lever: release::Lever,
    #[command(flatten)]
    brake: brake::Brake,
    #[command(flatten)]
    retention: retention::Retention,
    /// Which machine this is
    #[arg(long, value_name = "ID")]
    machine: MachineId,
    /// Whose machine this is
    #[arg(long, value_name = "ID")]
    organization: OrganizationId,
    /// The filesystems whose files are to be known [default: all local ones]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    watch: Vec<PathBuf>,
    /// The filesystems where execution is denied and acts take place, or `none`
    #[arg(long, value_name = "PATH", num_args = 1.., default_value = "/")]
    guard: Vec<PathBuf>,
    /// How much of one processor may be used to look through the filesystems, in percent; 0 for all there is
    #[arg(long, value_name = "PERCENT", default_value_t = 10, env = "QUELL_SWEEP_PACE")]
    sweep_pace: u32,
    /// End when this process does
    #[arg(long, value_name = "PID")]
    parent: Option<i32>,
    /// The descriptor of the page shared with the warden
    #[arg(long, value_name = "FD")]
    page: Option<i32>,
}

/// Returns after a SIGTERM.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    // First of all: afterwards the number may mean another file.
    let numbers = args.page.map(|page| Numbers { page, ..Numbers::default() });
    let tether = numbers.map(|numbers| Tether::take(&numbers)).transpose().map_err(anyhow::Error::from)?;
    let watched = match places::watched(&args.watch)? {
        paths if paths.is_empty() => Watched::All,
        paths => Watched::Paths(paths),
    };
    let data_dir = args.data_dir.path();
    Ok(agent::run::run(Config {
        inspector: inspect::helper(&data_dir),
        data_dir,
        machine: args.machine,
        organization: args.organization,
        watched,
        guarded: places::guarded(&args.guard)?,
        sweep_pace: args.sweep_pace,
        parent: args.parent.unwrap_or_else(parent),
        tether,
        lever: args.lever.place(),
        limits: args.brake.limits(),
        surveyor: survey::surveyor(),
        retention: args.retention.bounds(),
    })?)
}
