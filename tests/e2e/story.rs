//! The story of the README, on two kinds of filesystem.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tests::filesystem::Filesystem;
use tests::sample::{Sample, is_denied, keep_running, try_run};
use tests::up::{Up, options};
use tests::{is_private, wait_for};

/// A block holds within this of its answer.
const IN_FORCE: Duration = Duration::from_millis(200);

#[test]
fn on_a_tmpfs() {
    if is_private() {
        tell(&Filesystem::tmpfs());
    }
}

#[test]
fn on_an_ext4() {
    if is_private() {
        tell(&Filesystem::ext4());
    }
}

fn tell(filesystem: &Filesystem) {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&options(dir.path(), filesystem.root()));
    seen_blocked_and_unblocked(&up, filesystem.root());
    stopped_quarantined_and_restored(&up, filesystem.root());
    restored_by_root(&up, filesystem.root());
    up.stop();
}

fn seen_blocked_and_unblocked(up: &Up, root: &Path) {
    let api = up.api();
    let (sample, other) = (Sample::fresh(), Sample::fresh());
    let path = root.join("sample");
    sample.put(&path);
    other.put(&root.join("other"));

    let file = api.wait_known(&sample.sha1.to_uppercase());
    assert_eq!(file["sha256"], json!(sample.sha256));
    assert_eq!(file["globalPrevalence"], json!(1));
    assert_eq!(file["fileType"], json!("Elf"));
    assert_eq!(file["size"], json!(sample.bytes.len()));
    try_run(&path).unwrap();

    let action = api.block(&sample.sha1);
    assert_eq!(action["fileStatus"], json!("Blocked"));
    wait_for("the denial", IN_FORCE, || is_denied(&path).then_some(()));
    try_run(&root.join("other")).expect("other files still run");
    assert_denied_by_any_name(&sample, root);
    wait_for("the denials to be counted", Duration::from_secs(3), || {
        let (_, file) = api.get(&format!("/api/files/{}", sample.sha256));
        (file["quell"]["denials"].as_u64()? > 0).then_some(())
    });

    // A file that no machine has seen yet.
    let unseen = Sample::fresh();
    assert_eq!(api.get(&format!("/api/files/{}", unseen.sha1)).0, 404);
    api.block(&unseen.sha256);
    assert_eq!(api.get(&format!("/api/files/{}", unseen.sha1)).0, 404, "blocked is not seen");
    std::thread::sleep(IN_FORCE);
    unseen.put(&root.join("unseen"));
    assert!(is_denied(&root.join("unseen")));

    api.unblock(&sample.sha1);
    wait_for("the permit", IN_FORCE, || try_run(&path).ok());
}

fn assert_denied_by_any_name(sample: &Sample, root: &Path) {
    let path = root.join("sample");
    fs::hard_link(&path, root.join("hard link")).unwrap();
    symlink(&path, root.join("symlink")).unwrap();
    sample.put(&root.join("a copy"));
    fs::copy(&path, root.join("to rename")).unwrap();
    fs::rename(root.join("to rename"), root.join("renamed")).unwrap();
    for name in ["hard link", "symlink", "a copy", "renamed"] {
        assert!(is_denied(&root.join(name)), "{name}");
    }
    // Content that becomes the denied one in place.
    fs::write(root.join("rewritten"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("rewritten"), fs::Permissions::from_mode(0o755)).unwrap();
    try_run(&root.join("rewritten")).unwrap();
    fs::write(root.join("rewritten"), &sample.bytes).unwrap();
    assert!(is_denied(&root.join("rewritten")), "rewritten");
    for name in ["hard link", "symlink", "a copy", "renamed", "rewritten"] {
        fs::remove_file(root.join(name)).unwrap();
    }
}

fn stopped_quarantined_and_restored(up: &Up, root: &Path) {
    let api = up.api();
    let sample = Sample::fresh();
    fs::create_dir_all(root.join("a/b")).unwrap();
    let paths = [root.join("runs"), root.join("a/b/hidden\nname"), root.join("linked")];
    sample.put(&paths[0]);
    sample.put(&paths[1]);
    fs::set_permissions(&paths[1], fs::Permissions::from_mode(0o750)).unwrap();
    rustix::fs::chown(
        &paths[1],
        Some(rustix::fs::Uid::from_raw(1234)),
        Some(rustix::fs::Gid::from_raw(4321)),
    )
    .unwrap();
    xattr(&paths[1], "user.note");
    fs::hard_link(&paths[0], &paths[2]).unwrap();
    let deleted = root.join("deleted");
    sample.put(&deleted);
    let before: Vec<_> = paths.iter().map(|path| fs::metadata(path).unwrap()).collect();

    let mut running = [keep_running(&paths[0]), keep_running(&paths[1]), keep_running(&deleted)];
    fs::remove_file(&deleted).unwrap();
    let mut innocent = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    api.wait_known(&sample.sha1);

    let order = api.quarantine(up.field("machineId"), &sample.sha1);
    assert_eq!(order["status"], json!("InProgress"));
    let order = api.wait_order(order["id"].as_str().unwrap());
    assert_eq!(order["state"], json!("Succeeded"), "{order}");
    for process in &mut running {
        let status = wait_for("the process to end", Duration::from_secs(2), || process.try_wait().unwrap());
        assert!(!status.success());
    }
    assert!(innocent.try_wait().unwrap().is_none(), "an unrelated process goes on");
    innocent.kill().unwrap();
    innocent.wait().unwrap();
    for path in &paths {
        assert!(!path.exists(), "{path:?} is gone");
    }
    shown_alike(up, &sample, &order);

    // It can't run there again.
    sample.put(&root.join("again"));
    assert!(is_denied(&root.join("again")));
    fs::remove_file(root.join("again")).unwrap();

    // The undo brings all of it back.
    let id = order["id"].as_str().unwrap();
    let (status, undo) =
        api.post(&format!("/api/quell/orders/{id}/undo"), &json!({"Comment": "false alarm"}));
    assert_eq!(status, 201, "{undo}");
    let undo = api.wait_order(undo["id"].as_str().unwrap());
    assert_eq!(undo["state"], json!("Succeeded"), "{undo}");
    for (path, before) in paths.iter().zip(&before) {
        let after = fs::metadata(path).unwrap();
        assert_eq!(fs::read(path).unwrap(), sample.bytes);
        assert_eq!(
            (after.mode(), after.uid(), after.gid()),
            (before.mode(), before.uid(), before.gid()),
            "{path:?}"
        );
        assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()), "{path:?}");
    }
    assert_eq!(read_xattr(&paths[1], "user.note"), b"kept");
    wait_for("the permit", IN_FORCE, || try_run(&paths[0]).ok());
}

