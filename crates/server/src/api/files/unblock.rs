//! `POST /api/files/{id}/unblock`: the file may run again.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::created;
use crate::api::caller::Calling;
use crate::api::door::{ActionBody, FileInPath};
use crate::api::errors::ApiError;
use crate::app::App;

/// Ends the block made by this hash; a block by the file's other hash is another rule.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    FileInPath(id): FileInPath,
    headers: HeaderMap,
    body: ActionBody,
) -> Result<Response, ApiError> {
    let comment = body.comment()?;
    let block = app.store.unblock(&calling.caller(), id, comment).await;
    let block = block.map_err(|error| ApiError::submit(error, id, ""))?;
    Ok(created(block, &headers))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn the_block_ends_and_says_who_ended_it() {
        let scene = Scene::new().await;
        let path = format!("/api/files/{}", file(1).sha1);
        scene.call("POST", &format!("{path}/block"), r#"{"Comment":"why"}"#).await;
        scene.later(60);
        let answer = scene.call("POST", &format!("{path}/unblock"), r#"{"Comment":"false alarm"}"#).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let json = answer.json();
        assert_eq!(json["actionType"], "UnBlock");
        assert_eq!(json["fileStatus"], "Blocked");
        assert_eq!(json["requestorComment"], "why");
        assert_eq!(json["cancellationComment"], "false alarm");
        assert_eq!(json["cancellationDateTimeUtc"], json["lastUpdateDateTimeUtc"]);
        assert!(json["cancellationRequestor"].as_str().unwrap().starts_with("test ("));
        let list = scene.call("GET", "/testwdatppreview/fileactions", "").await.json();
        assert_eq!(list["value"], serde_json::json!([]));
    }

    #[tokio::test]
    async fn what_is_not_blocked_is_not_found() {
        let scene = Scene::new().await;
        let sha1 = file(1).sha1;
        let path = format!("/api/files/{sha1}/unblock");
        let answer = scene.call("POST", &path, r#"{"Comment":"c"}"#).await;
        answer.refuses(404, "ResourceNotFound", &format!("Block of file {sha1} was not found"));
        // A block by the other hash is another rule.
        scene.call("POST", &format!("/api/files/{}/block", file(1).sha256), r#"{"Comment":"c"}"#).await;
        assert_eq!(scene.call("POST", &path, r#"{"Comment":"c"}"#).await.status, 404);
    }
}
