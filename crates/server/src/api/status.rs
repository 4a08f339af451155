//! `GET /api/quell/status`: the server lives. Says nothing more, as anybody may ask.

use axum::Json;
use wire::rest::Status;

/// The server lives.
pub(super) async fn handle() -> Json<Status> {
    Json(Status::OK)
}

#[cfg(test)]
mod tests {
    use crate::api::tests::Scene;

    #[tokio::test]
    async fn anybody_may_ask() {
        let scene = Scene::new().await;
        let answer = scene.anonymous("GET", "/api/quell/status", "").await;
        assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"status":"ok"}"#));
    }
}
