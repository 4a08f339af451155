//! `GET /api/files/{id}/machines`: where a file is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::Set;

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::FileInPath;
use crate::api::errors::ApiError;
use crate::api::machines::shape;
use crate::api::paging::Paging;
use crate::app::App;

/// The machines that have a copy; none when nobody knows the file.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    paging: Paging,
    FileInPath(id): FileInPath,
) -> Result<impl IntoResponse, ApiError> {
    let machines = app.store.machines_with(calling.identity.organization, id).await?;
    let machines = paging.of(machines).into_iter().map(|machine| shape(&app, machine)).collect();
    Ok(called.collection(Set::Machines, machines))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn the_machines_with_a_copy_are_listed_and_an_unknown_file_has_none() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        for id in [file(1).sha1.to_string(), file(1).sha256.to_string()] {
            let answer = scene.call("GET", &format!("/api/files/{id}/machines?$top=100&"), "").await.json();
            assert_eq!(answer["@odata.context"], "http://quell.test/api/$metadata#Machines");
            assert_eq!(answer["value"][0]["id"], scene.machine.to_string());
        }
        let answer = scene.call("GET", &format!("/api/files/{}/machines", file(2).sha1), "").await;
        assert_eq!((answer.status, &answer.json()["value"]), (200, &serde_json::json!([])));
    }
}
