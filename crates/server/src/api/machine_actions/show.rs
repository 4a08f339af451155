//! `GET /api/machineactions/{id}`: one quarantine order.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::{MachineAction, Set};

use super::KIND;
use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::OrderInPath;
use crate::api::errors::ApiError;
use crate::app::App;

/// The order. Blocks and restores are none of the contract's machine actions.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    id: OrderInPath,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let order = app.store.order(organization, id.id(KIND)?).await?.ok_or_else(|| id.unknown(KIND))?;
    let name = match order.want.machine() {
        Some(machine) => app.store.machine(organization, machine).await?.map(|machine| machine.name),
        None => None,
    };
    let action = MachineAction::of(&order, name).ok_or_else(|| id.unknown(KIND))?;
    Ok(called.entity(Set::MachineActions, action))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn an_order_is_readable_at_once_by_the_id_of_its_answer() {
        let scene = Scene::new().await;
        let made = scene.quarantines(file(1), "/opt/one").await;
        let id = made["id"].as_str().unwrap();
        let shown = scene.call("GET", &format!("/api/machineactions/{id}"), "{}").await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        assert_eq!(shown.json(), made);
    }

    #[tokio::test]
    async fn what_is_no_machine_action_is_not_found() {
        let scene = Scene::new().await;
        for id in ["7", "6f1d364c-680c-499a-b30c-dd9265ad4c9d"] {
            let answer = scene.call("GET", &format!("/api/machineactions/{id}"), "").await;
            answer.refuses(404, "ResourceNotFound", &format!("MachineAction {id} was not found"));
        }
    }
}
