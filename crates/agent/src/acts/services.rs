//! Services whose main process was stopped, and which systemd would start again at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// systemd's own id.
const MANAGER: i32 = 1;
/// How long `systemctl` may take; a service may need `TimeoutStopSec` of its own, which is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const PROGRAM: &str = "systemctl";

/// Services of the machine's own manager in which processes were stopped that it had started itself.
#[derive(Debug)]
pub(super) struct Services {
    /// CLOCK_MONOTONIC, as systemd tells it: nothing was stopped before.
    since_us: u64,
    stopped: BTreeMap<String, BTreeSet<i32>>,
}

impl Services {
    pub(super) fn new() -> Self {
        Self { since_us: monotonic_us(), stopped: BTreeMap::new() }
    }

    /// A process of that service has ended.
    pub(super) fn add(&mut self, service: String, pid: i32) {
        self.stopped.entry(service).or_default().insert(pid);
    }

    /// Stops those that would be started again, and says which; and why some could not be.
    pub(super) fn stop(&self, failures: &mut BTreeSet<String>) -> Vec<String> {
        let mut stopped = Vec::new();
        for (service, pids) in &self.stopped {
            let outcome = match self.comes_back(service, pids) {
                Ok(false) => continue,
                Ok(true) => systemctl(&["stop", "--no-block", "--", service]).map(drop),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => stopped.push(service.clone()),
                Err(error) => {
                    failures.insert(format!(
                        "{service} may start it again: {error}; type `systemctl stop {service}`"
                    ));
                }
            }
        }
        stopped
    }

    /// Whether its main process was one of those, and the manager starts it again when that ends. Others of its
    /// processes do not matter to it: who runs something from a cron job does not stop cron.
    fn comes_back(&self, service: &str, pids: &BTreeSet<i32>) -> Result<bool, String> {
        let properties = "--property=Restart,ExecMainPID,ExecMainStartTimestampMonotonic";
        let told = systemctl(&["show", properties, "--", service])?;
        let is_again = told.restart != "no" && !told.restart.is_empty();
        // It may have been started again already, under another id.
        Ok(is_again && (pids.contains(&told.main_pid) || told.main_started_us >= self.since_us))
    }
}

/// The service that the machine's manager started this process for, if it did so itself. A process of a user's own
/// manager, of a container or of a session is in none; nor is one that outlived its parent in a service of ours.
pub(super) fn of(pid: i32) -> Option<String> {
    if sys::processes::parent(pid).ok()? != MANAGER {
        return None;
    }
    let service = service_in(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)?;
    let own = fs::read_to_string("/proc/self/cgroup").ok().and_then(|own| service_in(&own));
    (own.as_ref() != Some(&service)).then_some(service)
}

/// `/system.slice/a.slice/b.service/its/own` is in `b.service`. Where old and unified groups are mounted, one of them is
/// the manager's.
fn service_in(cgroups: &str) -> Option<String> {
    let is_managers = |line: &&str| line.starts_with("0::") || line.contains(":name=systemd:");
    cgroups.lines().filter(is_managers).find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let unit = path.split('/').find(|part| !part.is_empty() && !part.ends_with(".slice"))?;
        let is_users_manager = unit.starts_with("user@");
        (unit.ends_with(".service") && !is_users_manager).then(|| unit.to_owned())
    })
}

/// As systemd counts it.
fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// What `systemctl show` tells of a service.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shown {
    restart: String,
    main_pid: i32,
    main_started_us: u64,
}

impl Shown {
    fn read(told: &str) -> Self {
        let mut shown = Self::default();
        for (name, value) in told.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "Restart" => value.clone_into(&mut shown.restart),
                "ExecMainPID" => shown.main_pid = value.parse().unwrap_or(0),
                "ExecMainStartTimestampMonotonic" => shown.main_started_us = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        shown
    }
}

fn systemctl(arguments: &[&str]) -> Result<Shown, String> {
    if !Path::new("/run/systemd/system").exists() {
        return Err("systemd does not manage this machine, but something does".to_owned());
    }
    let mut command = Command::new(PROGRAM);
    command.args(["--no-pager", "--no-ask-password"]).args(arguments).env_clear().env("LC_ALL", "C");
    command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = |error: std::io::Error| format!("{PROGRAM}: {error}");
    let mut child = command.spawn().map_err(said)?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(said)? {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{PROGRAM} does not end"));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut told = String::new();
    let mut complaint = String::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = stdout.take(1 << 16).read_to_string(&mut told);
    }
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(1 << 10).read_to_string(&mut complaint);
    }
    if status.success() { Ok(Shown::read(&told)) } else { Err(complaint.trim().to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_by_the_control_group() {
        let of = |path: &str| service_in(&format!("12:pids:/x\n0::{path}\n"));
        assert_eq!(of("/system.slice/demo.service").as_deref(), Some("demo.service"));
        assert_eq!(of("/system.slice/system-a.slice/a@1.service/sub").as_deref(), Some("a@1.service"));
        assert_eq!(of("/user.slice/user-0.slice/user@0.service/app.slice/mine.service"), None);
        assert_eq!(of("/user.slice/user-0.slice/session-1.scope"), None);
        assert_eq!(of("/system.slice/docker-1234.scope"), None);
        assert_eq!(of("/"), None);
        let both = "9:name=systemd:/\n0::/system.slice/new.service\n";
        assert_eq!(service_in(both).as_deref(), Some("new.service"));
        assert_eq!(service_in("1:name=systemd:/system.slice/old.service").as_deref(), Some("old.service"));
    }

    #[test]
    fn what_systemctl_shows_is_read() {
        let told = "Restart=always\nExecMainStartTimestampMonotonic=77\nExecMainPID=42\nOther=x\n";
        let shown = Shown { restart: "always".to_owned(), main_pid: 42, main_started_us: 77 };
        assert_eq!(Shown::read(told), shown);
        assert_eq!(Shown::read("ExecMainPID=x\nnonsense"), Shown::default());
    }
}
