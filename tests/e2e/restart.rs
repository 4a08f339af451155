//! Starting again on the same data directory, and ending.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::filesystem::Filesystem;
use tests::sample::{Sample, is_denied, try_run};
use tests::up::{Options, Up, binary, options};
use tests::{is_private, wait_for};

#[test]
fn the_same_machine_keys_rules_and_vault_go_on_and_a_clean_end_ends_enforcement() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::ext4();
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), filesystem.root());
    let (blocked, quarantined) = (Sample::fresh(), Sample::fresh());
    let path = filesystem.root().join("blocked");
    blocked.put(&path);
    quarantined.put(&filesystem.root().join("quarantined"));

    let up = Up::start(&options);
    let api = up.api();
    api.wait_known(&quarantined.sha1);
    let first = api.wait_known(&blocked.sha1);
    api.block(&blocked.sha1);
    let order = api.quarantine(up.field("machineId"), &quarantined.sha1);
    api.wait_order(order["id"].as_str().unwrap());
    wait_for("the denial", Duration::from_secs(1), || is_denied(&path).then_some(()));
    let before = up.ready.clone();
    up.stop();
    try_run(&path).expect("enforcement has ended");

    let up = Up::start(&options);
    for key in ["machineId", "tenantId", "clientId", "clientSecret"] {
        assert_eq!(up.ready[key], before[key], "{key}");
    }
    wait_for("the denial", Duration::from_secs(1), || is_denied(&path).then_some(()));
    let again = up.api().wait_known(&blocked.sha1);
    for key in ["globalPrevalence", "globalFirstObserved"] {
        assert_eq!(again[key], first[key], "{key}");
    }
    // A token of before is still good: the signing key is the same.
    assert_eq!(api_at(&up, &before).0, 200);
    let resting = up.cli(&["agent", "vault", "list", "--data-dir", up.field("dataDir")]);
    assert!(resting.contains(&quarantined.sha256), "{resting}");
    up.stop();
}

fn api_at(up: &Up, before: &serde_json::Value) -> (u16, serde_json::Value) {
    let mut ready = up.ready.clone();
    ready["clientSecret"] = before["clientSecret"].clone();
    tests::api::Api::sign_in(&ready).get("/api/machines")
}

#[test]
fn a_second_up_on_the_same_data_directory_names_the_first() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::tmpfs();
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), filesystem.root());
    let up = Up::start(&options);
    let second = Command::new(binary())
        .args(["up", "--listen", "127.0.0.1:0", "--guard", "none", "--data-dir"])
        .arg(&options.data_dir)
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&up.pid().to_string()), "{said}");
    up.stop();
}

#[test]
fn the_demo_filesystem_has_a_sample_that_can_be_blocked() {
    if !is_private() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // The watch stays on a filesystem of the test's own: this machine's whole disk is no part of it.
    let other = Filesystem::tmpfs();
    let options = Options { guard: None, ..options(dir.path(), other.root()) };
    let up = Up::start(&options);
    let sample = options.data_dir.join("demo/sample");
    try_run(&sample).unwrap();
    assert_eq!(up.ready["dataDir"], json!(options.data_dir.to_str().unwrap()));
    up.cli(&["file", "show", sample.to_str().unwrap()]);
    up.cli(&["file", "block", "--comment", "a test", sample.to_str().unwrap()]);
    wait_for("the denial", Duration::from_secs(1), || is_denied(&sample).then_some(()));
    up.cli(&["file", "unblock", "--comment", "a test", sample.to_str().unwrap()]);
    let machine = up.field("machineId").to_owned();
    up.cli(&["machine", "quarantine", &machine, sample.to_str().unwrap(), "--comment", "a test", "--wait"]);
    assert!(!sample.exists());
    up.stop();
    let up = Up::start(&options);
    assert!(!sample.exists(), "what is in the vault is not made anew");
    let resting: serde_json::Value =
        serde_json::from_str(&up.cli(&["agent", "vault", "list", "--data-dir", up.field("dataDir")]))
            .unwrap();
    assert_eq!(resting[0]["path"], json!(sample.to_str().unwrap()));
    up.stop();
    assert!(!options.data_dir.join("demo/sample").exists(), "the demo filesystem is unmounted");
}
