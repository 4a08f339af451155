//! Guard and agent as processes that can be killed: this very test binary, started again.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::guard::bpf::Level;
use agent::guard::client::Guard;
use agent::guard::{self, Config};
use agent::ruleset::RuleSet;

use rustix::process::{Pid, Signal};

use crate::arena::{PATIENCE, assert_own, deny_by};

const GUARD: &str = "QUELL_TEST_GUARD";
const AGENT: &str = "QUELL_TEST_AGENT";
/// Paths, as in PATH.
const GROUNDS: &str = "QUELL_TEST_GROUNDS";
const WHOLE_AGENT: &str = "QUELL_TEST_WHOLE_AGENT";
const LATER: &str = "QUELL_TEST_LATER";
/// Set to have guards ask about opens, too; the whole suite may run so.
const OPENS: &str = "QUELL_GUARD_OPENS";
const FAILS_CLOSED: &str = "QUELL_TEST_FAILS_CLOSED";
const DENIED: &str = "QUELL_TEST_DENIED";
/// What the agent says when its rules are in force.
const ADOPTED: &str = "the rules are in force";

pub(crate) const TIMER: Duration = Duration::from_millis(200);

/// A process that ends with the test.
pub(crate) struct Child(std::process::Child);

impl Child {
    /// A guard of one filesystem.
    pub(crate) fn guard(data_dir: &Path, ground: &Path) -> Self {
        Self::guard_at(level().word(), data_dir, ground)
    }

    /// A guard of several.
    pub(crate) fn guard_of(data_dir: &Path, grounds: &[PathBuf]) -> Self {
        Self::guard_with(level().word(), data_dir, grounds)
    }

    /// A guard of one filesystem at a level of its own.
    pub(crate) fn guard_at(level: &str, data_dir: &Path, ground: &Path) -> Self {
        Self::guard_with(level, data_dir, &[ground.to_owned()])
    }

    /// A guard of several at a level of its own.
    pub(crate) fn guard_with(level: &str, data_dir: &Path, grounds: &[PathBuf]) -> Self {
        let mut command = again("processes::guard_child");
        command.env("QUELL_GUARD_LEVEL", level);
        let grounds = std::env::join_paths(grounds).unwrap();
        Self(command.env(GUARD, data_dir).env(GROUNDS, grounds).spawn().unwrap())
    }

    /// A guard of one filesystem, and of those that its agent finds later.
    pub(crate) fn guard_of_more(data_dir: &Path, ground: &Path) -> Self {
        let mut command = again("processes::guard_child");
        Self(command.env(GUARD, data_dir).env(GROUNDS, ground).env(LATER, "1").spawn().unwrap())
    }

    /// The same, asked about every open there.
    pub(crate) fn guard_of_opens(data_dir: &Path, ground: &Path) -> Self {
        let mut command = again("processes::guard_child");
        command.env(GUARD, data_dir).env(GROUNDS, ground).env(LATER, "1");
        Self(command.env(OPENS, "1").spawn().unwrap())
    }

    /// A guard of one filesystem that asks about execs, and denies what could not be judged in time.
    pub(crate) fn guard_failing_closed(data_dir: &Path, ground: &Path) -> Self {
        let mut command = again("processes::guard_child");
        command.env("QUELL_GUARD_LEVEL", Level::Fanotify.word()).env(FAILS_CLOSED, "1");
        Self(command.env(GUARD, data_dir).env(GROUNDS, ground).spawn().unwrap())
    }

    /// A guard of one filesystem with this library before all others.
    pub(crate) fn guard_preloading(library: &Path, data_dir: &Path, ground: &Path) -> Self {
        let mut command = again("processes::guard_child");
        command.env("LD_PRELOAD", library).env("QUELL_GUARD_LEVEL", level().word());
        Self(command.env(GUARD, data_dir).env(GROUNDS, ground).spawn().unwrap())
    }

    /// An agent that denies one file, by its SHA-256; returns when that is in force.
    pub(crate) fn agent(data_dir: &Path, denied: &str) -> Self {
        Self::agent_by(again("processes::agent_child"), data_dir, denied)
    }

