//! `POST /api/machineactions/{id}/cancel`: withdraw an order that no machine has begun.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::{MachineAction, Set};

use super::KIND;
use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::{ActionBody, OrderInPath};
use crate::api::errors::ApiError;
use crate::app::App;

/// Asks for it; the answer's status says whether it is cancelled already, or whether its machine is asked.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    id: OrderInPath,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    let comment = body.comment()?;
    let organization = calling.identity.organization;
    let order = app.store.order(organization, id.id(KIND)?).await?.ok_or_else(|| id.unknown(KIND))?;
    let name = match order.want.machine() {
        Some(machine) => app.store.machine(organization, machine).await?.map(|machine| machine.name),
        None => None,
    };
    // What is no machine action is not cancelled by this road.
    MachineAction::of(&order, None).ok_or_else(|| id.unknown(KIND))?;
    let order = app.store.cancel(&calling.caller(), order.id, comment).await;
    let order = order.map_err(|error| ApiError::submit(error, "", ""))?;
    let action = MachineAction::of(&order, name).ok_or_else(|| id.unknown(KIND))?;
    Ok(called.entity(Set::MachineActions, action))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    const WHY: &str = r#"{"Comment":"false alarm"}"#;

    #[tokio::test]
    async fn an_order_that_no_machine_has_heard_of_is_cancelled_at_once() {
        let scene = Scene::new().await;
        let made = scene.quarantines(file(1), "/opt/one").await;
        let path = format!("/api/machineactions/{}/cancel", made["id"].as_str().unwrap());
        scene.call("POST", &path, "{}").await.refuses(
            400,
            "MissingRequiredParameter",
            "Parameter Comment is missing",
        );
        let answer = scene.call("POST", &path, WHY).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let json = answer.json();
        assert_eq!(json["@odata.context"], "http://quell.test/api/$metadata#MachineActions/$entity");
        assert_eq!((&json["id"], &json["status"]), (&made["id"], &"Cancelled".into()));
        assert_eq!(json["cancellationComment"], "false alarm");
        assert!(json["cancellationRequestor"].is_string() && json["cancellationDateTimeUtc"].is_string());
        assert_eq!(json["errorHResult"], -2_147_023_673);
        let twice = scene.call("POST", &path, WHY).await;
        assert_eq!((twice.status, &twice.json()["error"]["code"]), (400, &"BadRequest".into()));
        // The same file may be ordered away again.
        scene.quarantines(file(1), "/opt/one").await;
    }

    #[tokio::test]
    async fn what_has_ended_or_is_no_machine_action_is_refused() {
        let scene = Scene::new().await;
        let made = scene.quarantines(file(1), "/opt/one").await;
        scene.ends_its_acts().await;
        let path = format!("/api/machineactions/{}/cancel", made["id"].as_str().unwrap());
        let answer = scene.call("POST", &path, WHY).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &"BadRequest".into()));
        let answer = scene.call("POST", "/api/machineactions/x/cancel", WHY).await;
        answer.refuses(404, "ResourceNotFound", "MachineAction x was not found");
        let reader = scene.token_with(&["Machine.Read.All"]).await;
        assert_eq!(scene.call_with(Some(&reader), "POST", &path, WHY, &[]).await.status, 403);
    }
}
