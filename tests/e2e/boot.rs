//! The unit that is shipped, on a machine that boots: what is denied stays so from before the network on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::sample::{Sample, is_denied, try_run};
use tests::systemd::{Machine, is_within};
use tests::up::{Up, options};
use tests::{is_private, wait_for};

const NAME: &str = "boot::what_was_denied_is_denied_before_the_network";
const UNIT: &str = "quell-agent.service";
/// Where the sample lies while the machine is off: what is guarded is a tmpfs.
const KEPT: &str = "/var/lib/sample";
const SAMPLE: &str = "/guarded/sample";
const FIRST_RUN: &str = "/first";
const NETWORK: &str = "/network";

#[test]
fn what_was_denied_is_denied_before_the_network() {
    if is_within() {
        return if Path::new(FIRST_RUN).exists() { booted() } else { first_run() };
    }
    if !is_private() {
        return;
    }
    let Some(machine) = Machine::new() else { return };
    machine.boot(NAME, &[]);

    let unit =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/systemd/quell-agent.service"));
    machine.unit(UNIT, &unit.unwrap());
    // In this machine `/` would be all filesystems of the one it runs on.
    machine.unit(&format!("{UNIT}.d/guarded.conf"), GUARDED);
    machine.unit("sample.service", PUT_SAMPLE);
    machine.unit("network-like.service", NETWORK_LIKE);
    machine.unit("test.service.d/after.conf", "[Unit]\nAfter=network-like.service\n");
    machine.boot(NAME, &[UNIT, "sample.service", "network-like.service"]);
}

/// One comes to be denied, as it would on any day.
fn first_run() {
    let sample = Sample::fresh();
    sample.put(Path::new(SAMPLE));
    sample.put(Path::new(KEPT));
    let mut chosen = options(Path::new("/var/lib"), Path::new("/guarded"));
    chosen.data_dir = "/var/lib/quell".into();
    let up = Up::start(&chosen);
    up.api().block(&sample.sha1);
    wait_for("the denial", Duration::from_secs(2), || is_denied(Path::new(SAMPLE)).then_some(()));
    up.stop();
    try_run(Path::new(SAMPLE)).expect("nobody denies now");
    fs::write(FIRST_RUN, "").unwrap();
}

/// After the next boot, without a server.
fn booted() {
    let network = fs::read_to_string(NETWORK).expect("the service before the network ran");
    assert!(network.contains("Operation not permitted"), "{network}");
    assert!(is_denied(Path::new(SAMPLE)));
    assert_eq!(systemctl(&["is-active", UNIT]), "active");
    let before = main_pid();

    systemctl(&["reload", UNIT]);
    assert!(is_denied(Path::new(SAMPLE)));
    assert_eq!(main_pid(), before, "the warden stays");

    systemctl(&["kill", "--kill-whom=main", "--signal=KILL", UNIT]);
    wait_for("the next warden", Duration::from_secs(10), || {
        (main_pid() != before && systemctl(&["is-active", UNIT]) == "active").then_some(())
    });
    assert!(is_denied(Path::new(SAMPLE)), "it is ready only when it denies");

    systemctl(&["stop", UNIT]);
    try_run(Path::new(SAMPLE)).expect("stopped is stopped");
    let left =
        fs::read_to_string(format!("/sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs")).unwrap_or_default();
    assert_eq!(left, "", "nobody of it is left");
}

fn main_pid() -> i32 {
    systemctl(&["show", "--property=MainPID", "--value", UNIT]).parse().unwrap()
}

fn systemctl(arguments: &[&str]) -> String {
    let told = Command::new("systemctl").args(arguments).output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

const GUARDED: &str = "[Service]
ExecStart=
ExecStart=/usr/bin/quell agent run --watch /guarded --guard /guarded
";

const PUT_SAMPLE: &str = "[Unit]
DefaultDependencies=no
Before=quell-agent.service
[Service]
Type=oneshot
ExecStart=/bin/cp -p /var/lib/sample /guarded/sample
";

/// It starts when anything that brings up a network may.
const NETWORK_LIKE: &str = "[Unit]
DefaultDependencies=no
Wants=network-pre.target
After=network-pre.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/guarded/sample 0 > /network 2>&1; true'
";
