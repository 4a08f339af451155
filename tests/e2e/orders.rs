//! Orders while their machine is away: withdrawn, kept for it, and shared denies.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::api::Api;
use tests::filesystem::Filesystem;
use tests::sample::{Sample, is_denied, try_run};
use tests::up::{Up, one_of, options};
use tests::{is_private, wait_for};

/// A scene with one sample that the server knows.
fn with_sample(test: impl FnOnce(&Up, &Sample, &Path)) {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::tmpfs();
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&options(dir.path(), filesystem.root()));
    let sample = Sample::fresh();
    let path = filesystem.root().join("sample");
    sample.put(&path);
    up.api().wait_known(&sample.sha1);
    test(&up, &sample, &path);
    up.stop();
}

/// Nothing of the agent moves until it is told to go on.
fn still(up: &Up) -> Pid {
    let pid = wait_for("the agent", Duration::from_secs(30), || one_of(up.pid(), "work"));
    let pid = Pid::from_raw(pid).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    pid
}

fn ask(api: &Api, order: &Value, verb: &str) -> Value {
    let id = order["id"].as_str().unwrap();
    let (status, answer) = api.post(&format!("/api/quell/orders/{id}/{verb}"), &json!({"Comment": "a test"}));
    assert!([200, 201].contains(&status), "{verb}: {answer}");
    answer
}

fn ended(api: &Api, order: &Value) -> Value {
    api.wait_order(order["id"].as_str().unwrap())
}

#[test]
fn what_was_withdrawn_while_the_machine_was_away_never_begins() {
    with_sample(|up, sample, path| {
        let api = up.api();
        let agent = still(up);
        let order = api.quarantine(up.field("machineId"), &sample.sha1);
        ask(&api, &order, "cancel");
        kill_process(agent, Signal::KILL).unwrap();
        let over = ended(&api, &order);
        assert_eq!(over["state"], json!("Cancelled"), "{over}");
        assert_eq!(over["cancellation"]["comment"], json!("a test"));
        assert_eq!(fs::read(path).unwrap(), sample.bytes);
        wait_for("the permit", Duration::from_secs(30), || try_run(path).ok());
        // By the contract's road it reads alike, and it can be ordered anew.
        let id = order["id"].as_str().unwrap();
        let (_, action) = api.get(&format!("/api/machineactions/{id}"));
        assert_eq!(
            (&action["status"], &action["cancellationComment"]),
            (&json!("Cancelled"), &json!("a test"))
        );
        let again = api.quarantine(up.field("machineId"), &sample.sha1);
        assert_eq!(ended(&api, &again)["state"], json!("Succeeded"));
        assert!(!path.exists());
    });
}

#[test]
fn an_undo_waits_for_a_machine_that_is_away() {
    with_sample(|up, sample, path| {
        let api = up.api();
        let order = api.quarantine(up.field("machineId"), &sample.sha1);
        ended(&api, &order);
        let agent = still(up);
        let undo = ask(&api, &order, "undo");
        std::thread::sleep(Duration::from_secs(1));
        let id = undo["id"].as_str().unwrap();
        assert_eq!(api.get(&format!("/api/quell/orders/{id}")).1["state"], json!("Pending"));
        assert!(!path.exists());
        let told = up.cli(&["order", "show", id]);
        assert!(told.contains("itself an undo") && told.contains("InProgress"), "{told}");
        kill_process(agent, Signal::CONT).unwrap();
        let undo = ended(&api, &undo);
        assert_eq!(
            (&undo["state"], &undo["copies"][0]["status"]),
            (&json!("Succeeded"), &json!("Succeeded"))
        );
        assert_eq!(fs::read(path).unwrap(), sample.bytes);
        wait_for("the permit", Duration::from_secs(30), || try_run(path).ok());
        let (_, shown) = api.get(&format!("/api/quell/orders/{}", order["id"].as_str().unwrap()));
        assert_eq!(
            (&shown["undoneBy"], &shown["inverse"]["possible"]),
            (&json!(id), &json!(false)),
            "{shown}"
        );
    });
}

#[test]
fn a_file_stays_denied_until_the_last_order_that_wants_it_is_undone() {
    with_sample(|up, sample, path| {
        let api = up.api();
        let first = api.quarantine(up.field("machineId"), &sample.sha1);
        ended(&api, &first);
        let other = path.with_file_name("other");
        sample.put(&other);
        wait_for("the copy to be known", Duration::from_secs(30), || {
            let (_, copies) = api.get(&format!("/api/quell/files/{}/copies", sample.sha256));
            let present = |copy: &&Value| copy["present"] == json!(true);
            copies["value"].as_array()?.iter().find(present).map(drop)
        });
        let second = api.quarantine(up.field("machineId"), &sample.sha256);
        let taken = ended(&api, &second);
        assert_eq!(taken["copies"].as_array().unwrap().len(), 1, "each order has its own copies: {taken}");
        let (_, shown) = api.get(&format!("/api/quell/orders/{}", first["id"].as_str().unwrap()));
        assert_eq!(shown["inverse"]["denyKeptBy"], json!([second["id"]]), "{shown}");

        assert_eq!(ended(&api, &ask(&api, &first, "undo"))["state"], json!("Succeeded"));
        assert_eq!(fs::read(path).unwrap(), sample.bytes);
        assert!(!other.exists() && is_denied(path), "the second order wants it still");
        assert_eq!(ended(&api, &ask(&api, &second, "undo"))["state"], json!("Succeeded"));
        for path in [path, &other] {
            wait_for("the permit", Duration::from_secs(2), || try_run(path).ok());
        }
    });
}
