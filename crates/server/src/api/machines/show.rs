//! `GET /api/machines/{id}`: one machine, by its id or its computer name.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::Set;

use super::shape;
use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::MachineInPath;
use crate::api::errors::ApiError;
use crate::app::App;

/// The machine.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    name: MachineInPath,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let machine = match name.id() {
        Ok(id) => app.store.machine(organization, id).await?,
        Err(_) => {
            let machines = app.store.machines(organization).await?;
            machines.into_iter().find(|machine| machine.name.eq_ignore_ascii_case(&name.0))
        }
    };
    let machine = machine.ok_or_else(|| name.unknown())?;
    Ok(called.entity(Set::Machines, shape(&app, machine)))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::Scene;

    #[tokio::test]
    async fn a_machine_is_shown_by_id_and_by_name() {
        let scene = Scene::new().await;
        let id = scene.machine.to_string();
        for name in [id.as_str(), &id.to_uppercase(), "Host1", "HOST1"] {
            let answer = scene.call("GET", &format!("/api/machines/{name}"), "").await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text);
            let json = answer.json();
            assert_eq!(json["id"], id);
            assert_eq!(json["@odata.context"], "http://quell.test/api/$metadata#Machines/$entity");
        }
    }

    #[tokio::test]
    async fn a_probe_with_a_made_up_name_is_answered_as_clients_expect() {
        let scene = Scene::new().await;
        for name in ["elastic-connector-test", &"0".repeat(40)] {
            let answer = scene.call("GET", &format!("/api/machines/{name}"), "").await;
            answer.refuses(404, "ResourceNotFound", &format!("Machine {name} was not found"));
        }
    }
}
