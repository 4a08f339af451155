//! `quell agent run`: be this machine's agent.

use std::path::{Path, PathBuf};

use agent::Watched;
use agent::run::Config;
use model::{MachineId, OrganizationId};

use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::profile::{self, Profile};

use super::places;

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
    /// Which machine this is [default: as the last `quell up` said]
    #[arg(long, value_name = "ID")]
    machine: Option<MachineId>,
    /// Whose machine this is [default: as the last `quell up` said]
    #[arg(long, value_name = "ID")]
    organization: Option<OrganizationId>,
    /// The filesystems whose files are to be known [default: all local ones]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    watch: Vec<PathBuf>,
    /// The filesystems where execution is denied and acts take place, or `none`
    #[arg(long, value_name = "PATH", num_args = 1.., default_value = "/")]
    guard: Vec<PathBuf>,
    /// End when this process does
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<i32>,
}

/// Returns after a SIGTERM.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let data_dir = args.data_dir.path();
    let (machine, organization) = match (args.machine, args.organization) {
        (Some(machine), Some(organization)) => (machine, organization),
        (machine, organization) => {
            let known = enrolled(&data_dir)?;
            (machine.unwrap_or(known.0), organization.unwrap_or(known.1))
        }
    };
    let watched = match places::watched(&args.watch)? {
        paths if paths.is_empty() => Watched::All,
        paths => Watched::Paths(paths),
    };
    let guarded = places::guarded(&args.guard)?;
    let parent = args.parent.unwrap_or_else(parent);
    Ok(agent::run::run(Config { data_dir, machine, organization, watched, guarded, parent })?)
}

/// As what the last `up` on this data directory enrolled the machine.
fn enrolled(data_dir: &Path) -> Result<(MachineId, OrganizationId), Failure> {
    let path = data_dir.join(profile::NAME);
    let known = Profile::read(&path).ok();
    let ids = known.and_then(|known| Some((known.machine_id.parse().ok()?, known.tenant_id.parse().ok()?)));
    ids.ok_or_else(|| {
        Failure::usage(format!("{} does not say which machine this is", path.display()))
            .hint("start `quell up` once, or give --machine ID and --organization ID")
    })
}

/// The process that started this one.
pub(super) fn parent() -> i32 {
    rustix::process::getppid().map_or(0, rustix::process::Pid::as_raw_pid)
}
