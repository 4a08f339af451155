//! Block, unblock, and the list of blocks in force.

use serde_json::{Value, json};

use crate::shape::is_time;
use crate::world::{UNSEEN, World};

fn verb(world: &World, hash: &str, verb: &str, comment: &str) -> Value {
    let body = format!(r#"{{"Comment":"{comment}"}}"#);
    world.post(&format!("/api/files/{hash}/{verb}"), &body).is(201)
}

fn listed(world: &World) -> Vec<Value> {
    let list = world.get("/testwdatppreview/fileactions").is(200);
    assert_eq!(list["@odata.context"], "http://quell.test:8080/testwdatppreview/$metadata#FileActions");
    list["value"].as_array().unwrap().clone()
}

#[test]
fn a_file_that_nobody_has_seen_is_blocked_again_and_unblocked() {
    let Some(world) = World::start() else { return };
    let first = verb(&world, UNSEEN, "block", "one");
    world.get(&format!("/api/files/{UNSEEN}")).refuses(404, "ResourceNotFound");
    assert_eq!(listed(&world), std::slice::from_ref(&first));

    let second = verb(&world, UNSEEN, "block", "two");
    assert_eq!(second["creationDateTimeUtc"], first["creationDateTimeUtc"]);
    assert_ne!(second["lastUpdateDateTimeUtc"], first["lastUpdateDateTimeUtc"]);
    assert_eq!(second["requestorComment"], "two");
    assert_eq!(listed(&world), std::slice::from_ref(&second), "one rule, as it was told last");

    let ended = verb(&world, UNSEEN, "unblock", "false alarm");
    assert_eq!((&ended["actionType"], &ended["fileStatus"]), (&json!("UnBlock"), &json!("Blocked")));
    assert_eq!(ended["creationDateTimeUtc"], first["creationDateTimeUtc"]);
    assert!(is_time(&ended["cancellationDateTimeUtc"]));
    assert_eq!(ended["cancellationComment"], "false alarm");
    assert_eq!(ended["cancellationRequestor"], first["requestor"]);
    assert_eq!(ended["lastUpdateDateTimeUtc"], ended["cancellationDateTimeUtc"]);
    assert_eq!(listed(&world), [json!(null); 0]);

    let again = world.post(&format!("/api/files/{UNSEEN}/unblock"), r#"{"Comment":"c"}"#);
    again.refuses(404, "ResourceNotFound");
    let anew = verb(&world, UNSEEN, "block", "three");
    assert_ne!(anew["creationDateTimeUtc"], first["creationDateTimeUtc"], "another rule");
    assert!(anew["cancellationDateTimeUtc"].is_null());
    world.up.stop();
}

#[test]
fn each_hash_of_a_file_is_a_rule_of_its_own() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let shown = || world.get(&format!("/api/files/{}", sample.sha1)).is(200)["quell"]["blocked"].clone();
    let by_sha1 = verb(&world, &sample.sha1, "block", "by SHA-1");
    let by_sha256 = verb(&world, &sample.sha256.to_uppercase(), "block", "by SHA-256");
    assert_eq!(by_sha256["fileIdentifierType"], "Sha256");
    assert_eq!(by_sha256["fileIdentifier"], json!(sample.sha256));
    assert_eq!(listed(&world), [by_sha256, by_sha1.clone()], "newest first");
    assert_eq!(
        world.get("/testwdatppreview/fileactions?$top=1").is(200)["value"].as_array().unwrap().len(),
        1
    );
    verb(&world, &sample.sha256, "unblock", "c");
    assert_eq!((listed(&world), shown()), (vec![by_sha1], json!(true)));
    verb(&world, &sample.sha1, "unblock", "c");
    assert_eq!(shown(), json!(false));
    world.up.stop();
}

#[test]
fn who_prefers_a_minimal_answer_gets_200_and_nothing() {
    let Some(world) = World::start() else { return };
    for action in ["block", "unblock"] {
        for prefer in ["return=minimal", "respond-async, Return=Minimal"] {
            let request = world.request("POST", &format!("/api/files/{UNSEEN}/{action}"));
            let request = request.header("Prefer", prefer).body(r#"{"Comment":"c"}"#);
            let answer = request.send(&world.address);
            if action == "unblock" && prefer != "return=minimal" {
                answer.refuses(404, "ResourceNotFound");
                continue;
            }
            assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{action}");
            assert_eq!(answer.header("content-type"), None, "nothing is no JSON");
            assert_eq!(answer.header("content-length"), Some("0"));
        }
    }
    let other = world.request("POST", &format!("/api/files/{UNSEEN}/block"));
    let other = other.header("Prefer", "return=representation").body(r#"{"Comment":"c"}"#);
    other.send(&world.address).is(201);
    world.up.stop();
}
