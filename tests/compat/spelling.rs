//! Routes and hashes in every spelling that clients have.

use serde_json::json;

use crate::world::{UNSEEN, World};

#[test]
fn every_spelling_of_a_route_leads_to_the_same_answer() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let (sha1, machine) = (&sample.sha1, world.machine());

    let file = world.get(&format!("/api/files/{sha1}"));
    for path in [
        format!("/api/files/{}", sha1.to_uppercase()),
        format!("/api/files/{}", sample.sha256.to_uppercase()),
        format!("/API/Files/{sha1}/"),
        format!("/api/v1.0/files/{sha1}"),
        format!("/api/V1.0/files/{sha1}/"),
        format!("/api/files/{sha1}?$top=100&"),
    ] {
        let answer = world.get(&path);
        assert_eq!((answer.status, &answer.text), (200, &file.text), "{path}");
    }
    let preview = world.get(&format!("/testwdatppreview/files/{sha1}/")).is(200);
    assert_eq!(preview["@odata.context"], "http://quell.test:8080/testwdatppreview/$metadata#Files/$entity");

    let one = world.get(&format!("/api/machines/{machine}")).is(200);
    assert_eq!(world.get(&format!("/api/Machines/{}/", machine.to_uppercase())).is(200)["id"], one["id"]);
    let all = world.get("/api/v1.0/machines/?$top=100&").is(200);
    assert_eq!(all["@odata.context"], "http://quell.test:8080/api/$metadata#Machines");
    assert_eq!(all["value"][0]["id"], one["id"]);
    let with = world.get(&format!("/api/files/{}/Machines?$top=100&", sha1.to_uppercase())).is(200);
    assert_eq!(with["value"].as_array().unwrap().len(), 1);

    for verb in ["Block", "UNBLOCK", "block/", "unBlock/"] {
        let path = format!("/Api/v1.0/Files/{}/{verb}", UNSEEN.to_uppercase());
        let action = world.post(&path, r#"{"Comment":"c"}"#).is(201);
        assert_eq!(action["fileIdentifier"], json!(UNSEEN), "told as it is stored");
    }
    for verb in ["StopAndQuarantineFile", "stopAndQuarantineFile", "STOPANDQUARANTINEFILE/"] {
        for root in ["api", "api/v1.0", "testwdatppreview", "TestWdatpPreview"] {
            let answer = world.post(&format!("/{root}/machines/{machine}/{verb}"), "{}");
            answer.refuses(400, "MissingRequiredParameter");
        }
    }
    for path in
        ["/api/MachineActions", "/testwdatppreview/FileMachineActions", "/testwdatppreview/FileActions/"]
    {
        assert_eq!(world.get(path).is(200)["value"], json!([]), "{path}");
    }
    world.up.stop();
}

#[test]
fn keys_of_a_body_are_read_in_any_case_and_in_any_order() {
    let Some(world) = World::start() else { return };
    let path = format!("/api/files/{UNSEEN}/block");
    for (body, comment) in [
        (r#"{"comment":"one","unknown":{"a":[1]}}"#, "one"),
        ("\u{feff}{\"COMMENT\":\"zw\u{f6}lf \u{1f9ea}\"}", "zw\u{f6}lf \u{1f9ea}"),
        (r#"{"comment":"no","Comment":"yes"}"#, "yes"),
        (r#"{"Comment":" \"quoted\"\nline\u0000 "}"#, " \"quoted\"\nline\0 "),
    ] {
        assert_eq!(world.post(&path, body).is(201)["requestorComment"], comment);
    }
    let sample = world.known_sample(&["sample"]);
    let body = format!(r#"{{"SHA1":"{}","comment":"c"}}"#, sample.sha1.to_uppercase());
    let path = format!("/api/machines/{}/stopAndQuarantineFile", world.machine());
    let action = world.post(&path, &body).is(201);
    assert_eq!(action["relatedFileInfo"]["fileIdentifier"], json!(sample.sha1));
    world.wait_status(&format!("/api/machineactions/{}", action["id"].as_str().unwrap()));
    // What the body is labelled as does not matter either.
    let unlabelled = world.request("POST", &format!("/api/files/{UNSEEN}/block")).body(r#"{"Comment":"c"}"#);
    assert_eq!(unlabelled.send(&world.address).status, 201);
    world.up.stop();
}
