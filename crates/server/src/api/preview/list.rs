//! `GET /testwdatppreview/filemachineactions`: the quarantine orders with their copies, newest first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::{FileMachineAction, Set};

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::api::paging::Paging;
use crate::app::App;

/// The orders.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    paging: Paging,
) -> Result<impl IntoResponse, ApiError> {
    let orders = app.store.quarantines(calling.identity.organization, paging.page()).await?;
    let actions = orders.iter().filter_map(FileMachineAction::of).collect();
    Ok(called.collection(Set::FileMachineActions, actions))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn the_newest_comes_first() {
        let scene = Scene::new().await;
        for number in 1..=2 {
            scene.later(1);
            scene.quarantines(file(number), "/opt/one").await;
        }
        let list = scene.call("GET", "/testwdatppreview/filemachineactions?$top=1", "").await.json();
        let context = "http://quell.test/testwdatppreview/$metadata#FileMachineActions";
        assert_eq!(list["@odata.context"], context);
        assert_eq!(list["value"].as_array().unwrap().len(), 1);
        assert_eq!(list["value"][0]["sha1"], file(2).sha1.to_string());
    }
}
