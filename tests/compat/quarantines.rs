//! Stop and quarantine, in both shapes, while it is open, at its end, and back.

use std::time::Duration;

use serde_json::{Value, json};
use tests::up::Options;
use tests::wait_for;

use crate::http::Connection;
use crate::shape::{Liberties, assert_like};
use crate::world::{UNSEEN, World};

/// A fresh order in the current generation's shape: defender-api.md, section 3.4.
const MACHINE_ACTION: &str = r#"{
    "@odata.context": "https://HOST/api/$metadata#MachineActions/$entity",
    "id": "11111111-2222-3333-4444-555555555555",
    "type": "StopAndQuarantineFile",
    "title": null,
    "requestor": "analyst@example.test",
    "requestorComment": "case 7",
    "status": "Pending",
    "machineId": "0123456789abcdef0123456789abcdef01234567",
    "computerDnsName": "host1.example.test",
    "creationDateTimeUtc": "2024-01-02T03:04:05.6789012Z",
    "lastUpdateDateTimeUtc": "2024-01-02T03:04:05.6789021Z",
    "cancellationRequestor": null,
    "cancellationComment": null,
    "cancellationDateTimeUtc": null,
    "errorHResult": 0,
    "scope": null,
    "externalId": null,
    "requestSource": "PublicApi",
    "relatedFileInfo": {"fileIdentifier": "…", "fileIdentifierType": "Sha1"},
    "commands": [],
    "troubleshootInfo": null
}"#;

/// Where the first generation takes the order.
fn preview(world: &World) -> String {
    format!("/testwdatppreview/machines/{}/stopAndQuarantineFile", world.machine())
}

fn body(sha1: &str) -> String {
    format!(r#"{{"Comment":"case 7","Sha1":"{sha1}"}}"#)
}

#[test]
fn the_current_generations_answer_is_complete_and_readable_at_once() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let path = format!("/api/machines/{}/StopAndQuarantineFile", world.machine());
    let mut connection = Connection::open(&world.address);
    let request = world.request("POST", &path).header("Content-Type", "application/json");
    let answer = connection.ask(&request.body(body(&sample.sha1)));
    let action = answer.is(201);
    assert_like(MACHINE_ACTION, &answer.text, Liberties::default());
    assert_eq!((&action["status"], &action["machineId"]), (&json!("Pending"), &json!(world.machine())));
    let related = json!({"fileIdentifier": sample.sha1, "fileIdentifierType": "Sha1"});
    assert_eq!(action["relatedFileInfo"], related);

    // By the id of the answer, at once, also with a body on the GET.
    let place = format!("/api/machineactions/{}", action["id"].as_str().unwrap());
    assert_eq!(connection.ask(&world.request("GET", &place).body("{}")).is(200)["id"], action["id"]);
    let ended = world.wait_status(&place);
    assert_eq!((&ended["status"], &ended["errorHResult"]), (&json!("Succeeded"), &json!(0)));
    assert_like(MACHINE_ACTION, &world.get(&place).text, Liberties::default());
    let machine = world.get(&format!("/api/machines/{}", world.machine())).is(200);
    assert_eq!(ended["computerDnsName"], machine["computerDnsName"]);
    for (list, context) in [
        ("/api/machineactions?$top=10000", "/api/$metadata#MachineActions"),
        ("/testwdatppreview/filemachineactions", "/testwdatppreview/$metadata#FileMachineActions"),
    ] {
        let list = world.get(list).is(200);
        assert_eq!(list["@odata.context"], format!("http://quell.test:8080{context}"));
        assert_eq!(list["value"][0]["id"], action["id"]);
    }
    world.up.stop();
}

#[test]
fn a_second_order_is_refused_while_the_first_is_open_and_taken_afterwards() {
    let Some(world) = World::start() else { return };
    let sample = world.large_sample("large");
    let paths = ["api", "testwdatppreview", "api"]
        .map(|root| format!("/{root}/machines/{}/StopAndQuarantineFile", world.machine()));
    let requests = paths.map(|path| world.request("POST", &path).body(body(&sample.sha1)));
    let answers = Connection::open(&world.address).ask_all(&requests);
    let first = answers[0].is(201);
    for refused in &answers[1..] {
        let message = refused.refuses(400, "ActiveRequestAlreadyExists");
        assert_eq!(message, "Action is already in progress");
    }
    let id = first["id"].as_str().unwrap();
    assert_eq!(world.wait_status(&format!("/api/machineactions/{id}"))["status"], "Succeeded");
    // No copy is left: that is a success, too.
    let again = world.post(&preview(&world), &body(&sample.sha256.to_uppercase())).is(201);
    assert_eq!(again["fileInstances"], json!([]));
    let place = format!("/testwdatppreview/filemachineactions/{}", again["id"].as_str().unwrap());
    let again = world.wait_status(&place);
    assert_eq!((&again["status"], &again["fileInstances"]), (&json!("Succeeded"), &json!([])));
    world.up.stop();
}

