//! The brake: what waits on the machine, who lets it go on, and who does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::{Value, json};
use tests::filesystem::Filesystem;
use tests::sample::{Sample, is_denied, keep_running, try_run};
use tests::up::{Options, Up, binary, options};
use tests::{is_private, wait_for};

const SOON: Duration = Duration::from_secs(30);
/// As many processes make a file one that runs widely.
const MANY: usize = 5;

/// Processes that end with the test.
struct Crowd(Vec<Child>);

impl Crowd {
    fn of(path: &Path) -> Self {
        Self((0..MANY).map(|_| keep_running(path)).collect())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn with_limits(dir: &Path, root: &Path, denials: u32, quarantines: u32) -> Options {
    let numbers = [denials.to_string(), quarantines.to_string()];
    let [denials, quarantines] = numbers.map(Into::into);
    let more = vec!["--brake-denials".into(), denials, "--brake-quarantines".into(), quarantines];
    Options { more, ..options(dir, root) }
}

/// A new file that many run, known to the server.
fn crowded(up: &Up, root: &Path, name: &str) -> (Sample, PathBuf, Crowd) {
    let (sample, path) = (Sample::fresh(), root.join(name));
    sample.put(&path);
    up.api().wait_known(&sample.sha1);
    let crowd = Crowd::of(&path);
    (sample, path, crowd)
}

/// Runs a verb; whether it succeeded, and all that it said.
fn quell(up: &Up, arguments: &[&str]) -> (bool, String) {
    let profile = up.field("dataDir").to_owned() + ".ready";
    let output = Command::new(binary()).args(arguments).env("QUELL_PROFILE", profile).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// What waits, as the machine says.
fn holds(up: &Up) -> Vec<Value> {
    let said = up.cli(&["agent", "approve", "--list", "-o", "json", "--data-dir", up.field("dataDir")]);
    serde_json::from_str::<Value>(&said).unwrap().as_array().unwrap().clone()
}

fn wait_holds(up: &Up, count: usize) -> Vec<Value> {
    wait_for("what waits", SOON, || Some(holds(up)).filter(|holds| holds.len() == count))
}

fn id(hold: &Value) -> String {
    hold["id"].as_str().unwrap().to_owned()
}

/// The newest order that is about this file.
fn order_of(up: &Up, sample: &Sample) -> Value {
    let (_, list) = up.api().get("/api/quell/orders");
    let orders = list["value"].as_array().unwrap().clone();
    let about = orders
        .iter()
        .find(|order| order["sha"] == json!(sample.sha1) || order["sha"] == json!(sample.sha256));
    let id = about.expect("the order")["id"].as_str().unwrap().to_owned();
    up.api().get(&format!("/api/quell/orders/{id}")).1
}

#[test]
fn denials_of_what_runs_widely_wait_until_root_or_the_operator_key_approves() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::ext4();
    let root = filesystem.root();
    let dir = tempfile::tempdir().unwrap();
    let options = with_limits(dir.path(), root, 1, 60);
    let mut up = Up::start(&options);
    let (first, first_path, _first) = crowded(&up, root, "first");
    let (second, second_path, _second) = crowded(&up, root, "second");
    let (third, third_path, _third) = crowded(&up, root, "third");

    // As many as may be are denied at once; the next one waits, by whatever name and however often it is asked for.
    up.api().block(&first.sha1);
    wait_for("the denial", SOON, || is_denied(&first_path).then_some(()));
    up.api().block(&second.sha1);
    let [hold] = &wait_holds(&up, 1)[..] else { panic!("one waits") };
    assert_eq!(hold["crowds"][0]["processes"], json!(MANY), "{hold}");
    up.api().block(&second.sha256);
    wait_holds(&up, 2);
    up.api().unblock(&second.sha256);
    wait_holds(&up, 1);
    up.api().unblock(&second.sha1);
    wait_holds(&up, 0);
    up.api().block(&second.sha1);
    let hold = wait_holds(&up, 1).remove(0);
    try_run(&second_path).expect("it is not denied");
    // A file that nobody runs is denied all the same.
    let quiet = Sample::fresh();
    quiet.put(&root.join("quiet"));
    up.api().block(&quiet.sha1);
    wait_for("the denial", SOON, || is_denied(&root.join("quiet")).then_some(()));

    // Who asked sees why it is not in force, and how it can be.
    let order = wait_for("the order to say so", SOON, || {
        Some(order_of(&up, &second)).filter(|order| order["waits"][0]["id"] == hold["id"])
    });
    assert!(["Pending", "InProgress"].contains(&order["state"].as_str().unwrap()), "{order}");
    let shown = up.cli(&["order", "show", order["id"].as_str().unwrap()]);
    assert!(shown.contains(&format!("quell agent approve {}", id(&hold))), "{shown}");

    // It waits over a restart.
    up.stop();
    up = Up::start(&options);
    assert_eq!(id(&wait_holds(&up, 1)[0]), id(&hold));
    wait_for("the denial of before", SOON, || is_denied(&first_path).then_some(()));
    try_run(&second_path).expect("it still waits");

    let data_dir = up.field("dataDir").to_owned();
    let (done, said) =
        quell(&up, &["agent", "approve", &id(&hold), "--comment", " ", "--data-dir", &data_dir]);
    assert!(!done && said.contains("--comment"), "{said}");
    up.cli(&["agent", "approve", &id(&hold), "--comment", "known", "--data-dir", &data_dir]);
    assert!(is_denied(&second_path));
    let ended = up.api().wait_order(order["id"].as_str().unwrap());
    assert_eq!((&ended["state"], ended["waits"].as_array().map(Vec::len)), (&json!("Succeeded"), Some(0)));
    let (done, said) =
        quell(&up, &["agent", "approve", &id(&hold), "--comment", "again", "--data-dir", &data_dir]);
    assert!(!done && said.contains("--list"), "once is enough: {said}");

    by_the_operator_key(&up, &third, &third_path, dir.path(), root);
    a_lost_key_is_replaced(up, &options).stop();
}

/// What is forged, over, or was used before is refused; what the key has signed counts.
fn by_the_operator_key(up: &Up, sample: &Sample, path: &Path, dir: &Path, root: &Path) {
    let data_dir = up.field("dataDir").to_owned();
    up.api().block(&sample.sha256);
    let hold = wait_holds(up, 1).remove(0);
    let request = hold["request"].as_str().unwrap().to_owned();
    let usb = dir.join("usb.pem").to_str().unwrap().to_owned();
    let shown = up.cli(&["operator", "key", "--data-dir", &data_dir, "--move", &usb]);
    assert!(shown.contains("fingerprint") && !Path::new(&data_dir).join("operator-key.pem").exists());
    let fingerprint = shown.split_whitespace().nth(1).unwrap().to_owned();
    let status = up.cli(&["agent", "status", "-o", "json", "--data-dir", &data_dir]);
    assert!(status.contains(&fingerprint), "the machine knows it: {status}");

    // Without the key nobody can: not the server, and not with a key of one's own.
    let (done, said) =
        quell(up, &["operator", "approve", &id(&hold), "--comment", "x", "--data-dir", &data_dir]);
    assert!(!done && said.contains("--key"), "{said}");
    let other = other_key(dir, root);
    let forged = up.cli(&["operator", "sign", &request, "--key", &other, "--comment", "x"]);
    for at in [
        vec!["operator", "approve", "--signed", forged.trim(), "--comment", "x"],
        vec!["agent", "approve", "--signed", forged.trim(), "--data-dir", &data_dir],
    ] {
        let (done, said) = quell(up, &at);
        assert!(
            !done && said.contains("not signed by the operator key") && said.contains(&fingerprint),
            "{said}"
        );
    }
    assert_eq!(holds(up).len(), 1);
    try_run(path).expect("it waits on");

    let signed = up.cli(&["operator", "sign", &request, "--key", &usb, "--comment", "known"]);
    up.cli(&["operator", "approve", "--signed", signed.trim(), "--comment", "known"]);
    wait_for("the denial", SOON, || is_denied(path).then_some(()));
    // The same once more is of no use, here or there, also when the same is held again.
    up.api().unblock(&sample.sha256);
    wait_for("the permit", SOON, || try_run(path).ok());
    let (done, said) = quell(up, &["agent", "approve", "--signed", signed.trim(), "--data-dir", &data_dir]);
    assert!(!done && said.contains("--list"), "{said}");
    let (done, said) = quell(up, &["operator", "approve", "--signed", signed.trim(), "--comment", "x"]);
    assert!(!done && said.contains("quell operator list"), "{said}");
    another_key_follows(up, dir, root, &usb);
}

/// From then on the machine takes the new one's word and no more the old one's; a lost one is replaced by root there.
fn another_key_follows(up: &Up, dir: &Path, root: &Path, old: &str) {
    let data_dir = up.field("dataDir").to_owned();
    let new = dir.join("new.pem").to_str().unwrap().to_owned();
    let rotate = ["operator", "key", "rotate", "--key", old, "--to", &new, "--comment", "yearly"];
    let said = up.cli(&rotate);
    let fingerprint = said.split_whitespace().nth(1).unwrap().to_owned();
    let takes = |which: &str| {
        let machine = up.api().get(&format!("/api/machines/{}", up.field("machineId"))).1;
        (machine["quell"]["operatorKey"] == which).then_some(())
    };
    wait_for("the machine to take it", SOON, || takes(&fingerprint));
    assert_eq!(up.cli(&rotate), said, "run again it finds that all is done");
    let status = up.cli(&["agent", "status", "-o", "json", "--data-dir", &data_dir]);
    assert!(status.contains(&fingerprint), "{status}");

    let (sample, path, _crowd) = crowded(up, root, "fourth");
    up.api().block(&sample.sha256);
    let hold = wait_holds(up, 1).remove(0);
    let request = hold["request"].as_str().unwrap().to_owned();
    let stale = up.cli(&["operator", "sign", &request, "--key", old, "--comment", "x"]);
    for at in [
        vec!["operator", "approve", "--signed", stale.trim(), "--comment", "x"],
        vec!["agent", "approve", "--signed", stale.trim(), "--data-dir", &data_dir],
    ] {
        let (done, said) = quell(up, &at);
        assert!(!done && said.contains("not signed by the operator key"), "{said}");
    }
    try_run(&path).expect("it waits on");
    let said = up.cli(&["operator", "approve", &id(&hold), "--key", &new, "--comment", "known"]);
    assert!(said.contains("it goes on"), "{said}");
    wait_for("the denial", SOON, || is_denied(&path).then_some(()));
    let (done, said) = quell(up, &["operator", "approve", &id(&hold), "--key", &new, "--comment", "x"]);
    assert!(!done && said.contains("was approved already"), "{said}");
}

/// The private half is lost: another takes its place on the server at its next start, and here at root's word alone.
fn a_lost_key_is_replaced(up: Up, options: &Options) -> Up {
    let data_dir = up.field("dataDir").to_owned();
    let replace = ["operator", "key", "replace", "--data-dir", &data_dir];
    let fingerprint = up.cli(&replace).split_whitespace().nth(1).unwrap().to_owned();
    up.stop();
    let up = Up::start(options);
    let status = || -> Value {
        let said = up.cli(&["agent", "status", "-o", "json", "--data-dir", up.field("dataDir")]);
        serde_json::from_str(&said).unwrap()
    };
    wait_for("the offer", SOON, || (status()["operatorKeyOffered"] == fingerprint.as_str()).then_some(()));
    assert_ne!(status()["operatorKey"], fingerprint.as_str(), "nobody has signed it");
    let trust = |name: &str| {
        quell(
            &up,
            &["agent", "approve", "--operator-key", name, "--comment", "lost", "--data-dir", &data_dir],
        )
    };
    let (done, said) = trust(&"0".repeat(32));
    assert!(!done && said.contains(&fingerprint), "{said}");
    let (done, said) = trust(&fingerprint);
    assert!(done, "{said}");
    assert_eq!(
        (&status()["operatorKey"], &status()["operatorKeyOffered"]),
        (&json!(fingerprint), &json!(""))
    );
    up
}

/// A key that is no machine's: that of another deployment.
fn other_key(dir: &Path, root: &Path) -> String {
    let elsewhere = dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let up = Up::start(&Options { guard: Some("none".into()), ..options(&elsewhere, root) });
    let key = Path::new(up.field("dataDir")).join("operator-key.pem");
    let copy = dir.join("other.pem");
    fs::copy(key, &copy).unwrap();
    up.stop();
    copy.to_str().unwrap().to_owned()
}

#[test]
fn quarantines_beyond_so_many_an_hour_wait_and_go_on() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::ext4();
    let root = filesystem.root();
    let dir = tempfile::tempdir().unwrap();
    let options = with_limits(dir.path(), root, 0, 2);
    let mut up = Up::start(&options);
    let samples: Vec<_> = (0..4)
        .map(|number| {
            let (sample, path) = (Sample::fresh(), root.join(format!("sample {number}")));
            sample.put(&path);
            up.api().wait_known(&sample.sha1);
            (sample, path)
        })
        .collect();
    let order = |up: &Up, sample: &Sample| {
        let order = up.api().quarantine(up.field("machineId"), &sample.sha1);
        order["id"].as_str().unwrap().to_owned()
    };
    for (sample, path) in &samples[..2] {
        let id = order(&up, sample);
        assert_eq!(up.api().wait_order(&id)["state"], json!("Succeeded"));
        assert!(!path.exists());
    }
    // The count is of the hour, not of the process.
    up.stop();
    up = Up::start(&options);
    let waiting: Vec<_> = samples[2..].iter().map(|(sample, _)| order(&up, sample)).collect();
    let held = wait_holds(&up, 2);
    assert!(samples[2..].iter().all(|(_, path)| path.exists()), "neither has begun");
    // It is denied by then: what waits is the act.
    wait_for("the denial", SOON, || is_denied(&samples[2].1).then_some(()));
    let shown = up.cli(&["order", "show", &waiting[0]]);
    assert!(shown.contains("quell agent approve"), "{shown}");

    let data_dir = up.field("dataDir").to_owned();
    let of = |order: &str| held.iter().find(|hold| hold["order"] == json!(order)).map(id).unwrap();
    up.cli(&["agent", "approve", &of(&waiting[0]), "--comment", "known", "--data-dir", &data_dir]);
    assert_eq!(up.api().wait_order(&waiting[0])["state"], json!("Succeeded"));
    assert!(!samples[2].1.exists() && samples[3].1.exists(), "only what was approved goes on");
    // The other one by the key, which is where the server made it.
    up.cli(&["operator", "approve", &of(&waiting[1]), "--comment", "known", "--data-dir", &data_dir]);
    assert_eq!(up.api().wait_order(&waiting[1])["state"], json!("Succeeded"));
    assert!(!samples[3].1.exists());
    // An undo takes nobody's place.
    let (status, undo) = up
        .api()
        .post(&format!("/api/quell/orders/{}/undo", waiting[1]), &json!({ "Comment": "false alarm" }));
    assert_eq!(status, 201, "{undo}");
    assert_eq!(up.api().wait_order(undo["id"].as_str().unwrap())["state"], json!("Succeeded"));
    assert!(samples[3].1.exists());
    up.stop();
}
