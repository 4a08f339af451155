//! `POST /api/quell/orders/{id}/undo`: take an order back. The undo of a quarantine is a restore.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::order::Want;
use wire::rest::Order;

use super::KIND;
use crate::api::caller::Calling;
use crate::api::door::{ActionBody, OrderInPath};
use crate::api::errors::ApiError;
use crate::api::permission::Need;
use crate::app::App;

/// Orders the opposite; needs what the order itself needed. `Confirm` counts where that denies or takes something: only the
/// undo of an unblock does, which blocks again. What brings copies back, ends a deny or deletes a sample asks nothing of the
/// spared set.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    id: OrderInPath,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    let (comment, terms) = (body.comment()?, body.terms()?);
    let order = app.store.order(calling.identity.organization, id.id(KIND)?).await?;
    let order = order.ok_or_else(|| id.unknown(KIND))?;
    Need::of(&order.want).check(&calling.identity)?;
    let undone = app.store.undo(&calling.caller_of(&body)?, order.id, terms, comment).await;
    let undone = undone.map_err(|error| {
        let machine = order.want.machine().map(|machine| machine.to_string()).unwrap_or_default();
        ApiError::submit(error, order.want.file(), machine)
    })?;
    if matches!(undone.want, Want::Discard(..)) {
        // The chore does it later, if it can't be done now.
        if let Err(error) = app.samples.sweep(&app.store).await {
            tracing::warn!(%error, "a sample that nobody wants is removed later");
        }
    }
    Ok((StatusCode::CREATED, Json(Order::from(&undone))))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    const WHY: &str = r#"{"Comment":"false alarm"}"#;

    async fn newest(scene: &Scene) -> String {
        let list = scene.call("GET", "/api/quell/orders?$top=1", "").await.json();
        format!("/api/quell/orders/{}/undo", list["value"][0]["id"].as_str().unwrap())
    }

    #[tokio::test]
    async fn the_undo_of_a_block_ends_it() {
        let scene = Scene::new().await;
        scene.call("POST", &format!("/api/files/{}/block", file(1).sha1), WHY).await;
        let answer = scene.call("POST", &newest(&scene).await, WHY).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let json = answer.json();
        assert_eq!(json["want"], "unblock");
        assert!(json["undoes"].is_string());
        let list = scene.call("GET", "/testwdatppreview/fileactions", "").await.json();
        assert_eq!(list["value"], serde_json::json!([]));
    }

    #[tokio::test]
    async fn the_undo_of_a_quarantine_is_a_restore() {
        let scene = Scene::new().await;
        let made = scene.quarantines(file(1), "/opt/one").await;
        scene.ends_its_acts().await;
        let path = newest(&scene).await;
        let json = scene.call("POST", &path, WHY).await.json();
        assert_eq!(json["want"], "restore");
        assert_eq!(json["undoes"], made["id"]);
    }

    #[tokio::test]
    async fn copies_come_back_on_terms() {
        let scene = Scene::new().await;
        scene.quarantines(file(1), "/opt/one").await;
        scene.ends_its_acts().await;
        let path = newest(&scene).await;
        let odd = r#"{"Comment":"false alarm","Beside":"yes"}"#;
        assert_eq!(scene.call("POST", &path, odd).await.status, 400);
        let terms = r#"{"Comment":"false alarm","Beside":true,"KeepPrivileges":true}"#;
        assert_eq!(scene.call("POST", &path, terms).await.status, 201);
        scene.later(1);
        scene.call("POST", &format!("/api/files/{}/block", file(2).sha1), WHY).await;
        let block = newest(&scene).await;
        let answer = scene.call("POST", &block, terms).await;
        assert!(answer.status != 201 && answer.text.contains("took no copies"), "{}", answer.text);
    }

    #[tokio::test]
    async fn only_what_blocks_again_asks_for_a_confirmation() {
        let scene = Scene::new().await;
        scene.spares(file(3), "/usr/bin/ssh", "openssh-client").await;
        scene.sees(file(1), "/usr/bin/ssh").await;
        let sure = r#"{"Comment":"trojaned","Confirm":true}"#;
        let place = format!("/api/files/{}", file(1).sha1);
        assert_eq!(scene.call("POST", &format!("{place}/block"), sure).await.status, 201);
        // Each undo of what denies or takes it goes through as it is.
        assert_eq!(scene.call("POST", &newest(&scene).await, WHY).await.status, 201);
        let body = format!(r#"{{"Comment":"c","Sha1":"{}","Confirm":true}}"#, file(1).sha1);
        let machine = format!("/api/machines/{}/StopAndQuarantineFile", scene.machine);
        assert_eq!(scene.call("POST", &machine, &body).await.status, 201);
        scene.ends_its_acts().await;
        let restore = scene.call("POST", &newest(&scene).await, WHY).await;
        assert_eq!((restore.status, &restore.json()["want"]), (201, &"restore".into()));
        scene.ends_its_acts().await;
        scene.sees(file(1), "/usr/bin/ssh").await;

        assert_eq!(scene.call("POST", &format!("{place}/block"), sure).await.status, 201);
        assert_eq!(scene.call("POST", &format!("{place}/unblock"), WHY).await.status, 201);
        let path = newest(&scene).await;
        let answer = scene.call("POST", &path, WHY).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &"ConfirmationRequired".into()));
        let answer = scene.call("POST", &path, sure).await;
        assert_eq!((answer.status, &answer.json()["want"]), (201, &"block".into()), "{}", answer.text);
    }

    #[tokio::test]
    async fn what_the_order_needed_is_needed_again() {
        let scene = Scene::new().await;
        scene.quarantines(file(1), "/opt/one").await;
        let quarantine = newest(&scene).await;
        scene.later(1);
        scene.call("POST", &format!("/api/files/{}/block", file(2).sha1), WHY).await;
        let block = newest(&scene).await;
        let blocker = scene.token_with(&["Ti.ReadWrite"]).await;
        let quarantiner = scene.token_with(&["Machine.StopAndQuarantine", "Machine.Read.All"]).await;
        assert_eq!(scene.call_with(Some(&blocker), "POST", &quarantine, WHY, &[]).await.status, 403);
        assert_eq!(scene.call_with(Some(&quarantiner), "POST", &block, WHY, &[]).await.status, 403);
        assert_eq!(scene.call_with(Some(&blocker), "POST", &block, WHY, &[]).await.status, 201);
    }

    #[tokio::test]
    async fn what_is_missing_is_told() {
        let scene = Scene::new().await;
        let answer = scene.call("POST", "/api/quell/orders/x/undo", "{}").await;
        answer.refuses(400, "MissingRequiredParameter", "Parameter Comment is missing");
        let answer = scene.call("POST", "/api/quell/orders/x/undo", WHY).await;
        answer.refuses(404, "ResourceNotFound", "Order x was not found");
    }
}
