//! What files are judged to be: by a list, by an analyst, and what follows.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tests::filesystem::Filesystem;
use tests::sample::Sample;
use tests::up::{Up, options};
use tests::{is_private, wait_for};

#[test]
fn a_list_judges_an_analyst_overrules_it_and_a_policy_follows_both() {
    if !is_private() {
        return;
    }
    let filesystem = Filesystem::tmpfs();
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(&options(dir.path(), filesystem.root()));
    let api = up.api();
    let sample = Sample::fresh();
    sample.put(&filesystem.root().join("evil"));
    api.wait_known(&sample.sha1);
    let show =
        || -> Value { serde_json::from_str(&up.cli(&["file", "show", &sample.sha1, "-o", "json"])).unwrap() };
    assert_eq!(show()["determinationType"], json!("Unknown"));

    // More than one piece of a call, and more than is looked at to tell what it is.
    let feed = dir.path().join("feed.csv");
    let mut text = "first_seen,sha256_hash,signature\n".to_owned();
    for number in 0..20_000u32 {
        text.push_str(&format!("2026-01-01,{number:064x},Other\n"));
    }
    text.push_str(&format!("2026-01-01,{},Evil\nbroken,line,here\n", sample.sha256));
    fs::write(&feed, text).unwrap();
    let feed = feed.to_str().unwrap();
    let import = [
        "list",
        "import",
        feed,
        "--name",
        "feed",
        "--as",
        "malware",
        "--value",
        "Feed/Evil",
        "--comment",
        "c",
    ];
    let told = up.cli(&import);
    assert!(told.contains("20001 digests"), "{told}");
    let file = show();
    assert_eq!(
        (&file["determinationType"], &file["determinationValue"]),
        (&json!("Malware"), &json!("Feed/Evil"))
    );
    assert!(up.cli(&["list", "list"]).contains("in use"));
    let blocked = || show()["quell"]["blocked"] == json!(true);
    assert!(!blocked(), "nothing follows from that until somebody wants it");

    up.cli(&["rule", "add", "--on-determination", "malware", "--comment", "none of it here"]);
    wait_for("the policy's block", Duration::from_secs(20), || blocked().then_some(()));
    let who = api.get("/testwdatppreview/fileactions").1["value"][0]["requestor"].clone();
    assert_eq!(who, json!("policy on-determination malware"));
    assert!(up.cli(&["rule", "list"]).contains("Malware"));

    let judged = up.cli(&["file", "judge", &sample.sha256, "--as", "clean", "--comment", "it is ours"]);
    assert!(judged.contains("Clean, by analyst"), "{judged}");
    wait_for("the block to end", Duration::from_secs(20), || (!blocked()).then_some(()));
    assert!(up.cli(&["file", "show", &sample.sha1]).contains("Clean, by analyst; feed: Malware"));
    let judged = up.cli(&["file", "judge", &sample.sha1, "--as", "unknown", "--comment", "not sure"]);
    assert!(judged.contains("Malware (Feed/Evil), by feed"), "{judged}");
    up.cli(&["rule", "remove", "--on-determination", "malware", "--comment", "enough"]);
    up.cli(&["list", "remove", "feed", "--comment", "enough"]);
    assert_eq!(show()["determinationType"], json!("Unknown"));
    up.stop();
}