#[test]
fn a_file_that_was_never_there_is_not_ordered_away() {
    let Some(world) = World::start() else { return };
    let machine = world.machine();
    wait_for("the first sweep", Duration::from_secs(10), || {
        let machine = world.get(&format!("/api/machines/{machine}")).is(200);
        (machine["quell"]["firstSweepComplete"] == json!(true)).then_some(())
    });
    for root in ["api", "testwdatppreview"] {
        let path = format!("/{root}/machines/{machine}/StopAndQuarantineFile");
        let message = world.post(&path, &body(&UNSEEN.to_uppercase())).refuses(404, "ResourceNotFound");
        assert_eq!(message, format!("Sha1 {UNSEEN} was not found in machine {machine}"));
    }
    assert_eq!(world.get("/api/machineactions").is(200)["value"], json!([]));
    world.up.stop();
}

#[test]
fn where_nothing_is_guarded_no_act_is_taken() {
    let Some(world) = World::with(|usual| Options { guard: Some("none".into()), ..usual }) else { return };
    let sample = world.known_sample(&["sample"]);
    let machine = world.get(&format!("/api/machines/{}", world.machine())).is(200);
    assert_eq!((&machine["quell"]["guardLevel"], &machine["quell"]["guarded"]), (&json!("none"), &json!([])));
    for root in ["api", "testwdatppreview"] {
        let path = format!("/{root}/machines/{}/StopAndQuarantineFile", world.machine());
        world.post(&path, &body(&sample.sha1)).refuses(400, "OsPlatformNotSupported");
    }
    world.up.stop();
}

#[test]
fn an_undo_is_an_order_of_its_own_and_brings_the_copy_back() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let order = world.post(&preview(&world), &body(&sample.sha1)).is(201);
    let id = order["id"].as_str().unwrap().to_owned();
    world.wait_status(&format!("/testwdatppreview/filemachineactions/{id}"));
    assert!(!world.root().join("sample").exists());

    let place = format!("/API/Quell/Orders/{id}/Undo/");
    world.post(&place, "{}").refuses(400, "MissingRequiredParameter");
    let undo = world.post(&place, r#"{"comment":"false alarm"}"#).is(201);
    assert_eq!((&undo["want"], &undo["undoes"]), (&json!("restore"), &json!(id)));
    let ended = ended_order(&world, undo["id"].as_str().unwrap());
    assert_eq!(ended["state"], "Succeeded", "{ended}");
    assert_eq!(std::fs::read(world.root().join("sample")).unwrap(), sample.bytes);
    // A restore is none of the contract's actions, and there is nothing left to undo.
    let undo = undo["id"].as_str().unwrap();
    world.get(&format!("/api/machineactions/{undo}")).refuses(404, "ResourceNotFound");
    world.post(&place, r#"{"comment":"c"}"#).refuses(400, "BadRequest");
    world.post(&format!("/api/quell/orders/{undo}/undo"), r#"{"comment":"c"}"#).refuses(400, "BadRequest");
    world.up.stop();
}

#[test]
fn a_cancel_is_the_contracts_and_comes_too_late_for_what_has_ended() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let order = world.post(&preview(&world), &body(&sample.sha1)).is(201);
    let id = order["id"].as_str().unwrap();
    let place = format!("/api/machineactions/{id}");
    let cancel = format!("{place}/cancel");
    world.post(&cancel, "{}").refuses(400, "MissingRequiredParameter");
    world
        .post(&format!("/api/machineactions/{UNSEEN}/cancel"), r#"{"Comment":"c"}"#)
        .refuses(404, "ResourceNotFound");
    // Whether the machine has begun is its own haste: either answer is the contract's, and so is what comes of it.
    let answer = world.post(&cancel, r#"{"Comment":"no longer"}"#);
    if answer.status == 200 {
        let cancelled = [
            ("cancellationRequestor", r#""x""#),
            ("cancellationComment", r#""x""#),
            ("cancellationDateTimeUtc", r#""2024-01-02T03:04:05Z""#),
        ];
        let example = cancelled.iter().fold(MACHINE_ACTION.to_owned(), |example, (key, value)| {
            example.replace(&format!("\"{key}\": null"), &format!("\"{key}\": {value}"))
        });
        assert_like(&example, &answer.text, Liberties { extra: &["quell"], ..Liberties::default() });
        assert_eq!(answer.json()["cancellationComment"], "no longer");
    } else {
        answer.refuses(400, "BadRequest");
    }
    let ended = world.wait_status(&place);
    let is_there = world.root().join("sample").exists();
    assert_eq!(ended["status"], if is_there { "Cancelled" } else { "Succeeded" }, "{ended}");
    world.post(&cancel, r#"{"Comment":"c"}"#).refuses(400, "BadRequest");
    world.up.stop();
}

fn ended_order(world: &World, id: &str) -> Value {
    wait_for("the order to end", Duration::from_secs(20), || {
        let order = world.get(&format!("/api/quell/orders/{id}")).is(200);
        (!["Pending", "InProgress"].contains(&order["state"].as_str()?)).then_some(order)
    })
}