    /// The same with this library before all others.
    pub(crate) fn agent_preloading(library: &Path, data_dir: &Path, denied: &str) -> Self {
        let mut command = again("processes::agent_child");
        command.env("LD_PRELOAD", library);
        Self::agent_by(command, data_dir, denied)
    }

    fn agent_by(mut command: Command, data_dir: &Path, denied: &str) -> Self {
        let mut child =
            command.env(AGENT, data_dir).env(DENIED, denied).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(ADOPTED)), "the agent has ended");
        Self(child)
    }

    /// All of an agent that watches and guards one filesystem.
    pub(crate) fn whole_agent(data_dir: &Path, ground: &Path) -> Self {
        let mut command = again("processes::whole_agent_child");
        Self(command.env(WHOLE_AGENT, data_dir).env(GROUNDS, ground).spawn().unwrap())
    }

    /// Sends a signal. A stop has reached every thread when this returns: on a busy machine some go on for a while.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.0), signal).unwrap();
        while signal == Signal::STOP && !self.is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.0.id())).unwrap().count()
    }

    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.0.kill().unwrap();
        self.0.wait().unwrap()
    }

    /// Waits until it ends.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn parent() -> i32 {
    std::os::unix::process::parent_id().cast_signed()
}

/// The level that this run is about: questions, unless `QUELL_GUARD_LEVEL` names another.
pub(crate) fn level() -> Level {
    let named = std::env::var("QUELL_GUARD_LEVEL").ok().and_then(|word| word.parse().ok());
    named.unwrap_or(Level::Fanotify)
}

/// No test of its own: the guard of others.
#[test]
fn guard_child() {
    let Some(data_dir) = std::env::var_os(GUARD) else { return };
    let guarded: Vec<_> = std::env::split_paths(&std::env::var_os(GROUNDS).unwrap()).collect();
    guarded.iter().for_each(|ground| assert_own(ground));
    let config = Config {
        data_dir: data_dir.into(),
        guarded,
        guards_later: std::env::var_os(LATER).is_some(),
        parent: parent(),
        timer: TIMER,
        permit_on_timeout: std::env::var_os(FAILS_CLOSED).is_none(),
        tether: None,
        opens: std::env::var_os(OPENS).is_some(),
        level: level(),
    };
    guard::run(config).unwrap();
}

/// No test of its own: an agent of others.
#[test]
fn agent_child() {
    let Some(data_dir) = std::env::var_os(AGENT) else { return };
    sys::process::die_with_parent(parent()).unwrap();
    let denied = std::env::var(DENIED).unwrap().parse().unwrap();
    let (sender, _events) = crossbeam_channel::unbounded();
    let client = Guard::attach(Guard::socket(Path::new(&data_dir)), sender);
    let rules = RuleSet::new([deny_by(1, model::rule::Identifier::Sha256(denied))]).unwrap();
    client.adopt(Arc::new(rules), Arc::default(), PATIENCE).unwrap();
    println!("{ADOPTED}");
    loop {
        std::thread::park();
    }
}

/// No test of its own: a whole agent of others, that looks after the ground.
#[test]
fn whole_agent_child() {
    let Some(data_dir) = std::env::var_os(WHOLE_AGENT) else { return };
    let ground = PathBuf::from(std::env::var_os(GROUNDS).unwrap());
    assert_own(&ground);
    agent::run::run(agent::run::Config {
        data_dir: data_dir.into(),
        machine: model::MachineId([1; 20]),
        organization: model::OrganizationId::random(),
        watched: agent::Watched::Paths(vec![ground.clone()]),
        guarded: vec![ground],
        sweep_pace: 0,
        parent: parent(),
        tether: None,
        lever: agent::lever::Lever { file: "/dev/null/none".into(), command_line: "/dev/null".into() },
        limits: agent::brake::Limits::DEFAULT,
        surveyor: agent::spared::Surveyor(vec!["/bin/false".into()]),
        inspector: agent::inspector::Helper(vec!["/bin/false".into()]),
        retention: agent::vault::Retention::default(),
    })
    .unwrap();
}

/// Whether a process was ended by SIGKILL.
pub(crate) fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}
