//! Who passes, and in which order one is refused.

use crate::api::tests::{Scene, file};
use crate::config::RateLimit;

#[tokio::test]
async fn without_a_good_token_nobody_passes() {
    let scene = Scene::new().await;
    let path = format!("/api/files/{}", file(1).sha1);
    let headers: [&[(&str, &str)]; 5] = [
        &[],
        &[("Authorization", "")],
        &[("Authorization", "Bearer")],
        &[("Authorization", "Bearer a.b.c")],
        &[("Authorization", "Basic YTpi")],
    ];
    for headers in headers {
        let answer = scene.call_with(None, "GET", &path, "", headers).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(answer.json()["error"]["code"], "Unauthorized");
    }
    scene.later(3661);
    let answer = scene.call("GET", &path, "").await;
    answer.refuses(401, "Unauthorized", "the token is expired or not yet valid");
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let scene = Scene::new().await;
    let header = format!("bearer {}", scene.token);
    let answer = scene.call_with(None, "GET", "/api/machines", "", &[("authorization", &header)]).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn the_hundred_and_first_call_in_a_minute_waits_and_does_not_count() {
    let scene = Scene::limited(RateLimit::Default).await;
    let path = format!("/api/files/{}", file(1).sha1);
    for _ in 0..100 {
        assert_eq!(scene.call("GET", &path, "").await.status, 404);
    }
    scene.later(20);
    for _ in 0..30 {
        let answer = scene.call("GET", &path, "").await;
        let message = "API calls quota exceeded! maximum allowed 100 per 00:01:00";
        answer.refuses(429, "TooManyRequests", message);
        assert_eq!(answer.header("retry-after"), Some("40"));
    }
    // Other APIs and other applications have budgets of their own; both roots share one.
    assert_eq!(scene.call("GET", "/api/machines", "").await.status, 200);
    let other = scene.token_with(&["File.Read.All"]).await;
    assert_eq!(scene.call_with(Some(&other), "GET", &path, "", &[]).await.status, 404);
    let preview = path.replace("/api/", "/testwdatppreview/");
    assert_eq!(scene.call("GET", &preview, "").await.status, 429);
    scene.later(40);
    assert_eq!(scene.call("GET", &path, "").await.status, 404);
}

#[tokio::test]
async fn role_comes_before_budget_and_budget_before_body() {
    let scene = Scene::limited(RateLimit::Calls { per_minute: 1, per_hour: 9 }).await;
    let path = format!("/api/files/{}/block", file(1).sha1);
    let without = scene.token_with(&["File.Read.All"]).await;
    for _ in 0..3 {
        assert_eq!(scene.call_with(Some(&without), "POST", &path, "", &[]).await.status, 403);
    }
    assert_eq!(scene.call("POST", &path, "").await.status, 400);
    let answer = scene.call("POST", &path, "").await;
    answer.refuses(429, "TooManyRequests", "API calls quota exceeded! maximum allowed 1 per 00:01:00");
}
