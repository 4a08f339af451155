//! What is refused, and that it says why.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tests::filesystem::Filesystem;
use tests::sample::{Sample, try_run};
use tests::up::{Options, Up, binary, options};
use tests::{is_private, wait_for};

#[test]
fn what_the_machine_can_not_do_without_is_spared() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::tmpfs();
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&options(dir.path(), filesystem.root()));
    let api = up.api();
    let shell = fs::canonicalize("/bin/sh").unwrap();
    let bytes = fs::read(&shell).unwrap();
    let copy = filesystem.root().join("a copy of the shell");
    fs::copy(&shell, &copy).unwrap();
    let sha1: String = {
        use sha1::Digest;
        sha1::Sha1::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    // The machine tells its spared set a moment after it attaches.
    let body = wait_for("the refusal", Duration::from_secs(30), || {
        let (status, body) = api.post(&format!("/api/files/{sha1}/block"), &json!({"Comment": "oops"}));
        if status == 201 {
            api.unblock(&sha1);
        }
        (status == 403).then_some(body)
    });
    assert_eq!(body["error"]["code"], json!("DisallowedOperation"));
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains(shell.to_str().unwrap()), "{message}");
    api.wait_known(&sha1);
    let path = format!("/api/machines/{}/StopAndQuarantineFile", up.field("machineId"));
    let (status, body) = api.post(&path, &json!({"Comment": "oops", "Sha1": sha1}));
    assert_eq!((status, &body["error"]["code"]), (403, &json!("DisallowedOperation")), "{body}");
    try_run(&shell).ok();
    up.stop();
}

#[test]
fn a_file_that_is_not_there_and_a_copy_that_is_not_guarded() {
    if !is_private() {
        return;
    }
    let (guarded, watched) = (Filesystem::tmpfs(), Filesystem::tmpfs());
    let dir = tempfile::tempdir().unwrap();
    let options = Options { guard: Some(guarded.root().to_owned()), ..options(dir.path(), watched.root()) };
    let up = Up::start(&options);
    let api = up.api();
    let machine = up.field("machineId");

    let nowhere = Sample::fresh();
    let path = format!("/testwdatppreview/machines/{machine}/stopAndQuarantineFile");
    wait_for("the first sweep", Duration::from_secs(10), || {
        let (status, body) = api.post(&path, &json!({"Comment": "c", "Sha1": nowhere.sha1}));
        let expected = format!("Sha1 {} was not found in machine {machine}", nowhere.sha1);
        (status == 404 && body["error"]["message"] == json!(expected)).then_some(())
    });

    let sample = Sample::fresh();
    sample.put(&watched.root().join("out of reach"));
    api.wait_known(&sample.sha1);
    let order = api.quarantine(machine, &sample.sha1);
    let order = api.wait_order(order["id"].as_str().unwrap());
    assert_eq!(order["state"], json!("Failed"), "{order}");
    assert!(order.to_string().contains("not guarded"), "{order}");
    assert!(watched.root().join("out of reach").exists());
    up.stop();
}

#[test]
fn an_address_for_everyone_is_refused_without_tls() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(["up", "--guard", "none", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(dir.path().join("data"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("127.0.0.1") || said.contains("loopback"), "{said}");
}

#[test]
fn the_command_line_says_what_to_do_next() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::tmpfs();
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&options(dir.path(), filesystem.root()));
    let profile = options(dir.path(), filesystem.root()).data_dir.with_extension("ready");
    let run = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).env("QUELL_PROFILE", &profile).output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let unknown = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(run(&["file", "show", unknown]).0, 3);
    assert_eq!(run(&["file", "show", "neither-a-hash-nor-a-file"]).0, 3);
    assert_eq!(run(&["file", "block", unknown]).0, 2, "a comment is needed");
    assert_eq!(run(&["file", "unblock", unknown, "--comment", "c"]).0, 3);
    let shown = up.cli(&["machine", "list", "-o", "json"]);
    assert!(shown.contains(up.field("machineId")), "{shown}");
    assert!(up.cli(&["token"]).trim().split('.').count() == 3);
    up.stop();
    let (code, said) = run(&["file", "show", unknown]);
    assert_eq!(code, 8, "{said}");
}
