//! `quell agent guard`: stand between the kernel and what is executed.

use std::path::PathBuf;
use std::time::Duration;

use agent::guard::Config;
use agent::guard::bpf::Level;
use agent::warden::{Numbers, Tether};

use crate::data_dir::DataDir;
use crate::failure::Failure;

use super::{parent, places};

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
    /// Deny what could not be judged in time; without it such a file runs, and is stopped when the verdict comes
    #[arg(long)]
    fail_closed: bool,
    /// End when this process does
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<i32>,
    /// The descriptor of the page shared with the warden
    #[arg(long, value_name = "FD")]
    page: Option<i32>,
    /// The descriptor on which the warden is told that rules are in force
    #[arg(long, value_name = "FD", requires = "page")]
    channel: Option<i32>,
    /// The descriptor on which the warden asks for a beat
    #[arg(long, value_name = "FD", requires = "page")]
    waker: Option<i32>,
    /// The descriptors by which the warden hears that a resting guard is asked
    #[arg(long, value_name = "FD", requires = "page")]
    alarm: Vec<i32>,
    /// The descriptors of the rules to begin with
    #[arg(long, value_name = "FD", requires = "page")]
    snapshot: Vec<i32>,
    /// Mark nothing, and deny nothing
    #[arg(long, requires = "page")]
    observe: bool,
    /// Another guard goes on until this one is in force
    #[arg(long, requires = "channel")]
    relieves: bool,
}

/// Returns after a SIGTERM.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let guarded = places::guarded(&args.guard)?;
    // First of all: afterwards the numbers may mean other files.
    let numbers = args.page.map(|page| Numbers {
        page,
        channel: args.channel,
        waker: args.waker,
        alarm: args.alarm,
        snapshots: args.snapshot,
    });
    let tether = numbers.map(|numbers| Tether::take(&numbers)).transpose().map_err(anyhow::Error::from)?;
    let tether = tether.map(|mut tether| {
        (tether.observes, tether.relieves) = (args.observe, args.relieves);
        tether
    });
    Ok(agent::guard::run(Config {
        data_dir: args.data_dir.path(),
        guards_later: places::is_all(&guarded),
        guarded,
        parent: args.parent.unwrap_or_else(parent),
        timer: TIMER,
        permit_on_timeout: !args.fail_closed,
        tether,
        opens: args.guard_opens,
        level: args.guard_level,
    })?)
}
