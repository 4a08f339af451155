//! The tree is killed at points of the story, and nothing is lost.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tests::filesystem::Filesystem;
use tests::sample::{Sample, is_denied, try_run};
use tests::up::{Up, one_of, options};
use tests::{is_private, wait_for};

/// Rounds of the quarantine that is killed at another moment each.
const ROUNDS: u64 = 12;

#[test]
fn the_whole_tree_at_any_moment_of_a_quarantine_on_ext4() {
    if is_private() {
        quarantine_is_finished(&Filesystem::ext4());
    }
}

#[test]
fn the_whole_tree_at_any_moment_of_a_quarantine_on_tmpfs() {
    if is_private() {
        quarantine_is_finished(&Filesystem::tmpfs());
    }
}

/// Rounds of the quarantine and its undo in which only the agent is killed.
const AGENT_ROUNDS: u64 = 8;

/// Orders a quarantine, kills everything a little later, starts again: the order ends, the copy rests in the
/// vault, and comes back whole.
fn quarantine_is_finished(filesystem: &Filesystem) {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), filesystem.root());
    let mut up = Up::start(&options);
    for round in 0..ROUNDS {
        let sample = Sample::fresh();
        let path = filesystem.root().join(format!("sample {round}"));
        sample.put(&path);
        up.api().wait_known(&sample.sha1);
        let order = up.api().quarantine(up.field("machineId"), &sample.sha1);
        // From before the act is handed out to after it has ended.
        std::thread::sleep(Duration::from_millis(round * 5));
        let machine = up.field("machineId").to_owned();
        up.kill();
        up = Up::start(&options);
        assert_eq!(up.field("machineId"), machine);

        let id = order["id"].as_str().unwrap();
        let ended = up.api().wait_order(id);
        assert_eq!(ended["state"], json!("Succeeded"), "round {round}: {ended}");
        assert!(!path.exists(), "round {round}");
        sample.put(&path);
        assert!(
            is_denied(&path),
            "round {round}: {}",
            up.cli(&["agent", "status", "--data-dir", up.field("dataDir")])
        );
        fs::remove_file(&path).unwrap();
        let (status, undo) =
            up.api().post(&format!("/api/quell/orders/{id}/undo"), &json!({"Comment": "back"}));
        assert_eq!(status, 201, "round {round}: {undo}");
        let undo = up.api().wait_order(undo["id"].as_str().unwrap());
        assert_eq!(undo["state"], json!("Succeeded"), "round {round}: {undo}");
        assert_eq!(fs::read(&path).unwrap(), sample.bytes, "round {round}");
    }
    up.stop();
    println!("crash: the whole tree killed {ROUNDS} times in a quarantine, orders lost 0, copies lost 0");
}

/// As above, and only the agent dies: in the quarantine, and again in its undo.
#[test]
fn the_agent_at_any_moment_of_a_quarantine_and_its_undo() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::ext4();
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&options(dir.path(), filesystem.root()));
    let mut killed = 0;
    let mut kill_after = |delay: u64| {
        std::thread::sleep(Duration::from_millis(delay));
        if let Some(agent) = one_of(up.pid(), "work") {
            sys::pidfd::open(agent).unwrap().kill().unwrap();
            killed += 1;
        }
    };
    let api = up.api();
    for round in 0..AGENT_ROUNDS {
        let sample = Sample::fresh();
        let path = filesystem.root().join(format!("sample {round}"));
        sample.put(&path);
        // What lay there before a new agent watched is found by its sweep, which gives way to all others.
        wait_for("the file to be known", Duration::from_secs(60), || {
            (api.get(&format!("/api/files/{}", sample.sha1)).0 == 200).then_some(())
        });
        let order = api.quarantine(up.field("machineId"), &sample.sha1);
        kill_after(round * 6);
        let id = order["id"].as_str().unwrap();
        let ended = api.wait_order(id);
        assert_eq!(ended["state"], json!("Succeeded"), "round {round}: {ended}");
        assert_eq!(ended["copies"].as_array().unwrap().len(), 1, "round {round}: {ended}");
        assert!(!path.exists(), "round {round}");
        let (status, undo) = api.post(&format!("/api/quell/orders/{id}/undo"), &json!({"Comment": "back"}));
        assert_eq!(status, 201, "round {round}: {undo}");
        kill_after(round * 4);
        let undo = api.wait_order(undo["id"].as_str().unwrap());
        assert_eq!(undo["state"], json!("Succeeded"), "round {round}: {undo}");
        assert_eq!(fs::read(&path).unwrap(), sample.bytes, "round {round}");
    }
    up.stop();
    println!("crash: the agent killed {killed} times in quarantines and undos, orders lost 0, copies lost 0");
    assert!(killed >= AGENT_ROUNDS, "{killed}");
}

#[test]
fn a_block_that_was_answered_holds_after_the_tree_was_killed() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::tmpfs();
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), filesystem.root());
    let sample = Sample::fresh();
    let path = filesystem.root().join("sample");
    sample.put(&path);
    let up = Up::start(&options);
    let block = up.api().block(&sample.sha1);
    up.kill();
    try_run(&path).expect("nothing is enforced while nothing runs");
    let up = Up::start(&options);
    wait_for("the denial", Duration::from_secs(2), || is_denied(&path).then_some(()));
    let (_, actions) = up.api().get("/testwdatppreview/fileactions");
    let actions = actions["value"].as_array().unwrap().clone();
    assert_eq!(actions.len(), 1);
    assert_eq!(actions[0]["creationDateTimeUtc"], block["creationDateTimeUtc"]);
    up.stop();
}

#[test]
fn agent_guard_and_warden_come_back_by_themselves() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::tmpfs();
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&options(dir.path(), filesystem.root()));
    let api = up.api();
    let sample = Sample::fresh();
    let path = filesystem.root().join("sample");
    sample.put(&path);
    api.block(&sample.sha1);
    wait_for("the denial", Duration::from_secs(1), || is_denied(&path).then_some(()));
    for role in ["work", "guard", "run"] {
        let pid = wait_for("the role's process", Duration::from_secs(30), || one_of(up.pid(), role));
        let process = sys::pidfd::open(pid).unwrap();
        process.kill().unwrap();
        assert!(process.wait_ended(Duration::from_secs(2)));
        if role == "work" {
            assert!(is_denied(&path), "the guard denies what it knows without the agent");
        }
        wait_for("a new process", Duration::from_secs(30), || {
            one_of(up.pid(), role).filter(|new| *new != pid)
        });
        wait_for("the denial again", Duration::from_secs(30), || is_denied(&path).then_some(()));
    }
    let next = Sample::fresh();
    next.put(&filesystem.root().join("next"));
    let _: Value = api.wait_known(&next.sha1);
    api.block(&next.sha256);
    wait_for("the next denial", Duration::from_secs(2), || {
        is_denied(&filesystem.root().join("next")).then_some(())
    });
    up.stop();
}
