//! `POST /api/quell/orders/{id}/cancel`: withdraw an order that no machine has begun.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::Order;

use super::KIND;
use crate::api::caller::Calling;
use crate::api::door::{ActionBody, OrderInPath};
use crate::api::errors::ApiError;
use crate::api::permission::Need;
use crate::app::App;

/// Asks for it; needs what the order itself needed.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    id: OrderInPath,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    let comment = body.comment()?;
    let order = app.store.order(calling.identity.organization, id.id(KIND)?).await?;
    let order = order.ok_or_else(|| id.unknown(KIND))?;
    Need::of(&order.want).check(&calling.identity)?;
    let cancelled = app.store.cancel(&calling.caller(), order.id, comment).await;
    Ok(Json(Order::from(&cancelled.map_err(|error| ApiError::submit(error, order.want.file(), ""))?)))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    const WHY: &str = r#"{"Comment":"false alarm"}"#;

    #[tokio::test]
    async fn a_restore_is_cancelled_too_and_a_block_is_not() {
        let scene = Scene::new().await;
        let made = scene.quarantines(file(1), "/opt/one").await;
        scene.ends_its_acts().await;
        let place = format!("/api/quell/orders/{}", made["id"].as_str().unwrap());
        let undo = scene.call("POST", &format!("{place}/undo"), WHY).await.json();
        let undo = format!("/api/quell/orders/{}/cancel", undo["id"].as_str().unwrap());
        let json = scene.call("POST", &undo, WHY).await.json();
        assert_eq!(
            (&json["state"], &json["cancellation"]["comment"]),
            (&"Cancelled".into(), &"false alarm".into())
        );
        let shown = scene.call("GET", &place, "").await.json();
        assert_eq!(shown["undoneBy"], serde_json::Value::Null, "as if nobody had asked");

        scene.later(1);
        scene.call("POST", &format!("/api/files/{}/block", file(2).sha1), WHY).await;
        let list = scene.call("GET", "/api/quell/orders?$top=1", "").await.json();
        let block = format!("/api/quell/orders/{}/cancel", list["value"][0]["id"].as_str().unwrap());
        let answer = scene.call("POST", &block, WHY).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text.contains("undo it instead"), "{}", answer.text);
        let reader = scene.token_with(&["Machine.Read.All"]).await;
        assert_eq!(scene.call_with(Some(&reader), "POST", &undo, WHY, &[]).await.status, 403);
    }
}
