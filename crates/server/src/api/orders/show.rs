//! `GET /api/quell/orders/{id}`: one order, with each copy's result, and what its undo would do.

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
use crate::store::SubmitError;

/// The order.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    id: OrderInPath,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let order = app.store.order(organization, id.id(KIND)?).await?;
    let order = order.ok_or_else(|| id.unknown(KIND))?;
    let inverse = match app.store.inverse(organization, order.id).await {
        Err(SubmitError::Store(error)) => return Err(error.into()),
        answer => answer.map_err(|why| why.to_string()),
    };
    let waits = app.store.holds_of(organization, order.id).await?;
    Ok(Json(Order::with_inverse(&order, &inverse).waiting(holds::shapes(organization, &waits))))
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
        assert_eq!(json["inverse"]["possible"], false);
        assert!(json["inverse"]["reason"].as_str().unwrap().contains("cancel it"), "{json}");
        scene.ends_its_acts().await;
        let inverse =
            scene.call("GET", &format!("/api/quell/orders/{id}"), "").await.json()["inverse"].clone();
        let expected = serde_json::json!({
            "possible": true, "want": "restore", "copies": 1, "denyEnds": true, "denyKeptBy": [], "reason": null,
        });
        assert_eq!(inverse, expected);
        let answer = scene.call("GET", "/api/quell/orders/x", "").await;
        answer.refuses(404, "ResourceNotFound", "Order x was not found");
    }
}
