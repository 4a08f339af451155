//! `POST /api/machines/{id}/StopAndQuarantineFile`: stop a file on a machine and take its copies away.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::order::Order;
use wire::rest::{MachineAction, Set};

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::{ActionBody, MachineInPath};
use crate::api::errors::ApiError;
use crate::app::App;

/// Takes the order, and shows it as a machine action.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    machine: MachineInPath,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    let order = submit(&app, &calling, &machine, &body).await?;
    let name = match order.want.machine() {
        // The order is made: nothing that fails from here on may say that it was not.
        Some(id) => {
            let machine = app.store.machine(calling.identity.organization, id).await;
            machine.ok().flatten().map(|machine| machine.name)
        }
        None => None,
    };
    let action = MachineAction::of(&order, name).ok_or_else(|| machine.unknown())?;
    Ok((StatusCode::CREATED, called.entity(Set::MachineActions, action)))
}

/// The same order by either root: body first, then machine, then what the store says of the file there.
pub(in crate::api) async fn submit(
    app: &App,
    calling: &Calling,
    machine: &MachineInPath,
    body: &ActionBody,
) -> Result<Order, ApiError> {
    let (comment, file) = (body.comment()?, body.file()?);
    let id = machine.id()?;
    let order = app.store.quarantine(&calling.caller_of(body)?, id, file, comment).await;
    order.map_err(|error| ApiError::submit(error, file, id))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    fn body(number: u8) -> String {
        format!(r#"{{"Comment":"alert 32123","Sha1":"{}"}}"#, file(number).sha1)
    }

    #[tokio::test]
    async fn the_order_is_taken_and_shown_as_a_machine_action() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let path = format!("/api/machines/{}/StopAndQuarantineFile", scene.machine);
        let answer = scene.call("POST", &path, &body(1)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let json = answer.json();
        assert_eq!(json["@odata.context"], "http://quell.test/api/$metadata#MachineActions/$entity");
        assert_eq!(json["type"], "StopAndQuarantineFile");
        assert_eq!(json["status"], "Pending");
        assert_eq!(json["machineId"], scene.machine.to_string());
        assert_eq!(json["computerDnsName"], "Host1");
        assert_eq!(json["relatedFileInfo"]["fileIdentifier"], file(1).sha1.to_string());
        assert_eq!(json["requestorComment"], "alert 32123");
        assert_eq!(json["errorHResult"], 0);
        assert_eq!(json["commands"], serde_json::json!([]));
    }

    #[tokio::test]
    async fn a_second_open_order_is_refused_by_either_route() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let path = format!("/api/machines/{}/stopAndQuarantineFile", scene.machine);
        assert_eq!(scene.call("POST", &path, &body(1)).await.status, 201);
        for path in [path.clone(), path.replace("/api/", "/testwdatppreview/")] {
            let answer = scene.call("POST", &path, &body(1)).await;
            answer.refuses(400, "ActiveRequestAlreadyExists", "Action is already in progress");
            assert!(answer.text.contains(r#""message":"Action is already in progress""#));
        }
    }

    #[tokio::test]
    async fn checks_come_in_the_order_of_the_contract() {
        let scene = Scene::new().await;
        let nowhere = "/api/machines/elastic-connector-test/StopAndQuarantineFile";
        let token = scene.token_with(&["Machine.StopAndQuarantine"]).await;
        let answer = scene.call_with(None, "POST", nowhere, "", &[]).await;
        assert_eq!(answer.status, 401);
        let answer = scene.call_with(Some(&token), "POST", nowhere, "", &[]).await;
        assert_eq!(answer.status, 403);
        assert!(answer.text.contains("API required roles: Machine.Read.All,Machine.ReadWrite.All,"));
        let answer = scene.call("POST", nowhere, "").await;
        answer.refuses(400, "InvalidRequestBody", "Request body is incorrect");
        let answer = scene.call("POST", nowhere, r#"{"Sha1":"x"}"#).await;
        answer.refuses(400, "MissingRequiredParameter", "Parameter Comment is missing");
        let answer = scene.call("POST", nowhere, r#"{"Comment":"c"}"#).await;
        answer.refuses(400, "MissingRequiredParameter", "Parameter Sha1 is missing");
        let answer = scene.call("POST", nowhere, r#"{"Comment":"c","SHA1":"x"}"#).await;
        answer.refuses(400, "InvalidHashValue", "Hash value x is invalid");
        let answer = scene.call("POST", nowhere, &body(9)).await;
        answer.refuses(404, "ResourceNotFound", "Machine elastic-connector-test was not found");
        let unknown = "0".repeat(40);
        let path = format!("/api/machines/{unknown}/StopAndQuarantineFile");
        let answer = scene.call("POST", &path, &body(9)).await;
        answer.refuses(404, "ResourceNotFound", &format!("Machine {unknown} was not found"));
    }

    #[tokio::test]
    async fn an_unknown_hash_is_refused_once_the_machine_was_swept() {
        let scene = Scene::new().await;
        let path = format!("/api/machines/{}/StopAndQuarantineFile", scene.machine);
        assert_eq!(scene.call("POST", &path, &body(9)).await.status, 404);
        let answer = scene.call("POST", &path, &body(9)).await;
        let message = format!("Sha1 {} was not found in machine {}", file(9).sha1, scene.machine);
        answer.refuses(404, "ResourceNotFound", &message);
        scene.reports(&["/"], false).await;
        assert_eq!(scene.call("POST", &path, &body(9)).await.status, 201);
    }

    #[tokio::test]
    async fn what_lies_where_a_spared_file_belongs_is_taken_when_that_is_confirmed() {
        let scene = Scene::new().await;
        scene.spares(file(3), "/usr/bin/ssh", "openssh-client").await;
        scene.sees(file(1), "/usr/bin/ssh").await;
        let path = format!("/api/machines/{}/StopAndQuarantineFile", scene.machine);
        let answer = scene.call("POST", &path, &body(1)).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &"ConfirmationRequired".into()));
        let body = body(1).replace('}', r#","Confirm":true}"#);
        assert_eq!(scene.call("POST", &path, &body).await.status, 201);
    }

    #[tokio::test]
    async fn where_nothing_is_guarded_nothing_is_ordered() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        scene.reports(&[], true).await;
        let path = format!("/api/machines/{}/StopAndQuarantineFile", scene.machine);
        let answer = scene.call("POST", &path, &body(1)).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &"OsPlatformNotSupported".into()));
    }

    #[tokio::test]
    async fn a_sha_256_and_capitals_are_taken() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let path = format!("/api/machines/{}/StopAndQuarantineFile", scene.machine);
        let sha256 = file(1).sha256.to_string();
        let body = format!(r#"{{"Sha1":"{}","Comment":"c"}}"#, sha256.to_uppercase());
        let json = scene.call("POST", &path, &body).await.json();
        assert_eq!(json["relatedFileInfo"]["fileIdentifier"], sha256);
        assert_eq!(json["relatedFileInfo"]["fileIdentifierType"], "Sha256");
    }
}
