//! `POST /api/quell/machines/{id}/collect`: a copy's bytes are to come from that machine.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use wire::rest::Order;

use crate::api::caller::Calling;
use crate::api::door::{ActionBody, MachineInPath};
use crate::api::errors::ApiError;
use crate::app::App;

/// Takes the order.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    machine: MachineInPath,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    let (comment, file) = (body.comment()?, body.file_of_either_name()?);
    let id = machine.id()?;
    let order = app.store.collect(&calling.caller(), id, file, comment, app.samples.limits()).await;
    let order = order.map_err(|error| ApiError::submit(error, file, id))?;
    Ok((StatusCode::CREATED, Json(Order::from(&order))))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    fn path(scene: &Scene) -> String {
        format!("/api/quell/machines/{}/collect", scene.machine)
    }

    #[tokio::test]
    async fn an_order_by_either_name_and_one_at_a_time() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let body = format!(r#"{{"Comment":"look at it","Sha256":"{}"}}"#, file(1).sha256);
        let answer = scene.call("POST", &path(&scene), &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!((&answer.json()["want"], &answer.json()["state"]), (&"collect".into(), &"Pending".into()));
        let body = format!(r#"{{"Comment":"look at it","Sha1":"{}"}}"#, file(1).sha1);
        scene.call("POST", &path(&scene), &body).await.refuses(
            400,
            "ActiveRequestAlreadyExists",
            "Action is already in progress",
        );
        // It hinders no quarantine.
        scene.quarantines(file(1), "/opt/one").await;
        let unknown = format!(r#"{{"Comment":"c","Sha1":"{}"}}"#, file(9).sha1);
        assert_eq!(scene.call("POST", &path(&scene), &unknown).await.status, 404);
    }

    #[tokio::test]
    async fn what_may_quarantine_may_not_collect() {
        let scene = Scene::new().await;
        let token =
            scene.token_with(&["Machine.StopAndQuarantine", "Machine.Read.All", "Sample.Read.All"]).await;
        assert_eq!(scene.call_with(Some(&token), "POST", &path(&scene), "{}", &[]).await.status, 403);
    }
}
