//! What each client does, step by step, and what it makes of the answers: written after their sources.

use serde_json::Value;

use crate::http::{Answer, Connection, Request};
use crate::world::{UNSEEN, World};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key}: {value}"))
}

/// What Splunk SOAR takes for success: JSON, or nothing that claims to be JSON under 200 or 204.
fn splunk_accepts(answer: &Answer) -> bool {
    let labelled = answer.header("content-type").is_some_and(|label| label.contains("json"));
    match (200..400).contains(&answer.status) {
        true if labelled => serde_json::from_str::<Value>(&answer.text).is_ok(),
        true => answer.text.is_empty() && [200, 204].contains(&answer.status),
        false => false,
    }
}

#[test]
fn splunk_soar() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let form = world.form("resource=https://api.securitycenter.windows.com");
    let answer = world.asks_token("POST", "oauth2/token", &form, &[]);
    assert!(splunk_accepts(&answer));
    let token = text(&answer.json(), "access_token").to_owned();
    let call = |method: &str, path: &str, body: &str| {
        Request::new(method, path).bearer(&token).header(JSON.0, JSON.1).body(body).send(&world.address)
    };
    // As typed, so in capitals; GETs carry the type, too.
    let file = call("GET", &format!("/api/files/{}", sample.sha1.to_uppercase()), "");
    assert!(splunk_accepts(&file));
    assert!(!file.json().as_object().unwrap().is_empty());
    let machines = call("GET", &format!("/api/files/{}/machines?$top=100&", sample.sha1), "");
    assert_eq!(text(&machines.json()["value"][0], "id"), world.machine());
    for verb in ["block", "unblock"] {
        assert!(splunk_accepts(&call("POST", &format!("/api/files/{UNSEEN}/{verb}"), r#"{"Comment":"x"}"#)));
    }
    let minimal = Request::new("POST", &format!("/api/files/{UNSEEN}/block")).bearer(&token);
    let minimal = minimal.header("Prefer", "return=minimal").body(r#"{"Comment":"x"}"#);
    assert!(splunk_accepts(&minimal.send(&world.address)));
    let body = format!(r#"{{"Comment": "x", "Sha1": "{}"}}"#, sample.sha1);
    let path = format!("/api/machines/{}/StopAndQuarantineFile", world.machine());
    let action = call("POST", &path, &body).json();
    // A first poll that is refused would end it.
    let polled = call("GET", &format!("/api/machineactions/{}", text(&action, "id")), "");
    assert!(splunk_accepts(&polled));
    assert!(["Pending", "InProgress", "Succeeded"].contains(&text(&polled.json(), "status")));
    // An ended token: the answer must parse, so that a new one is asked for; `message` must not be null.
    let ended = Request::new("GET", "/api/machines").bearer("x.y.z").send(&world.address);
    ended.refuses(401, "Unauthorized");
    let refused =
        world.asks_token("POST", "oauth2/token", &form.replace("client_secret=", "client_secret=x"), &[]);
    assert!(
        !text(&refused.json(), "error").is_empty() && !text(&refused.json(), "error_description").is_empty()
    );
    world.up.stop();
}

#[test]
fn cortex_xsoar() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let form = world.form("scope=https%3A%2F%2Fgraph.microsoft.com%2F.default");
    let token = world.asks_token("POST", "oauth2/v2.0/token", &form, &[]).is(200);
    assert!(token["expires_in"].as_u64().is_some());
    let path = format!("/api/machines/{}/stopAndQuarantineFile", world.machine());
    let body = format!(r#"{{"Comment": "x", "Sha1": "{}"}}"#, sample.sha1);
    let action = world.post(&path, &body).is(201);
    for key in ["id", "type", "status", "requestor", "requestorComment", "machineId", "computerDnsName"] {
        text(&action, key);
    }
    let related = &action["relatedFileInfo"];
    assert_eq!(
        (text(related, "fileIdentifier"), text(related, "fileIdentifierType")),
        (&*sample.sha1, "Sha1")
    );
    // It retries only what says this in the text.
    let missing = world.get("/api/machineactions/6f1d364c-680c-499a-b30c-dd9265ad4c9d");
    assert!(missing.status == 404 && missing.text.contains("ResourceNotFound"));
    // Its deprecated pack cuts the last two letters and then wants a fraction of up to six digits.
    let shown = world.get(&format!("/api/machines/{}", world.machine())).is(200);
    for moment in [text(&action, "creationDateTimeUtc"), text(&shown, "firstSeen"), text(&shown, "lastSeen")]
    {
        let (_, fraction) = moment[..moment.len() - 2].split_once('.').expect("a fraction");
        assert!((1..=6).contains(&fraction.len()), "{moment}");
    }
    world.up.stop();
}

#[test]
fn rapid7_insightconnect() {
    let Some(world) = World::start() else { return };
    let sample = world.large_sample("large");
    let token = world.asks_token("POST", "oauth2/token", &world.form("resource=x"), &[]).is(200);
    assert!(text(&token, "access_token").len() > 5);
    // An input of forty letters is an id, which it looks up first.
    let machine = world.get(&format!("/api/machines/{}", world.machine())).is(200);
    let id = text(&machine, "id");
    assert!(id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()));
    let request = world.request("POST", &format!("/api/machines/{id}/StopAndQuarantineFile"));
    let request = request.body(format!(r#"{{"Comment": "x", "Sha1": "{}"}}"#, sample.sha1));
    let answers = Connection::open(&world.address).ask_all(&[request.clone(), request]);
    let action = answers[0].is(201);
    assert_eq!(answers[1].status, 400);
    assert!(answers[1].text.contains(r#""message":"Action is already in progress""#), "{}", answers[1].text);
    world.wait_status(&format!("/api/machineactions/{}", text(&action, "id")));
    world.up.stop();
}

#[test]
fn sekoia() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let form = world.form("resource=https://api.securitycenter.microsoft.com");
    let token = world.asks_token("GET", "oauth2/token", &form, &[]).is(200);
    assert_eq!((text(&token, "token_type"), text(&token, "expires_in")), ("Bearer", "3600"));
    let path = format!("/api/machines/{}/StopAndQuarantineFile", world.machine());
    let action = world.post(&path, &format!(r#"{{"Comment":"x","Sha1":"{}"}}"#, sample.sha1)).is(201);
    let place = format!("/api/machineactions/{}", text(&action, "id"));
    let polled = world.request("GET", &place).header(JSON.0, JSON.1).body("{}").send(&world.address);
    text(&polled.is(200), "status");
    // It reads all three without looking whether they are there.
    for refused in [world.get("/api/machineactions/x"), world.post(&path, ""), world.get("/api/nothing")] {
        let error = refused.json()["error"].clone();
        for key in ["code", "message", "target"] {
            assert!(!text(&error, key).is_empty());
        }
    }
    world.up.stop();
}
