//! `quell agent run`: be this machine's agent. This process is the warden; guard and agent are its children.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use agent::guard::bpf::Level;
use agent::warden::Config;
use model::{MachineId, OrganizationId};

use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::profile::{self, Profile};

use super::{brake, parent, places, release};

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
    #[command(flatten)]
    lever: release::Lever,
    #[command(flatten)]
    brake: brake::Brake,
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
    /// Ask about opens as well as execs: scripts given to their interpreters, libraries, programs given to the loader
    #[arg(long)]
    guard_opens: bool,
    /// How execution is denied: by asking about each exec (fanotify), in the kernel (bpf), in the kernel and also when
    /// the guard is gone, until `quell agent release` (bpf-pinned), or in the kernel where that can be (auto)
    #[arg(long, value_name = "LEVEL", default_value = "auto", env = "QUELL_GUARD_LEVEL")]
    guard_level: Level,
    /// Deny what could not be judged in time; without it such a file runs, and is stopped when the verdict comes
    #[arg(long)]
    fail_closed: bool,
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
    let watched = places::watched(&args.watch)?;
    let guarded = places::guarded(&args.guard)?;

    let verb = |verb: &str| -> Vec<OsString> {
        vec!["agent".into(), verb.into(), "--data-dir".into(), data_dir.clone().into()]
    };
    let guard = (!guarded.is_empty()).then(|| {
        let mut arguments = verb("guard");
        arguments.extend(flags("--guard", &guarded));
        arguments.extend(args.guard_opens.then(|| "--guard-opens".into()));
        arguments.extend(["--guard-level".into(), args.guard_level.word().into()]);
        arguments.extend(args.fail_closed.then(|| "--fail-closed".into()));
        arguments
    });
    let mut work = verb("work");
    work.extend(args.lever.flags());
    work.extend(args.brake.flags());
    work.extend(["--machine".into(), machine.to_string().into()]);
    work.extend(["--organization".into(), organization.to_string().into()]);
    work.extend(flags("--watch", &watched));
    match guarded.as_slice() {
        [] => work.extend(["--guard".into(), places::NONE.into()]),
        guarded => work.extend(flags("--guard", guarded)),
    }
    Ok(agent::warden::run(Config {
        program: std::env::current_exe().map_err(anyhow::Error::from)?,
        guard,
        work,
        data_dir,
        parent: args.parent.unwrap_or_else(parent),
        lever: args.lever.place(),
    })?)
}

fn flags<'a>(name: &'a str, paths: &'a [PathBuf]) -> impl Iterator<Item = OsString> + 'a {
    paths.iter().flat_map(move |path| [name.into(), path.clone().into()])
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
