//! `quell agent release` and `engage`: the lever. Both work while agent and warden are dead or stand still.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::lever;
use agent::warden::{self, Request, Silent, Status};

use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::say;

/// How long the warden may take to follow.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Where the lever is; elsewhere only in tests.
#[derive(clap::Args)]
pub(crate) struct Lever {
    /// The file that releases the guard
    #[arg(long, value_name = "PATH", hide = true, default_value = lever::FILE)]
    release_file: PathBuf,
    /// The file that holds the kernel's command line
    #[arg(long, value_name = "PATH", hide = true, default_value = lever::COMMAND_LINE)]
    command_line: PathBuf,
}

impl Lever {
    pub(super) fn place(&self) -> lever::Lever {
        lever::Lever { file: self.release_file.clone(), command_line: self.command_line.clone() }
    }

    /// As flags for another verb.
    pub(crate) fn flags(&self) -> [OsString; 4] {
        let Self { release_file, command_line } = self;
        ["--release-file".into(), release_file.into(), "--command-line".into(), command_line.into()]
    }
}

/// What `release` is told.
#[derive(clap::Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    data_dir: DataDir,
    #[command(flatten)]
    lever: Lever,
    /// Why; it is shown to whoever asks why nothing is denied
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// What `engage` is told.
#[derive(clap::Args)]
pub(super) struct EngageArgs {
    #[command(flatten)]
    data_dir: DataDir,
    #[command(flatten)]
    lever: Lever,
}

/// Pulls the lever, and waits until nothing is denied any more.
pub(super) fn release(args: &ReleaseArgs) -> Result<(), Failure> {
    only_root()?;
    let lever = args.lever.place();
    let file = lever.file.display();
    lever.pull(&who(), args.comment.as_deref().unwrap_or_default()).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write {file}: {error:#}")).hint(
            "add `quell.release` to the kernel's command line and reboot, or kill the processes of `quell agent`",
        )
    })?;
    lift_pins()?;
    let followed = follow(&args.data_dir.path(), Request::Status, |status| {
        status.guard == 0 && matches!(status.level.as_str(), "released" | "none")
    });
    // Those of a guard that was just about to leave some.
    lift_pins()?;
    match followed {
        Ok(status) => {
            say::out(format!("{}; `quell agent engage` lifts that", status.notice));
            Ok(())
        }
        Err(Unfollowed::Absent) => {
            say::out(format!(
                "released: {file} is written; no warden runs, and the next one starts no guard"
            ));
            Ok(())
        }
        Err(Unfollowed::Hangs(pid)) => Err(Failure::new(
            Exit::WaitedTooLong,
            format!("{file} is written, but the warden (process {pid}) does not follow"),
        )
        .hint(format!("kill -9 {pid}: its guard ends with it, and the next warden starts none"))),
    }
}

/// What a guard has pinned denies without it: that ends here, whoever lives or stands still.
fn lift_pins() -> Result<(), Failure> {
    let released = agent::guard::bpf::release();
    released.map(drop).map_err(|error| {
        Failure::new(Exit::Failed, format!("what a guard has pinned stays in force: {error}"))
            .hint("remove /sys/fs/bpf/quell with all that is in it")
    })
}

/// Lets the lever go, and waits until the guard denies again.
pub(super) fn engage(args: &EngageArgs) -> Result<(), Failure> {
    only_root()?;
    let lever = args.lever.place();
    lever.let_go().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot remove {}: {error:#}", lever.file.display()))
    })?;
    if lever.holds_word() {
        return Err(Failure::new(Exit::Refused, "`quell.release` stands on the kernel's command line")
            .hint("reboot without it; it releases the guard for as long as it is there"));
    }
    match follow(&args.data_dir.path(), Request::Engage, |status| {
        status.level == "none" || status.level == "deny" && status.in_force
    }) {
        Ok(status) => {
            say::out(match status.level.as_str() {
                "none" => "engaged; but nothing is guarded here",
                _ => "engaged: denied files do not run",
            });
            Ok(())
        }
        Err(Unfollowed::Absent) => {
            say::out("engaged; no warden runs, and the next one starts a guard");
            Ok(())
        }
        Err(Unfollowed::Hangs(pid)) => Err(Failure::new(
            Exit::WaitedTooLong,
            format!("the lever is let go, but the guard of warden {pid} does not deny yet"),
        )
        .hint("see `quell agent status` and the agent's log")),
    }
}

/// Why a warden did not do what it was to.
enum Unfollowed {
    Absent,
    Hangs(i32),
}

fn follow(
    data_dir: &Path,
    request: Request,
    is_done: impl Fn(&Status) -> bool,
) -> Result<Status, Unfollowed> {
    let deadline = Instant::now() + PATIENCE;
    let mut request = request;
    loop {
        let pid = match warden::ask(data_dir, request) {
            Ok(status) if is_done(&status) => return Ok(status),
            Ok(status) => status.warden,
            Err(Silent::Absent) => return Err(Unfollowed::Absent),
            Err(Silent::Hangs(pid)) => pid,
        };
        if Instant::now() >= deadline {
            return Err(Unfollowed::Hangs(pid));
        }
        request = Request::Status;
        std::thread::sleep(PAUSE);
    }
}

fn only_root() -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(Exit::NotPermitted, "this needs root").hint("type `sudo quell agent …`"))
}

/// Root, and who became it.
pub(super) fn who() -> String {
    match std::env::var("SUDO_USER") {
        Ok(user) if !user.is_empty() => format!("root ({user})"),
        _ => "root".to_owned(),
    }
}
