//! `GET /api/machineactions`: the quarantine orders, newest first.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::{MachineAction, Set};

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::api::paging::Paging;
use crate::app::App;

/// The orders. Blocks and restores are none of the contract's machine actions.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    paging: Paging,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let orders = app.store.quarantines(organization, paging.page()).await?;
    let machines = app.store.machines(organization).await?;
    let names: HashMap<_, _> = machines.into_iter().map(|machine| (machine.id, machine.name)).collect();
    let actions = orders.iter().filter_map(|order| {
        let name = order.want.machine().and_then(|machine| names.get(&machine).cloned());
        MachineAction::of(order, name)
    });
    Ok(called.collection(Set::MachineActions, actions.collect()))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn the_newest_comes_first_and_pages_are_cut() {
        let scene = Scene::new().await;
        let mut made = Vec::new();
        for number in 1..=3 {
            scene.later(1);
            made.push(scene.quarantines(file(number), "/opt/one").await["id"].clone());
        }
        scene.call("POST", &format!("/api/files/{}/block", file(9).sha1), r#"{"Comment":"c"}"#).await;
        let list = scene.call("GET", "/api/machineactions", "").await.json();
        assert_eq!(list["@odata.context"], "http://quell.test/api/$metadata#MachineActions");
        let ids: Vec<_> = list["value"].as_array().unwrap().iter().map(|action| &action["id"]).collect();
        assert_eq!(ids, [&made[2], &made[1], &made[0]]);
        let page = scene.call("GET", "/api/machineactions?$top=1&$skip=1", "").await.json();
        assert_eq!(page["value"].as_array().unwrap().len(), 1);
        assert_eq!(page["value"][0]["id"], made[1]);
        assert_eq!(page["value"][0]["computerDnsName"], "Host1");
    }
}
