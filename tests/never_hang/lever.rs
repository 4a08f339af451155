//! The lever: `quell agent release` and `engage`, and the kernel's word.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tests::sample::{Sample, is_denied, try_run};
use tests::up::{Options, Up, binary, options};
use tests::wait_for;

use crate::crash_loop::status;
use crate::stage::{BACK, Stage, signal};

/// Where the lever of a test is, which has nothing to do with the machine's.
fn flags(dir: &Path) -> [String; 4] {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    ["--release-file".into(), path("etc/released"), "--command-line".into(), path("cmdline")]
}

pub(crate) fn with_lever(dir: &Path, options: &mut Options) {
    fs::write(dir.join("cmdline"), "ro quiet\n").unwrap();
    options.more.extend(flags(dir).map(Into::into));
}

/// Whether it succeeded, and all that it said.
pub(crate) fn quell(dir: &Path, verb: &str, comment: Option<&str>) -> (bool, String) {
    let mut command = Command::new(binary());
    command.args(["agent", verb]).args(flags(dir)).arg("--data-dir").arg(dir.join("data"));
    command.args(comment.iter().flat_map(|comment| ["--comment", comment]));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn released_until_engaged_also_over_a_restart() {
    let Some(stage) = Stage::set_with(with_lever) else { return };
    let dir = stage.dir.path();
    let (done, said) = quell(dir, "release", Some("logins are slow"));
    assert!(done && said.contains(": logins are slow"), "{said}");
    try_run(&stage.denied).expect("nothing is denied");
    assert_eq!(tests::up::one_of(stage.up.pid(), "guard"), None);
    let told = status(&stage);
    assert_eq!((&told["guardLevel"], &told["inForce"]), (&json!("released"), &json!(false)));
    assert!(told["guardNotice"].as_str().unwrap().starts_with("released by root"), "{told}");
    let machine = stage.up.field("machineId").to_owned();
    wait_for("the server to know", BACK, || {
        let (_, machine) = stage.up.api().get(&format!("/api/machines/{machine}"));
        let ours = &machine["quell"];
        let notice = ours["guard"]["notice"].as_str().unwrap_or_default();
        (ours["guardLevel"] == "released" && notice.starts_with("released by root")).then_some(())
    });
    // Acts are refused, with the reason; rules are taken.
    let sample = Sample::fresh();
    let copy = stage.ground.root().join("copy");
    sample.put(&copy);
    stage.up.api().wait_known(&sample.sha1);
    let order = stage.up.api().quarantine(&machine, &sample.sha1);
    let ended = stage.up.api().wait_order(order["id"].as_str().unwrap());
    assert_eq!(ended["state"], "Failed");
    assert!(ended.to_string().contains("released by root"), "{ended}");
    assert!(copy.exists());

    let options = options(dir, stage.ground.root());
    let options = Options { more: flags(dir).map(Into::into).into(), ..options };
    let Stage { up, ground, denied, dir, .. } = stage;
    up.kill();
    let up = Up::start(&options);
    std::thread::sleep(Duration::from_millis(500));
    try_run(&denied).expect("it holds over a restart");
    let (done, said) = quell(dir.path(), "engage", None);
    assert!(done && said.contains("engaged"), "{said}");
    wait_for("the denial", BACK, || is_denied(&denied).then_some(()));
    up.stop();
    drop(ground);
}

#[test]
fn it_works_while_agent_or_warden_stand_still_or_nothing_runs() {
    let Some(stage) = Stage::set_with(with_lever) else { return };
    let dir = stage.dir.path();
    let work = stage.one("work");
    signal(work, Signal::STOP);
    let (done, said) = quell(dir, "release", None);
    assert!(done, "{said}");
    try_run(&stage.denied).expect("nothing is denied");
    assert!(quell(dir, "engage", None).0);
    // The new guard has its rules, but nobody else can tell it what the file holds.
    signal(work, Signal::CONT);
    wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));

    let warden = stage.one("run");
    signal(warden, Signal::STOP);
    let (done, said) = quell(dir, "release", None);
    assert!(!done && said.contains(&format!("kill -9 {warden}")), "{said}");
    signal(warden, Signal::KILL);
    wait_for("the release", BACK, || try_run(&stage.denied).ok());
    std::thread::sleep(Duration::from_secs(1));
    try_run(&stage.denied).expect("the next warden starts no guard");

    let Stage { up, dir, .. } = stage;
    up.kill();
    let (done, said) = quell(dir.path(), "engage", None);
    assert!(done && said.contains("no warden runs"), "{said}");
    let (done, said) = quell(dir.path(), "release", None);
    assert!(done && said.contains("no warden runs"), "{said}");
    assert!(dir.path().join("etc/released").exists());
}

#[test]
fn the_file_alone_is_enough_and_the_kernels_word_holds() {
    let Some(stage) = Stage::set_with(with_lever) else { return };
    let dir: PathBuf = stage.dir.path().to_owned();
    // As from a rescue system, or with an editor.
    fs::create_dir_all(dir.join("etc")).unwrap();
    fs::write(dir.join("etc/released"), "").unwrap();
    wait_for("the release", BACK, || try_run(&stage.denied).ok());
    assert_eq!(status(&stage)["guardLevel"], "released");
    assert!(quell(&dir, "engage", None).0);
    wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));

    fs::write(dir.join("cmdline"), "ro quell.release quiet\n").unwrap();
    let warden = stage.one("run");
    signal(warden, Signal::KILL);
    wait_for("the release", BACK, || (status(&stage)["guardLevel"] == "released").then_some(()));
    try_run(&stage.denied).expect("nothing is denied");
    let (done, said) = quell(&dir, "engage", None);
    assert!(!done && said.contains("quell.release"), "{said}");
    try_run(&stage.denied).expect("still nothing is denied");
    stage.up.kill();
}
