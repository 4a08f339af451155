//! `POST /testwdatppreview/machines/{id}/stopAndQuarantineFile`: the same order, shown with its copies.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use wire::rest::{FileMachineAction, Set};

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::{ActionBody, MachineInPath};
use crate::api::errors::ApiError;
use crate::api::machines::quarantine::submit;
use crate::app::App;

/// Takes the order; the known copies stand in the answer already.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    machine: MachineInPath,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    let order = submit(&app, &calling, &machine, &body).await?;
    let action = FileMachineAction::of(&order).ok_or_else(|| machine.unknown())?;
    Ok((StatusCode::CREATED, called.entity(Set::FileMachineActions, action)))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn the_answer_is_the_seeds() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        scene.sees(file(1), "/srv/one").await;
        let sha1 = file(1).sha1.to_string();
        let path = format!("/testwdatppreview/machines/{}/stopAndQuarantineFile", scene.machine);
        let body = format!(r#"{{"Comment":"alert 32123","Sha1":"{sha1}"}}"#);
        let answer = scene.call("POST", &path, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let json = answer.json();
        let context = "http://quell.test/testwdatppreview/$metadata#FileMachineActions/$entity";
        assert_eq!(json["@odata.context"], context);
        assert_eq!((&json["sha1"], &json["fileId"]), (&sha1.clone().into(), &sha1.into()));
        assert_eq!(json["type"], "StopAndQuarantineFile");
        assert_eq!(json["status"], "InProgress");
        assert_eq!(json["machineId"], scene.machine.to_string());
        let mut instances = json["fileInstances"].as_array().unwrap().clone();
        instances.sort_by_key(|instance| instance["filePath"].to_string());
        assert_eq!(
            instances,
            [
                serde_json::json!({"filePath": "/opt/one", "status": "InProgress"}),
                serde_json::json!({"filePath": "/srv/one", "status": "InProgress"}),
            ]
        );
    }
}
