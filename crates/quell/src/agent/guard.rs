//! `quell agent guard`: stand between the kernel and what is executed.

use std::path::PathBuf;
use std::time::Duration;

use agent::guard::Config;
use agent::guard::bpf::Level;

use crate::data_dir::DataDir;
use crate::failure::Failure;

use super::places;
use super::run::parent;

/// By then every question is answered, known or not.
const TIMER: Duration = Duration::from_millis(200);

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
    /// The filesystems where execution is denied
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    guard: Vec<PathBuf>,
    /// Ask about every open, not only execs: sees scripts given to their interpreters and libraries, and costs a
    /// round trip at each open
    #[arg(long)]
    guard_opens: bool,
    /// How execution is denied: by asking about each exec (fanotify), in the kernel (bpf), in the kernel and also when
    /// the guard is gone, until `quell agent release` (bpf-pinned), or in the kernel where that can be (auto)
    #[arg(long, value_name = "LEVEL", default_value = "auto", env = "QUELL_GUARD_LEVEL")]
    guard_level: Level,
    /// End when this process does
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<i32>,
}

/// Returns after a SIGTERM.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    Ok(agent::guard::run(Config {
        data_dir: args.data_dir.path(),
        guarded: places::guarded(&args.guard)?,
        parent: args.parent.unwrap_or_else(parent),
        timer: TIMER,
        permit_on_timeout: true,
        opens: args.guard_opens,
        level: args.guard_level,
    })?)
}
