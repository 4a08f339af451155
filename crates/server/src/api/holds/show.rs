//! `GET /api/quell/holds/{id}`: one thing that waits for approval, and what became of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use model::HoldId;
use wire::rest::EndedHold;

use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::app::App;

/// As it waits; or, for a day, how that ended.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let organization = calling.identity.organization;
    let unknown = || ApiError::not_found("Hold", &name);
    let id: HoldId = name.parse().map_err(|_| unknown())?;
    Ok(match app.store.hold_by_id(organization, id).await?.ok_or_else(unknown)? {
        Ok(there) => Json(super::shape(organization, &there)).into_response(),
        Err(end) => {
            let ended = EndedHold::new(end.id, end.machine, end.machine_name, end.at, end.approved_by);
            Json(ended).into_response()
        }
    })
}

#[cfg(test)]
mod tests {
    use model::hold::{Approval, Held, Hold};
    use model::{ActId, FileId, HoldId, OrderId, Time};
    use wire::link::holds::signed_approval_text;

    use crate::api::tests::{Scene, file};
    use crate::operator::OperatorKey;

    #[tokio::test]
    async fn who_approves_sees_a_refusal_and_the_end() {
        let scene = Scene::new().await;
        let (store, organization, machine) = (scene.store(), scene.organization, scene.machine);
        let dir = tempfile::tempdir().unwrap();
        let key = OperatorKey::make(dir.path()).unwrap();
        store.keep_operator_key(organization, key.public()).await.unwrap();
        let (act, order, file) = (ActId::random(), OrderId::random(), FileId::Sha1(file(1).sha1));
        let what = Held::Quarantine { act, order, file };
        let hold =
            |what| Hold { id: HoldId::random(), what, since: Time::from_seconds(0), crowds: Vec::new() };
        let (first, second) = (hold(what), hold(what));
        store.hold(organization, machine, vec![first.clone(), second.clone()]).await.unwrap();
        let shown = async |hold: &Hold| scene.call("GET", &format!("/api/quell/holds/{}", hold.id), "").await;

        let json = shown(&first).await.json();
        assert_eq!((&json["state"], json["approval"].is_null()), (&"Waiting".into(), true));
        let until = Time::from_seconds(1_700_000_100);
        let comment = "known".to_owned();
        let approval = Approval { organization, machine, hold: first.id, what, until, comment };
        let body = serde_json::json!({ "Approval": signed_approval_text(&key.sign(&approval)) }).to_string();
        let bring = async || scene.call("POST", "/api/quell/approvals", &body).await.status;
        assert_eq!(bring().await, 202);
        assert_eq!(shown(&first).await.json()["approval"], "OnItsWay");
        store.approval_refused(organization, machine, first.id, "clocks differ".into()).await.unwrap();
        let json = shown(&first).await.json();
        assert_eq!((&json["approval"], &json["refused"]), (&"Refused".into(), &"clocks differ".into()));
        // Another one is not refused because the one before was.
        assert_eq!(bring().await, 202);
        let json = shown(&first).await.json();
        assert_eq!((&json["approval"], json["refused"].is_null()), (&"OnItsWay".into(), true));

        store.approved(organization, machine, first.clone(), "root (kim)".into(), "ok".into()).await.unwrap();
        store.hold(organization, machine, Vec::new()).await.unwrap();
        let json = shown(&first).await.json();
        assert_eq!((&json["state"], &json["approvedBy"]), (&"Approved".into(), &"root (kim)".into()));
        assert_eq!(shown(&second).await.json()["state"], "Withdrawn");
        // Heard in the other order.
        store.approved(organization, machine, second.clone(), "root".into(), "ok".into()).await.unwrap();
        assert_eq!(shown(&second).await.json()["state"], "Approved");
        scene.later(2 * 24 * 3600);
        store.hold(organization, machine, Vec::new()).await.unwrap();
        // The token of before is over by then.
        let token = scene.token_with(&["Machine.Read.All"]).await;
        for name in [first.id.to_string(), "x".to_owned()] {
            let answer =
                scene.call_with(Some(&token), "GET", &format!("/api/quell/holds/{name}"), "", &[]).await;
            answer.refuses(404, "ResourceNotFound", &format!("Hold {name} was not found"));
        }
    }
}
