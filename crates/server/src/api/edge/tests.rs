//! What holds for every route.

use super::*;
use crate::api::tests::Scene;

#[tokio::test]
async fn whatever_goes_wrong_has_the_envelope() {
    let scene = Scene::new().await;
    let long = format!("{{\"Comment\":\"{}\"}}", "x".repeat(2 << 20));
    let block = format!("/api/files/{}/block", "a".repeat(40));
    let table = [
        ("GET", "/nowhere", "", 404, "NotFound"),
        ("GET", "/", "", 404, "NotFound"),
        ("GET", "/api/files/%ff%fe", "", 404, "NotFound"),
        ("DELETE", "/api/quell/status", "", 405, "MethodNotAllowed"),
        ("PUT", "/api/files/a", "", 405, "MethodNotAllowed"),
        ("POST", block.as_str(), long.as_str(), 413, "RequestBodyTooLarge"),
        ("POST", block.as_str(), "", 400, "InvalidRequestBody"),
    ];
    for (method, path, body, status, code) in table {
        let answer = scene.call(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let json = answer.json();
        assert_eq!(json["error"]["code"], code);
        assert!(!json["error"]["message"].as_str().unwrap().is_empty());
        assert_eq!(json["error"]["target"].as_str(), answer.header("x-request-id"));
        json["error"]["target"].as_str().unwrap().parse::<Uuid>().unwrap();
        // Some clients compare text: no blanks after colons.
        assert!(answer.text.starts_with(&format!(r#"{{"error":{{"code":"{code}","message":""#)));
    }
}

#[tokio::test]
async fn every_spelling_of_an_address_is_served() {
    let scene = Scene::new().await;
    for path in ["/api/machines", "/API/Machines/", "/api/v1.0/machines", "/Api/V1.0/MACHINES/?$top=1&"] {
        assert_eq!(scene.call("GET", path, "").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn answers_say_how_they_may_be_used() {
    let scene = Scene::new().await;
    let answer = scene.anonymous("GET", "/api/quell/status", "").await;
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_panic_is_contained() {
    async fn fails() -> u8 {
        panic!("on purpose")
    }
    let panic = contained(fails()).await.unwrap_err();
    assert_eq!(panic_text(&*panic), "on purpose");
    let answer = finish(ApiError::Panicked.into_response(), RequestId(Uuid::nil()));
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn a_wait_is_rounded_up() {
    for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
        assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
    }
}