/// Both shapes of the one order, and the vault's listing.
fn shown_alike(up: &Up, sample: &Sample, order: &Value) {
    let api = up.api();
    let id = order["id"].as_str().unwrap();
    let (_, preview) = api.get(&format!("/testwdatppreview/filemachineactions/{id}"));
    assert_eq!(preview["status"], json!("Succeeded"));
    assert_eq!(preview["sha1"], json!(sample.sha1));
    let instances = preview["fileInstances"].as_array().unwrap();
    assert_eq!(instances.len(), 3, "{preview}");
    assert!(instances.iter().all(|instance| instance["status"] == json!("Succeeded")), "{preview}");
    let (_, action) = api.get(&format!("/api/machineactions/{id}"));
    assert_eq!(action["status"], json!("Succeeded"));
    assert_eq!(action["relatedFileInfo"]["fileIdentifier"], json!(sample.sha1));
    let resting: Value =
        serde_json::from_str(&up.cli(&["agent", "vault", "list", "--data-dir", up.field("dataDir")]))
            .unwrap();
    let own: Vec<_> = resting
        .as_array()
        .unwrap()
        .iter()
        .filter(|resting| resting["sha256"] == json!(sample.sha256))
        .collect();
    assert_eq!(own.len(), 3, "{resting}");
    for key in ["id", "path", "sha1", "sha256", "size", "quarantinedAt"] {
        assert!(!own[0][key].is_null(), "{key}");
    }
}

/// Root on the machine brings a copy back; what has taken its place is not replaced.
fn restored_by_root(up: &Up, root: &Path) {
    let api = up.api();
    let sample = Sample::fresh();
    let path = root.join("by root");
    sample.put(&path);
    api.wait_known(&sample.sha1);
    let order = api.quarantine(up.field("machineId"), &sample.sha1);
    api.wait_order(order["id"].as_str().unwrap());
    let resting: Value =
        serde_json::from_str(&up.cli(&["agent", "vault", "list", "--data-dir", up.field("dataDir")]))
            .unwrap();
    let id = resting
        .as_array()
        .unwrap()
        .iter()
        .find(|resting| resting["sha1"] == json!(sample.sha1))
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();

    fs::write(&path, "a newcomer").unwrap();
    let restore = ["agent", "vault", "restore", &id, "--data-dir", up.field("dataDir")];
    let refused = std::process::Command::new(tests::up::binary()).args(restore).output().unwrap();
    assert!(!refused.status.success());
    assert_eq!(fs::read(&path).unwrap(), b"a newcomer");
    fs::remove_file(&path).unwrap();
    up.cli(&restore);
    assert_eq!(fs::read(&path).unwrap(), sample.bytes);
    wait_for("the permit", Duration::from_secs(2), || try_run(&path).ok());
}

fn xattr(path: &Path, name: &str) {
    rustix::fs::setxattr(path, name, b"kept", rustix::fs::XattrFlags::empty()).unwrap();
}

fn read_xattr(path: &Path, name: &str) -> Vec<u8> {
    let mut value = vec![0; 64];
    let length = rustix::fs::getxattr(path, name, &mut value).unwrap();
    value.truncate(length);
    value
}
