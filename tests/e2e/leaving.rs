//! The way home on terms, the vault's own commands, and how an agent is taken off a machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tests::filesystem::Filesystem;
use tests::is_private;
use tests::sample::Sample;
use tests::up::{Up, binary, options};

const CONFLICT: i32 = 7;
const REFUSED: i32 = 5;
const USAGE: i32 = 2;

#[test]
fn terms_and_what_is_left_behind() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::ext4();
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&options(dir.path(), filesystem.root()));
    let data_dir = up.field("dataDir").to_owned();
    undone_on_terms(&up, filesystem.root());
    restored_by_digest_and_order(&up, filesystem.root());
    removed_for_good(&up, filesystem.root());

    let kept = quarantined(&up, &[filesystem.root().join("kept")]);
    let running = agent(&data_dir, &["uninstall", "--keep-vault"]);
    assert_eq!(running.status.code(), Some(CONFLICT), "{running:?}");
    assert!(text(&running.stderr).contains("process "), "{running:?}");
    up.stop();
    uninstalled(Path::new(&data_dir), filesystem.root(), &kept);
}

fn uninstalled(data_dir: &Path, root: &Path, kept: &Sample) {
    let of = |arguments: &[&str]| agent(data_dir.to_str().unwrap(), arguments);
    let refused = of(&["uninstall"]);
    assert_eq!(refused.status.code(), Some(REFUSED), "{refused:?}");
    assert!(text(&refused.stdout).contains("kept") && text(&refused.stderr).contains("--restore-all"));
    assert_eq!(of(&["uninstall", "--discard-vault"]).status.code(), Some(USAGE));
    // Something is in the way: nothing is uninstalled then.
    fs::write(root.join("kept"), "a newcomer").unwrap();
    assert_eq!(of(&["uninstall", "--restore-all"]).status.code(), Some(REFUSED));
    assert!(data_dir.join("ledger").exists());
    fs::remove_file(root.join("kept")).unwrap();
    let done = of(&["uninstall", "--restore-all"]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(fs::read(root.join("kept")).unwrap(), kept.bytes);
    for name in ["ledger", "spool", "inventory.redb", "vault", "vault.journal", "agent.sock", "warden.sock"] {
        assert!(!data_dir.join(name).exists(), "{name} is left");
    }
    assert!(!root.join(".quell-vault").exists());
    // The server's files are not the agent's, and that is said.
    assert!(data_dir.join("quell.db").exists());
    assert!(text(&done.stdout).contains("quell.db"), "{done:?}");
}

fn undone_on_terms(up: &Up, root: &Path) {
    let api = up.api();
    let path = root.join("privileged");
    let restore = |body: Value| {
        let sample = Sample::fresh();
        sample.put(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).unwrap();
        let order = ordered(up, &sample);
        if body["Beside"] == json!(true) {
            fs::write(&path, "a newcomer").unwrap();
        }
        let (status, undo) = api.post(&format!("/api/quell/orders/{order}/undo"), &body);
        assert_eq!(status, 201, "{undo}");
        api.wait_order(undo["id"].as_str().unwrap())
    };
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;

    let undo = restore(json!({"Comment": "false alarm"}));
    assert_eq!((&undo["state"], mode(&path)), (&json!("Succeeded"), 0o755), "{undo}");
    assert!(undo.to_string().contains("set-user-ID"), "what was dropped is told: {undo}");
    fs::remove_file(&path).unwrap();

    let undo = restore(json!({"Comment": "false alarm", "KeepPrivileges": true}));
    assert_eq!((&undo["state"], mode(&path)), (&json!("Succeeded"), 0o4755), "{undo}");
    fs::remove_file(&path).unwrap();

    let undo = restore(json!({"Comment": "false alarm", "Beside": true}));
    assert_eq!(undo["state"], json!("Succeeded"), "{undo}");
    assert_eq!(fs::read(&path).unwrap(), b"a newcomer");
    let beside = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let beside: Vec<_> =
        beside.filter(|path| path.to_string_lossy().contains("privileged.quell-restored-")).collect();
    assert_eq!(beside.len(), 1);
    assert!(undo.to_string().contains(beside[0].to_str().unwrap()), "{undo}");
    fs::remove_file(&beside[0]).unwrap();
    fs::remove_file(&path).unwrap();
}

fn restored_by_digest_and_order(up: &Up, root: &Path) {
    let paths = ["one", "two"].map(|name| root.join(name));
    let data_dir = up.field("dataDir");
    let sample = quarantined(up, &paths);
    let sha256 = ["vault", "restore", "--sha256", &sample.sha256, "-o", "json"];
    let back: Value = serde_json::from_slice(&agent(data_dir, &sha256).stdout).unwrap();
    assert_eq!(back.as_array().unwrap().len(), 2, "{back}");
    for path in &paths {
        assert_eq!(fs::read(path).unwrap(), sample.bytes);
    }
    let again = agent(data_dir, &sha256);
    assert_eq!(again.status.code(), Some(REFUSED), "{again:?}");

    let order = ordered(up, &sample);
    assert!(!paths[0].exists());
    let back = agent(data_dir, &["vault", "restore", "--order", &order]);
    assert!(back.status.success() && paths.iter().all(|path| path.exists()), "{back:?}");
    paths.iter().for_each(|path| fs::remove_file(path).unwrap());
}

fn removed_for_good(up: &Up, root: &Path) {
    let data_dir = up.field("dataDir");
    let sample = quarantined(up, &[root.join("gone")]);
    let list: Value = serde_json::from_slice(&agent(data_dir, &["vault", "list"]).stdout).unwrap();
    let own = list.as_array().unwrap().iter().find(|copy| copy["sha256"] == json!(sample.sha256));
    let id = own.unwrap()["id"].as_str().unwrap().to_owned();
    let shown: Value =
        serde_json::from_slice(&agent(data_dir, &["vault", "show", &id, "-o", "json"]).stdout).unwrap();
    assert_eq!((&shown["mode"], &shown["state"]), (&json!("0755"), &json!("resting")), "{shown}");
    let rests_at = shown["restsAt"].as_str().unwrap().to_owned();
    assert!(fs::exists(&rests_at).unwrap());
    let remove = ["vault", "remove", &id, "--comment", "no longer needed"];
    assert_eq!(agent(data_dir, &remove).status.code(), Some(USAGE), "not without --yes");
    let removed = agent(data_dir, &[&remove[..], &["--yes"]].concat());
    assert!(removed.status.success() && !fs::exists(&rests_at).unwrap(), "{removed:?}");
    let refused = agent(data_dir, &["vault", "restore", &id]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("no longer needed"), "{refused:?}");
}

/// The order that quarantined a file, once it has ended.
fn ordered(up: &Up, sample: &Sample) -> String {
    let api = up.api();
    api.wait_known(&sample.sha1);
    let order = api.quarantine(up.field("machineId"), &sample.sha1);
    let id = order["id"].as_str().unwrap().to_owned();
    let order = api.wait_order(&id);
    assert_eq!(order["state"], json!("Succeeded"), "{order}");
    id
}

fn quarantined(up: &Up, paths: &[std::path::PathBuf]) -> Sample {
    let sample = Sample::fresh();
    paths.iter().for_each(|path| sample.put(path));
    ordered(up, &sample);
    assert!(paths.iter().all(|path| !path.exists()));
    sample
}

fn agent(data_dir: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("agent").args(arguments).args(["--data-dir", data_dir]);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
