//! `GET /testwdatppreview/filemachineactions/{id}`: one quarantine order with its copies.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::{FileMachineAction, Set};

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::OrderInPath;
use crate::api::errors::ApiError;
use crate::app::App;

const KIND: &str = "FileMachineAction";

/// The order.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    id: OrderInPath,
) -> Result<impl IntoResponse, ApiError> {
    let order = app.store.order(calling.identity.organization, id.id(KIND)?).await?;
    let action = order.as_ref().and_then(FileMachineAction::of).ok_or_else(|| id.unknown(KIND))?;
    Ok(called.entity(Set::FileMachineActions, action))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn both_roots_show_the_same_order() {
        let scene = Scene::new().await;
        let made = scene.quarantines(file(1), "/opt/one").await;
        let id = made["id"].as_str().unwrap();
        let answer = scene.call("GET", &format!("/testwdatppreview/filemachineactions/{id}"), "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let json = answer.json();
        assert_eq!(json["id"], made["id"]);
        assert_eq!(json["status"], "InProgress");
        assert_eq!(json["fileInstances"][0]["filePath"], "/opt/one");
    }

    #[tokio::test]
    async fn an_unknown_one_is_not_found() {
        let scene = Scene::new().await;
        let answer = scene.call("GET", "/testwdatppreview/filemachineactions/x", "").await;
        answer.refuses(404, "ResourceNotFound", "FileMachineAction x was not found");
    }
}
