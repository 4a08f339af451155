//! What nobody means well with: each is answered or cut off, and the next caller is served.

use crate::http::Connection;
use crate::world::{UNSEEN, World};

#[test]
fn odd_requests_are_refused_and_do_no_harm() {
    let Some(world) = World::start() else { return };
    let block = format!("/api/files/{UNSEEN}/block");
    let deep = "[".repeat(100_000);
    for body in [&deep, &format!(r#"{{"Comment":{deep}"#), "\0\0\0\0", "{\"Comment\":\"\\ud800\"}"] {
        world.post(&block, body).refuses(400, "InvalidRequestBody");
    }
    let latin1 = world.request("POST", &block).body(b"{\"Comment\":\"\xe9\"}".to_vec());
    latin1.send(&world.address).refuses(400, "InvalidRequestBody");
    let large = format!(r#"{{"Comment":"{}"}}"#, "a".repeat(1 << 20));
    world.post(&block, &large).refuses(413, "RequestBodyTooLarge");
    assert_eq!(world.get("/testwdatppreview/fileactions").is(200)["value"], serde_json::json!([]));

    for path in [
        "/api/files/%ff%fe",
        "/api/files/..%2f..%2fetc%2fpasswd",
        "/api/files/'%20OR%201=1--",
        "/api/machines/%00",
        "/api/machines/%ff",
        "/api/machineactions/%7b%7d",
        "/api/machines?$top=99999999999999999999",
        "/api/machines?$skip=-1",
        &format!("/api/files/{}", "a".repeat(20_000)),
        &format!("/{}", "/".repeat(5_000)),
    ] {
        let answer = world.get(path);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(answer.json()["error"]["message"].is_string());
    }
    // A host that is none is not repeated.
    let mut connection = Connection::open(&world.address);
    let odd = format!(
        "GET /api/machines HTTP/1.1\r\nHost: a\"<b>\r\nAuthorization: Bearer {}\r\n\r\n",
        world.token
    );
    connection.write(odd.as_bytes());
    let machines = connection.answer();
    assert_eq!(machines.status, 200);
    assert!(!machines.text.contains("<b>"));
    world.up.stop();
}

#[test]
fn broken_connections_hold_nobody_up() {
    let Some(world) = World::start() else { return };
    let head = format!(
        "POST /api/files/{UNSEEN}/block HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n",
        world.token
    );
    let beginnings = [
        String::new(),
        "GET /api/machines HT".to_owned(),
        format!("{head}Content-Length: 100\r\n\r\n{{\"Comment\":"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nffff\r\n{{"),
    ];
    // Some are left hanging, some are closed half way.
    let mut hanging = Vec::new();
    for _ in 0..50 {
        for beginning in &beginnings {
            let mut connection = Connection::open(&world.address);
            connection.write(beginning.as_bytes());
            hanging.push(connection);
        }
        hanging.truncate(100);
    }
    for nonsense in [
        "\x16\x03\x01\x02\0\x01\0\x01",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\r\n\r\n\r\n",
        "é / HTTP/1.1\r\n\r\n",
    ] {
        Connection::open(&world.address).write(nonsense.as_bytes());
    }
    assert_eq!(world.get("/api/machines").status, 200);
    assert_eq!(world.get("/testwdatppreview/fileactions").is(200)["value"], serde_json::json!([]));
    drop(hanging);
    world.up.stop();
}
