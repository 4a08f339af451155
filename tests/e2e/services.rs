//! What the machine's own manager starts again.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::sample::Sample;
use tests::systemd::{Machine, is_within};
use tests::up::{Up, options};
use tests::{is_private, wait_for};

#[test]
fn a_service_that_would_come_back_is_stopped_as_well() {
    if is_within() {
        return within();
    }
    if is_private()
        && let Some(machine) = Machine::new()
    {
        machine.boot("services::a_service_that_would_come_back_is_stopped_as_well", &[]);
    }
}

fn within() {
    let guarded = Path::new("/guarded");
    let up = Up::start(&options(Path::new("/tmp"), guarded));
    let api = up.api();
    let sample = Sample::fresh();
    let evil = guarded.join("evil");
    sample.put(&evil);
    let program = evil.display();
    let never_given_up = "Restart=always\nRestartSec=0\n[Unit]\nStartLimitIntervalSec=0";
    unit("main", &format!("ExecStart={program} 300\n{never_given_up}"));
    unit("once", &format!("ExecStart={program} 301\nRestart=no"));
    // It outlives its parent in a service whose own program is innocent.
    unit("keeper", &format!("ExecStart=/bin/sh -c '({program} 302 &); exec /bin/sleep 303'\nRestart=always"));
    systemctl(&["daemon-reload"]);
    systemctl(&["start", "main.service", "once.service", "keeper.service"]);
    let evils = || sys::processes::all().filter(|pid| runs(*pid, &evil)).count();
    wait_for("three to run", Duration::from_secs(30), || (evils() == 3).then_some(()));
    api.wait_known(&sample.sha1);

    let order = api.quarantine(up.field("machineId"), &sample.sha1);
    let order = api.wait_order(order["id"].as_str().unwrap());
    assert_eq!(order["state"], json!("Succeeded"), "{order}");
    assert_eq!(evils(), 0);
    assert!(!evil.exists());
    let restarts = || show("main.service", "NRestarts");
    let before = restarts();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(restarts(), before, "it is not started again and again");
    let state = state_of("main.service");
    assert!(["inactive", "failed"].contains(&state.as_str()), "{state}");
    assert_eq!(state_of("keeper.service"), "active");
    up.stop();
}

fn unit(name: &str, lines: &str) {
    let text = format!("[Unit]\nDefaultDependencies=no\n[Service]\nType=exec\n{lines}\n");
    fs::write(format!("/run/systemd/system/{name}.service"), text).unwrap();
}

fn systemctl(arguments: &[&str]) {
    tests::command::run(Command::new("systemctl").args(arguments)).unwrap();
}

fn state_of(unit: &str) -> String {
    let told = Command::new("systemctl").args(["is-active", unit]).output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

fn show(unit: &str, property: &str) -> String {
    let told = Command::new("systemctl").args(["show", "--value", "--property", property, unit]).output();
    String::from_utf8(told.unwrap().stdout).unwrap()
}

fn runs(pid: i32, program: &Path) -> bool {
    sys::processes::executable_path(pid).is_ok_and(|path| path == program)
}
