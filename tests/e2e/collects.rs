//! A copy's bytes come to the server, and leave it behind a password.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::filesystem::Filesystem;
use tests::sample::Sample;
use tests::up::{Options, Up, one_of, options};
use tests::{is_private, wait_for};

fn with_samples(more: &[&str], test: impl FnOnce(&Up, &Path)) {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::ext4();
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path(), filesystem.root());
    options.more.extend(more.iter().map(|word| (*word).into()));
    let up = Up::start(&options);
    test(&up, filesystem.root());
    up.stop();
}

/// A sample of that length at that path, which the server knows.
fn put(up: &Up, path: &Path, length: usize) -> Sample {
    let mut bytes = Sample::fresh().bytes;
    bytes.resize(bytes.len().max(length), 7);
    let sample = Sample::of(bytes);
    sample.put(path);
    up.api().wait_known(&sample.sha1);
    sample
}

fn collect(up: &Up, sample: &Sample) -> Value {
    let path = format!("/api/quell/machines/{}/collect", up.field("machineId"));
    let (status, order) = up.api().post(&path, &json!({"Comment": "to look at", "Sha256": sample.sha256}));
    assert_eq!(status, 201, "{order}");
    order
}

fn ended(up: &Up, order: &Value) -> Value {
    up.api().wait_order(order["id"].as_str().unwrap())
}

/// What the archive holds, as 7z or Python's users would read it: here by the crate that others use, too.
fn opened(up: &Up, sample: &Sample, to: &Path) -> Vec<u8> {
    up.cli(&["file", "sample", &sample.sha256, "--to", to.to_str().unwrap()]);
    let mut archive = zip::ZipArchive::new(fs::File::open(to).unwrap()).unwrap();
    assert!(archive.by_index(0).is_err(), "not without the password");
    let mut entry = archive.by_index_decrypt(0, b"infected").unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
    fs::remove_file(to).unwrap();
    bytes
}

#[test]
fn from_its_place_and_from_the_vault_and_deleted_by_the_undo() {
    with_samples(&[], |up, root| {
        let api = up.api();
        let (in_place, in_vault) =
            (put(up, &root.join("in place"), 3 << 20), put(up, &root.join("taken"), 0));
        let quarantined = api.quarantine(up.field("machineId"), &in_vault.sha1);
        assert_eq!(ended(up, &quarantined)["state"], json!("Succeeded"));
        let dir = tempfile::tempdir().unwrap();
        for (sample, path) in [(&in_place, "in place"), (&in_vault, "taken")] {
            let order = ended(up, &collect(up, sample));
            assert_eq!(order["state"], json!("Succeeded"), "{order}");
            assert_eq!(order["copies"][0]["path"], json!(root.join(path).to_str().unwrap()), "{order}");
            assert!(opened(up, sample, &dir.path().join("archive")) == sample.bytes);
            let id = order["id"].as_str().unwrap();
            assert!(up.cli(&["order", "show", id]).contains("delete the sample"));
            up.cli(&["order", "undo", id, "--comment", "seen enough", "--wait"]);
            assert_eq!(api.get(&format!("/api/quell/files/{}/sample", sample.sha256)).0, 404);
        }
        assert_eq!(fs::read(root.join("in place")).unwrap(), in_place.bytes, "it was read and nothing more");
        assert!(!root.join("taken").exists());
        let kept = Path::new(up.field("dataDir")).join("samples").join(up.field("tenantId"));
        assert_eq!(fs::read_dir(kept).unwrap().count(), 0);
    });
}

/// A filesystem that is mounted in the data directory is not the agent's own.
#[test]
fn from_the_demo() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::tmpfs();
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&Options { guard: None, ..options(dir.path(), filesystem.root()) });
    let sample = put(&up, &Path::new(up.field("dataDir")).join("demo/another"), 0);
    let order = ended(&up, &collect(&up, &sample));
    assert_eq!(order["state"], json!("Succeeded"), "{order}");
    up.stop();
}

#[test]
fn it_goes_on_after_the_agent_was_killed_and_gives_way_to_a_writer() {
    with_samples(&[], |up, root| {
        let path = root.join("large");
        let sample = put(up, &path, 24 << 20);
        let mut killed = 0;
        for delay in [20, 60, 120] {
            let order = collect(up, &sample);
            std::thread::sleep(Duration::from_millis(delay));
            if let Some(agent) = one_of(up.pid(), "work") {
                kill_process(Pid::from_raw(agent).unwrap(), Signal::KILL).unwrap();
                killed += 1;
            }
            let order = ended(up, &order);
            assert_eq!(order["state"], json!("Succeeded"), "after {delay} ms: {order}");
            let dir = tempfile::tempdir().unwrap();
            assert!(opened(up, &sample, &dir.path().join("archive")) == sample.bytes);
            up.cli(&["order", "undo", order["id"].as_str().unwrap(), "--comment", "again"]);
        }
        assert_eq!(killed, 3);

        // Whoever wants to write is let in at once, and the order says so.
        let writer = fs::File::options().append(true).open(&path).unwrap();
        let order = ended(up, &collect(up, &sample));
        assert_eq!(order["state"], json!("Failed"), "{order}");
        assert!(order["failure"].as_str().unwrap().contains("writer"), "{order}");
        drop(writer);
    });
}

#[test]
fn what_has_no_room_is_refused_before_anything_is_read() {
    with_samples(&["--largest-sample", "1000000", "--sample-quota", "1500000"], |up, root| {
        let api = up.api();
        let path = format!("/api/quell/machines/{}/collect", up.field("machineId"));
        let large = put(up, &root.join("large"), 1_000_001);
        let (status, answer) = api.post(&path, &json!({"Comment": "c", "Sha1": large.sha1}));
        assert_eq!((status, &answer["error"]["code"]), (507, &json!("QuotaExceeded")), "{answer}");
        let (first, second) = (put(up, &root.join("a"), 900_000), put(up, &root.join("b"), 900_000));
        assert_eq!(ended(up, &collect(up, &first))["state"], json!("Succeeded"));
        let (status, answer) = api.post(&path, &json!({"Comment": "c", "Sha1": second.sha1}));
        assert_eq!(status, 507, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("--sample-quota"), "{answer}");
        let quarantined = api.quarantine(up.field("machineId"), &second.sha1);
        assert_eq!(ended(up, &quarantined)["state"], json!("Succeeded"), "other orders go on");
    });
}

#[test]
fn a_quarantine_does_not_wait_for_a_sample() {
    with_samples(&[], |up, root| {
        let (large, small) = (put(up, &root.join("large"), 30 << 20), put(up, &root.join("small"), 0));
        let sample = collect(up, &large);
        let quarantined = ended(up, &up.api().quarantine(up.field("machineId"), &small.sha1));
        assert_eq!(quarantined["state"], json!("Succeeded"), "{quarantined}");
        // Also of the very file: it is read to its end all the same.
        let quarantined = ended(up, &up.api().quarantine(up.field("machineId"), &large.sha1));
        assert_eq!(quarantined["state"], json!("Succeeded"), "{quarantined}");
        let sample = ended(up, &sample);
        assert_eq!(sample["state"], json!("Succeeded"), "{sample}");
        wait_for("its place to be empty", Duration::from_secs(30), || {
            (!root.join("large").exists()).then_some(())
        });
    });
}
