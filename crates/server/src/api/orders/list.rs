//! `GET /api/quell/orders`: what was asked for, newest first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::{Order, Set};

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::api::paging::Paging;
use crate::app::App;

/// Orders of every kind.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    paging: Paging,
) -> Result<impl IntoResponse, ApiError> {
    let orders = app.store.orders(calling.identity.organization, paging.page()).await?;
    Ok(called.collection(Set::Orders, orders.iter().map(Order::from).collect()))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn orders_of_every_kind_are_listed() {
        let scene = Scene::new().await;
        scene.quarantines(file(1), "/opt/one").await;
        scene.later(1);
        scene.call("POST", &format!("/api/files/{}/block", file(2).sha1), r#"{"Comment":"c"}"#).await;
        let list = scene.call("GET", "/api/quell/orders", "").await.json();
        let wants: Vec<_> = list["value"].as_array().unwrap().iter().map(|order| &order["want"]).collect();
        assert_eq!(wants, ["block", "quarantine"]);
    }
}
