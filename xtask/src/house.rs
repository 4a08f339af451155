//! Where the workspace is, and how its tools are called.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::live;

/// What makes a mount namespace whose mounts nobody else sees.
pub(crate) const UNSHARE: [&str; 4] = ["unshare", "--mount", "--propagation", "private"];

/// The workspace on this machine.
pub(crate) struct House {
    root: PathBuf,
    target: PathBuf,
    /// The release build of `quell`, made at most once per run; the error is kept as text.
    binary: OnceCell<Result<PathBuf, String>>,
}

impl House {
    /// The workspace that this task belongs to.
    pub(crate) fn here() -> Result<Self> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").context("start this as `cargo xtask`")?;
        let root = Path::new(&package).parent().context("xtask has no parent directory")?.to_owned();
        let target = root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        Ok(Self { root, target, binary: OnceCell::new() })
    }

    /// The repository's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where everything that is made goes.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Where tools that this task installs itself are kept.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Where packages of other products are kept that tests and benches compare with.
    pub(crate) fn peers(&self) -> PathBuf {
        self.target.join("peers")
    }

    /// A command in the root, with nothing to read from a terminal.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// The head of a command that is stopped, with all it has started, after `seconds`.
    pub(crate) fn limited(&self, seconds: u32) -> Command {
        let mut command = self.command("timeout");
        command.arg("--kill-after=20").arg(seconds.to_string());
        command
    }

    /// The head of a command that runs in a mount namespace of its own, and is told so.
    pub(crate) fn private(&self) -> Command {
        let mut command = self.command(UNSHARE[0]);
        command.args(&UNSHARE[1..]).env("QUELL_PRIVATE_NAMESPACE", "1");
        command
    }

    /// The cargo that started this task.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command(cargo_path());
        command.args(args);
        command
    }

    /// The shipped binary as it is shipped; built on first use.
    pub(crate) fn binary(&self) -> Result<&Path> {
        let built = self.binary.get_or_init(|| self.build_binary().map_err(|why| format!("{why:#}")));
        match built {
            Ok(path) => Ok(path),
            Err(why) => bail!("{why}"),
        }
    }

    /// The agent as it is packaged: without server and client. Built anew when called, as it stands where the
    /// whole binary does; so it is copied away.
    pub(crate) fn agent_binary(&self) -> Result<PathBuf> {
        let args = ["build", "--release", "-p", "quell", "--no-default-features", "--features", "agent"];
        println!("building the agent's binary (cargo {})", args.join(" "));
        if !live::run(&mut self.cargo(&args))?.status.success() {
            bail!("`cargo {}` failed", args.join(" "));
        }
        let copy = self.target.join("release").join("quell-agent");
        std::fs::copy(self.target.join("release").join("quell"), &copy)?;
        Ok(copy)
    }

    fn build_binary(&self) -> Result<PathBuf> {
        println!("building the shipped binary (cargo build --release -p quell)");
        let ran = live::run(&mut self.cargo(&["build", "--release", "-p", "quell"]))?;
        if !ran.status.success() {
            bail!("`cargo build --release -p quell` failed");
        }
        Ok(self.target.join("release").join("quell"))
    }
}

/// The path of the cargo that runs us, so that a nested call uses the same toolchain.
pub(crate) fn cargo_path() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
