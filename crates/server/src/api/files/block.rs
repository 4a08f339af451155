//! `POST /api/files/{id}/block`: the file may not run anywhere in the organization.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::created;
use crate::api::caller::Calling;
use crate::api::door::{ActionBody, FileInPath};
use crate::api::errors::ApiError;
use crate::app::App;

/// Blocks the file, seen or not. Blocking again renews comment and time, and makes no second rule.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    FileInPath(id): FileInPath,
    headers: HeaderMap,
    body: ActionBody,
) -> Result<Response, ApiError> {
    let comment = body.comment()?;
    let block = app.store.block(&calling.caller_of(&body)?, id, comment).await;
    let block = block.map_err(|error| ApiError::submit(error, id, ""))?;
    Ok(created(block, &headers))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn a_file_is_blocked_before_anybody_has_seen_it() {
        let scene = Scene::new().await;
        let sha1 = file(1).sha1.to_string();
        let path = format!("/API/Files/{}/Block/", sha1.to_uppercase());
        let answer = scene.call("POST", &path, r#"{"Comment":"alert 32123"}"#).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let json = answer.json();
        assert_eq!(json["fileIdentifier"], sha1);
        assert_eq!(json["fileIdentifierType"], "Sha1");
        assert_eq!(json["actionType"], "Block");
        assert_eq!(json["fileStatus"], "Blocked");
        assert_eq!(json["requestorComment"], "alert 32123");
        assert!(json["requestor"].as_str().unwrap().starts_with("test ("));
        assert!(json["cancellationDateTimeUtc"].is_null());
        assert_eq!(json.get("@odata.context"), None);
        assert_eq!(json["creationDateTimeUtc"], json["lastUpdateDateTimeUtc"]);
    }

    #[tokio::test]
    async fn again_keeps_the_first_time_and_the_newest_comment() {
        let scene = Scene::new().await;
        let path = format!("/api/files/{}/block", file(1).sha256);
        let first = scene.call("POST", &path, r#"{"Comment":"one"}"#).await.json();
        scene.later(60);
        let path = path.replace("/api/", "/testwdatppreview/");
        let second = scene.call("POST", &path, r#"{"Comment":"two"}"#).await.json();
        assert_eq!(first["fileIdentifierType"], "Sha256");
        assert_eq!(first["creationDateTimeUtc"], second["creationDateTimeUtc"]);
        assert_ne!(first["lastUpdateDateTimeUtc"], second["lastUpdateDateTimeUtc"]);
        assert_eq!(second["requestorComment"], "two");
        let list = scene.call("GET", "/testwdatppreview/fileactions", "").await.json();
        assert_eq!(list["value"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn who_prefers_a_minimal_answer_gets_none_and_no_type() {
        let scene = Scene::new().await;
        let path = format!("/api/files/{}/block", file(1).sha1);
        let prefer = [("Prefer", "respond-async, Return=Minimal")];
        let token = scene.token.clone();
        let answer = scene.call_with(Some(&token), "POST", &path, r#"{"Comment":"c"}"#, &prefer).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
        assert_eq!(answer.header("content-type"), None);
        assert_eq!(answer.header("preference-applied"), Some("return=minimal"));
    }

    #[tokio::test]
    async fn the_body_is_read_leniently_but_must_say_why() {
        let scene = Scene::new().await;
        let path = format!("/api/files/{}/block", file(1).sha1);
        for body in ["", "[]", "Comment=c", "{\"Comment\":1}"] {
            let answer = scene.call("POST", &path, body).await;
            answer.refuses(400, "InvalidRequestBody", "Request body is incorrect");
        }
        for body in ["{}", r#"{"Comment":""}"#, r#"{"Comment":null}"#] {
            let answer = scene.call("POST", &path, body).await;
            answer.refuses(400, "MissingRequiredParameter", "Parameter Comment is missing");
        }
        assert_eq!(scene.call("POST", &path, r#"{"cOMMENT":"c","Other":1}"#).await.status, 201);
    }

    #[tokio::test]
    async fn a_spared_file_is_not_blocked() {
        let scene = Scene::new().await;
        scene.spares(file(3), "/usr/bin/bash", "bash").await;
        let path = format!("/api/files/{}/block", file(3).sha1);
        let answer = scene.call("POST", &path, r#"{"Comment":"c"}"#).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.json()["error"]["code"], "DisallowedOperation");
        assert!(answer.text.contains("/usr/bin/bash") && answer.text.contains("package bash"));
    }

    #[tokio::test]
    async fn what_lies_where_a_spared_file_belongs_is_blocked_when_that_is_confirmed() {
        let scene = Scene::new().await;
        scene.spares(file(3), "/usr/bin/ssh", "openssh-client").await;
        scene.sees(file(4), "/usr/bin/ssh").await;
        let path = format!("/api/files/{}/block", file(4).sha1);
        for body in [r#"{"Comment":"c"}"#, r#"{"Comment":"c","Confirm":false}"#] {
            let answer = scene.call("POST", &path, body).await;
            assert_eq!(
                (answer.status, &answer.json()["error"]["code"]),
                (400, &"ConfirmationRequired".into())
            );
            let told = ["/usr/bin/ssh", "package openssh-client", "\\\"Confirm\\\": true"];
            assert!(told.iter().all(|words| answer.text.contains(words)), "{}", answer.text);
        }
        let answer = scene.call("POST", &path, r#"{"Comment":"c","Confirm":"yes"}"#).await;
        answer.refuses(400, "InvalidRequestBody", "Request body is incorrect");
        let answer = scene.call("POST", &path, r#"{"comment":"c","confirm":true}"#).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        // What is recorded stays spared, whatever is confirmed.
        let path = format!("/api/files/{}/block", file(3).sha1);
        assert_eq!(scene.call("POST", &path, r#"{"Comment":"c","Confirm":true}"#).await.status, 403);
    }

    #[tokio::test]
    async fn the_role_is_asked_for_before_the_body() {
        let scene = Scene::new().await;
        let token = scene.token_with(&["File.Read.All", "Machine.ReadWrite.All"]).await;
        let path = format!("/api/files/{}/block", file(1).sha1);
        let answer = scene.call_with(Some(&token), "POST", &path, "", &[]).await;
        answer.refuses(
            403,
            "Forbidden",
            "Missing application roles. API required roles: Ti.ReadWrite,Ti.ReadWrite.All, application roles: \
             File.Read.All,Machine.ReadWrite.All.",
        );
    }
}
