//! `GET /api/machines`: the organization's machines.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::Set;

use super::shape;
use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::api::paging::Paging;
use crate::app::App;

/// All machines.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    paging: Paging,
) -> Result<impl IntoResponse, ApiError> {
    let machines = app.store.machines(calling.identity.organization).await?;
    let machines = paging.of(machines).into_iter().map(|machine| shape(&app, machine)).collect();
    Ok(called.collection(Set::Machines, machines))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::Scene;

    #[tokio::test]
    async fn the_machines_are_listed() {
        let scene = Scene::new().await;
        let answer = scene.call("GET", "/api/machines", "").await.json();
        assert_eq!(answer["@odata.context"], "http://quell.test/api/$metadata#Machines");
        let machine = &answer["value"][0];
        assert_eq!(machine["id"], scene.machine.to_string());
        assert_eq!(machine["computerDnsName"], "Host1");
        assert_eq!(machine["rbacGroupId"], 0);
        assert!(machine["lastSeen"].is_string());
        let none = scene.call("GET", "/api/machines?$top=0", "").await.json();
        assert_eq!(none["value"], serde_json::json!([]));
        let wrong = scene.call("GET", "/api/machines?$top=many", "").await;
        assert_eq!((wrong.status, &wrong.json()["error"]["code"]), (400, &"ODataError".into()));
    }
}
