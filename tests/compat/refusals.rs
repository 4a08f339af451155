//! Refusals: one envelope for all of them, and the code and status of each.
//!
//! An application without a role can't be made from outside yet: 403 for that is tested in the server's crate
//! alone. The 403 of the spared set is in the end-to-end tests.

use crate::http::Request;
use crate::world::{UNSEEN, World};

const WHY: &str = r#"{"Comment":"c"}"#;

#[test]
fn without_a_valid_token_there_is_401_before_anything_else() {
    let Some(world) = World::start() else { return };
    let [head, claims, signature]: [&str; 3] =
        world.token.split('.').collect::<Vec<_>>().try_into().expect("a JWT");
    // Other claims under the same signature: as good as expired, or as another's.
    let forged = format!("{head}.{}.{signature}", claims.replace('0', "1").replace('A', "B"));
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
    let cases = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer garbage".to_owned()),
        Some("Bearer \u{f6}".to_owned()),
        Some(format!("Bearer {forged}")),
        Some(format!("Bearer {unsigned}")),
        Some(format!("Bearer {}x", world.token)),
        Some(format!("Basic {}", world.token)),
        Some(world.token.clone()),
    ];
    let routes = [
        ("GET", format!("/api/files/{UNSEEN}")),
        ("GET", "/api/files/no-hash".to_owned()),
        ("POST", format!("/api/files/{UNSEEN}/block")),
        ("POST", "/api/machines/nobody/StopAndQuarantineFile".to_owned()),
        ("GET", "/testwdatppreview/fileactions".to_owned()),
        ("GET", "/api/quell/orders".to_owned()),
    ];
    for header in &cases {
        for (method, path) in &routes {
            let mut request = Request::new(method, path);
            if let Some(header) = header {
                request = request.header("Authorization", header);
            }
            let answer = request.send(&world.address);
            answer.refuses(401, "Unauthorized");
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer"), "{header:?}: {challenge}");
        }
    }
    // The scheme's case means nothing.
    let request =
        Request::new("GET", "/api/machines").header("authorization", &format!("bearer {}", world.token));
    assert_eq!(request.send(&world.address).status, 200);
    world.up.stop();
}

#[test]
fn what_is_wrong_with_a_request_is_400() {
    let Some(world) = World::start() else { return };
    let sample = world.known_sample(&["sample"]);
    let quarantine = ["api", "testwdatppreview"]
        .map(|root| format!("/{root}/machines/{}/stopAndQuarantineFile", world.machine()));
    let file = format!("/api/files/{UNSEEN}");
    let paths =
        [format!("{file}/block"), format!("{file}/unblock"), quarantine[0].clone(), quarantine[1].clone()];
    for path in &paths {
        for body in
            ["", "[]", "null", "\"Comment\"", "{", "{\"Comment\":\"c\"", "Comment=c", "{\"Comment\":7}"]
        {
            let message = world.post(path, body).refuses(400, "InvalidRequestBody");
            assert_eq!(message, "Request body is incorrect", "{path} {body}");
        }
        for body in
            ["{}", r#"{"Comment":""}"#, r#"{"Comment":"  "}"#, r#"{"Comment":null}"#, r#"{"Sha1":"x"}"#]
        {
            let message = world.post(path, body).refuses(400, "MissingRequiredParameter");
            assert_eq!(message, "Parameter Comment is missing", "{path} {body}");
        }
    }
    for path in &quarantine {
        for body in [WHY, r#"{"Comment":"c","Sha1":""}"#, r#"{"Comment":"c","Sha1":null}"#] {
            let message = world.post(path, body).refuses(400, "MissingRequiredParameter");
            assert_eq!(message, "Parameter Sha1 is missing", "{body}");
        }
        let body = format!(r#"{{"Comment":"c","Sha1":"{}0"}}"#, sample.sha1);
        let message = world.post(path, &body).refuses(400, "InvalidHashValue");
        assert_eq!(message, format!("Hash value {}0 is invalid", sample.sha1));
    }
    let md5 = "d41d8cd98f00b204e9800998ecf8427e";
    for hash in ["xyz", md5, &UNSEEN[1..], &format!("g{}", &UNSEEN[1..]), &format!("{UNSEEN}00"), "%20"] {
        for (method, rest) in [("GET", ""), ("GET", "/machines"), ("POST", "/block"), ("POST", "/unblock")] {
            let request = world.request(method, &format!("/api/files/{hash}{rest}")).body(WHY);
            request.send(&world.address).refuses(400, "InvalidHashValue");
        }
    }
    world.get("/api/machines?$top=many").refuses(400, "ODataError");
    world.up.stop();
}

#[test]
fn what_is_not_there_is_404() {
    let Some(world) = World::start() else { return };
    let id = "6f1d364c-680c-499a-b30c-dd9265ad4c9d";
    let nobody = "f46b9bb259ed4a7fb9981b73510e3cc7aa81ec1f";
    for (path, message) in [
        (format!("/api/files/{}", UNSEEN.to_uppercase()), format!("File {UNSEEN} was not found")),
        (
            "/api/machines/elastic-connector-test".into(),
            "Machine elastic-connector-test was not found".into(),
        ),
        (format!("/api/machines/{nobody}"), format!("Machine {nobody} was not found")),
        (format!("/api/machineactions/{id}"), format!("MachineAction {id} was not found")),
        ("/api/machineactions/7".into(), "MachineAction 7 was not found".into()),
        (
            format!("/testwdatppreview/filemachineactions/{id}"),
            format!("FileMachineAction {id} was not found"),
        ),
        (format!("/api/quell/orders/{id}"), format!("Order {id} was not found")),
    ] {
        assert_eq!(world.get(&path).refuses(404, "ResourceNotFound"), message);
    }
    let body = format!(r#"{{"Comment":"c","Sha1":"{UNSEEN}"}}"#);
    for machine in ["elastic-connector-test", nobody] {
        for root in ["api", "testwdatppreview"] {
            let path = format!("/{root}/machines/{machine}/stopAndQuarantineFile");
            let message = world.post(&path, &body).refuses(404, "ResourceNotFound");
            assert_eq!(message, format!("Machine {machine} was not found"));
        }
    }
    let path = format!("/api/files/{UNSEEN}/unblock");
    world.post(&path, WHY).refuses(404, "ResourceNotFound");
    world.post(&format!("/api/quell/orders/{id}/undo"), WHY).refuses(404, "ResourceNotFound");
    for path in ["/", "/api", "/api/nothing", "/api/files", "/nothing/oauth2", "/api/v2.0/machines"] {
        world.get(path).refuses(404, "NotFound");
    }
    let block = world.get(&format!("/api/files/{UNSEEN}/block"));
    block.refuses(405, "MethodNotAllowed");
    world.up.stop();
}
