//! `GET /api/quell/orders/{id}`: one order, with each copy's result.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::Order;

use super::KIND;
use crate::api::caller::Calling;
use crate::api::door::OrderInPath;
use crate::api::errors::ApiError;
use crate::api::holds;
use crate::app::App;

/// The order.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    id: OrderInPath,
) -> Result<impl IntoResponse, ApiError> {
    let order = app.store.order(calling.identity.organization, id.id(KIND)?).await?;
    let order = order.ok_or_else(|| id.unknown(KIND))?;
    let waits = app.store.holds_of(order.organization, order.id).await?;
    Ok(Json(Order::from(&order).waiting(holds::shapes(order.organization, &waits))))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn an_order_is_shown_with_its_copies() {
        let scene = Scene::new().await;
        let made = scene.quarantines(file(1), "/opt/one").await;
        let id = made["id"].as_str().unwrap();
        let json = scene.call("GET", &format!("/api/quell/orders/{id}"), "").await.json();
        assert_eq!(json["want"], "quarantine");
        assert_eq!(json["state"], "Pending");
        assert_eq!(json["sha"], file(1).sha1.to_string());
        assert_eq!(json["copies"][0]["path"], "/opt/one");
        let answer = scene.call("GET", "/api/quell/orders/x", "").await;
        answer.refuses(404, "ResourceNotFound", "Order x was not found");
    }
}
