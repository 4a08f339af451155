//! The shipped binary, run as the README says.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::api::Api;
use crate::wait_for;

/// A running `quell up` and the means to talk to it.
#[derive(Debug)]
pub struct Up {
    child: Child,
    ready_file: PathBuf,
    /// What the ready file said.
    pub ready: Value,
}

/// What is passed to `up`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it keeps everything.
    pub data_dir: PathBuf,
    /// What is watched.
    pub watch: PathBuf,
    /// What is guarded; the demo filesystem, if none.
    pub guard: Option<PathBuf>,
    /// The rate limit, as the flag takes it.
    pub rate_limit: &'static str,
    /// Further flags.
    pub more: Vec<OsString>,
    /// The program, if it is not the [shipped one](binary) itself.
    pub program: Option<PathBuf>,
    /// Where it says what it says; a file beside the data directory, if none.
    pub log: Option<Arc<OwnedFd>>,
}

/// The shipped binary.
///
/// # Panics
/// When nobody says where it is.
pub fn binary() -> PathBuf {
    std::env::var_os("QUELL_BINARY").map(PathBuf::from).unwrap_or_else(|| {
        let mut path = std::env::current_exe().expect("this program has a path");
        while path.pop() {
            for profile in ["release", "debug"] {
                let binary = path.join(profile).join("quell");
                if binary.exists() {
                    return binary;
                }
            }
        }
        panic!("name the binary in QUELL_BINARY, or build it: cargo build --release -p quell")
    })
}

impl Up {
    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it is not ready in half a minute.
    pub fn start(options: &Options) -> Self {
        let ready_file = options.data_dir.with_extension("ready");
        let _ = fs::remove_file(&ready_file);
        let mut command = Command::new(options.program.clone().unwrap_or_else(binary));
        command.arg("up").arg("--data-dir").arg(&options.data_dir).args(["--listen", "127.0.0.1:0"]);
        command.args(["--rate-limit", options.rate_limit]).arg("--ready-file").arg(&ready_file);
        command.arg("--watch").arg(&options.watch);
        if let Some(guard) = &options.guard {
            command.arg("--guard").arg(guard);
        }
        command.args(&options.more);
        let log = fs::File::options().create(true).append(true).open(options.data_dir.with_extension("log"));
        let log = log.expect("a log file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(
            match &options.log {
                Some(log) => Stdio::from(log.try_clone().expect("a log")),
                None => log.into(),
            },
        );
        let mut child = command.spawn().expect("the binary runs");
        let ready = wait_for("the ready file", Duration::from_secs(30), || {
            if let Some(status) = child.try_wait().expect("a child") {
                let log = fs::read_to_string(options.data_dir.with_extension("log")).unwrap_or_default();
                panic!("quell up ended with {status}:\n{log}");
            }
            serde_json::from_slice(&fs::read(&ready_file).ok()?).ok()
        });
        Self { child, ready_file, ready }
    }

    /// The API, with a token.
    pub fn api(&self) -> Api {
        Api::sign_in(&self.ready)
    }

    /// A field of the ready file.
    ///
    /// # Panics
    /// When it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_else(|| panic!("the ready file has {name}"))
    }

    /// Runs another verb of the binary against it; its standard output.
    ///
    /// # Panics
    /// When it fails.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new(binary()).args(arguments).env("QUELL_PROFILE", &self.ready_file).output();
        let output = output.expect("the binary runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "quell {arguments:?}: {}: {error}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Its children and theirs: the warden, the guard and the agent.
    pub fn family(&self) -> Vec<i32> {
        family(self.pid())
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Kills the tree at its root, and waits until all of it is gone.
    ///
    /// # Panics
    /// When one of its family outlives it by more than a second.
    pub fn kill(mut self) {
        let family = self.family();
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        for pid in family {
            wait_for("warden, guard and agent to end with up", Duration::from_secs(1), || {
                has_ended(pid).then_some(())
            });
        }
    }

    /// Stops it as Ctrl-C does, and waits.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it can be told");
        let status =
            wait_for("a clean end", Duration::from_secs(15), || self.child.try_wait().expect("a child"));
        assert!(status.success(), "quell up ended with {status}");
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_ended(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
}

/// The children of a process and theirs, oldest first.
pub fn family(root: i32) -> Vec<i32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        at += 1;
        found.extend(sys::processes::all().filter(|pid| sys::processes::parent(*pid).ok() == Some(parent)));
    }
    found.remove(0);
    found.sort_by_key(|pid| sys::processes::start_time(*pid).unwrap_or_default());
    found
}

/// The one of the family of `root` that was started as `quell agent VERB`.
pub fn one_of(root: i32, verb: &str) -> Option<i32> {
    family(root).into_iter().find(|pid| {
        sys::processes::arguments(*pid)
            .is_ok_and(|arguments| arguments.get(1..3).is_some_and(|told| told == ["agent", verb]))
    })
}

/// Options for a data directory in `dir`, to watch and guard the filesystem of `place`.
pub fn options(dir: &Path, place: &Path) -> Options {
    Options {
        data_dir: dir.join("data"),
        watch: place.to_owned(),
        guard: Some(place.to_owned()),
        rate_limit: "off",
        more: Vec::new(),
        program: None,
        log: None,
    }
}
