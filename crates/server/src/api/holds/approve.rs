//! `POST /api/quell/approvals`: brings a machine the word of the operator key. The machine decides; what can't succeed is told
//! here.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::hold::Approval;
use wire::link::holds::{signed_approval_bytes, signed_approval_of_text};
use wire::link::v1;

use crate::api::caller::Calling;
use crate::api::door::ActionBody;
use crate::api::errors::ApiError;
use crate::app::App;
use crate::operator::{fingerprint, has_signed};
use crate::store::StoreError;

/// Accepted when it is on its way.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let signed = signed_approval_of_text(body.approval()?);
    let signed =
        signed.map_err(|_| ApiError::NoApproval("it is none; `quell operator sign` makes one".into()))?;
    let approval = Approval::try_from(&signed)
        .map_err(|error| ApiError::NoApproval(format!("{error}; `quell operator sign` makes one")))?;
    let key = app.store.operator_key(organization).await?;
    if !key.is_some_and(|key| has_signed(&key, &approval, &signed.signature)) {
        let name = key.as_ref().map_or_else(|| "there is none yet".to_owned(), fingerprint);
        let why = format!("it is not signed by the operator key ({name}): sign it with that one");
        return Err(ApiError::NoApproval(why));
    }
    if approval.organization != organization {
        return Err(ApiError::NoApproval("it is for another organization: sign one for this one".into()));
    }
    if app.clock.now() >= approval.until {
        return Err(ApiError::NoApproval("it is over: sign it anew, with --valid-for HOURS".into()));
    }
    // What was signed and nothing else: the rest of the message is anybody's.
    let said = v1::SignedApproval { signature: signed.signature, ..(&approval).into() };
    let done = app.store.approve(&calling.caller(), approval, signed_approval_bytes(&said)).await;
    match done {
        Ok(()) => Ok(StatusCode::ACCEPTED),
        Err(StoreError::Refused(why)) => {
            Err(ApiError::NotFound(format!("{why}: `quell operator list` shows what waits now")))
        }
        Err(StoreError::UnknownMachine) => Err(ApiError::NotFound("The machine was not found".to_owned())),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use model::hold::{Approval, Held, Hold};
    use model::rule::{Effect, Identifier, Rule, Scope};
    use model::{FileId, HoldId, MachineId, OrganizationId, RuleId, Time};
    use wire::link::holds::signed_approval_text;

    use crate::api::tests::{Scene, file};
    use crate::operator::OperatorKey;

    fn hold() -> Hold {
        let rule = Rule {
            id: RuleId(1),
            effect: Effect::Deny,
            identifier: Identifier::Sha1(file(1).sha1),
            scope: Scope::Organization,
            until: None,
        };
        Hold {
            id: HoldId::random(),
            what: Held::Denial(rule),
            since: Time::from_seconds(0),
            crowds: Vec::new(),
        }
    }

    fn body(text: &str) -> String {
        serde_json::json!({ "Approval": text }).to_string()
    }

    #[tokio::test]
    async fn what_is_forged_over_or_for_another_is_refused_and_says_how_to_go_on() {
        let scene = Scene::new().await;
        let dir = tempfile::tempdir().unwrap();
        let (key, other) = (OperatorKey::make(dir.path()).unwrap(), tempfile::tempdir().unwrap());
        let other = OperatorKey::make(other.path()).unwrap();
        scene.store().keep_operator_key(scene.organization, key.public()).await.unwrap();
        let hold = hold();
        scene.store().hold(scene.organization, scene.machine, vec![hold.clone()]).await.unwrap();
        let approval = Approval {
            organization: scene.organization,
            machine: scene.machine,
            hold: hold.id,
            what: hold.what,
            until: Time::from_seconds(1_700_000_100),
            comment: "known".to_owned(),
        };
        let good = signed_approval_text(&key.sign(&approval));
        let swap = |change: &dyn Fn(&mut Approval)| {
            let mut changed = approval.clone();
            change(&mut changed);
            signed_approval_text(&key.sign(&changed))
        };
        let mut tampered = key.sign(&approval);
        tampered.comment = "other".to_owned();
        let table = [
            ("nonsense".to_owned(), 400, "quell operator sign"),
            (signed_approval_text(&other.sign(&approval)), 400, "not signed by the operator key"),
            (signed_approval_text(&tampered), 400, "not signed by the operator key"),
            (swap(&|it| it.until = Time::from_seconds(1_699_999_999)), 400, "--valid-for"),
            (swap(&|it| it.organization = OrganizationId::random()), 400, "another organization"),
            (swap(&|it| it.machine = MachineId([9; 20])), 404, "machine"),
            (swap(&|it| it.hold = HoldId::random()), 404, "quell operator list"),
            (good.clone(), 202, ""),
        ];
        for (text, status, says) in table {
            let answer = scene.call("POST", "/api/quell/approvals", &body(&text)).await;
            assert_eq!(answer.status, status, "{}", answer.text);
            assert!(answer.text.contains(says), "{says}: {}", answer.text);
        }
        let reader = scene.token_with(&["Machine.Read.All"]).await;
        let answer = scene.call_with(Some(&reader), "POST", "/api/quell/approvals", &body(&good), &[]).await;
        assert_eq!(answer.status, 403);
        // On its way until the machine holds it no more; then it is of no use.
        let on_its_way = |store: crate::store::Store| async move {
            store.approvals_for(scene.organization, scene.machine).await.unwrap().len()
        };
        assert_eq!(on_its_way(scene.store()).await, 1);
        let by = "root (kim)".to_owned();
        let store = scene.store();
        store
            .approved(scene.organization, scene.machine, hold.clone(), by, "known".to_owned())
            .await
            .unwrap();
        scene.store().hold(scene.organization, scene.machine, Vec::new()).await.unwrap();
        let audit = scene.store().audit(scene.organization, 0, 100).await.unwrap();
        let about = |what: &str| {
            let rows =
                audit.iter().filter(|row| row.what == what && row.subject.contains(&hold.id.to_string()));
            rows.map(|row| (row.who.as_str(), row.comment.as_str())).collect::<Vec<_>>()
        };
        assert_eq!((about("hold.begin").len(), about("hold.end").len()), (1, 1));
        assert_eq!(about("hold.approved"), [("root (kim) on Host1", "known")]);
        assert_eq!(about("hold.approve").len(), 1);
        assert_eq!(on_its_way(scene.store()).await, 0);
        assert_eq!(scene.call("POST", "/api/quell/approvals", &body(&good)).await.status, 404);
    }

    #[tokio::test]
    async fn an_act_that_waited_for_too_long_says_so() {
        let scene = Scene::new().await;
        scene.quarantines(file(1), "/opt/one").await;
        let act = scene.store().acts_for(scene.organization, scene.machine).await.unwrap().remove(0).act;
        let waits = Held::Quarantine { act: act.id, order: act.order, file: FileId::Sha1(file(1).sha1) };
        scene
            .store()
            .hold(scene.organization, scene.machine, vec![Hold { what: waits, ..hold() }])
            .await
            .unwrap();
        scene.later(365 * 24 * 3600);
        scene.store().expire().await.unwrap();
        let order = scene.store().order(scene.organization, act.order).await.unwrap().unwrap();
        assert_eq!(order.state, model::order::State::TimeOut);
        let why = order.failure.unwrap().reason;
        assert!(why.contains("waited for approval"), "{why}");
    }

    #[tokio::test]
    async fn an_order_that_waits_says_so_and_does_not_succeed() {
        let scene = Scene::new().await;
        scene.call("POST", &format!("/api/files/{}/block", file(1).sha1), r#"{"Comment":"c"}"#).await;
        let order = || async {
            let list = scene.call("GET", "/api/quell/orders?$top=1", "").await.json();
            let id = list["value"][0]["id"].as_str().unwrap().to_owned();
            scene.call("GET", &format!("/api/quell/orders/{id}"), "").await.json()
        };
        let hold = hold();
        scene.store().hold(scene.organization, scene.machine, vec![hold.clone()]).await.unwrap();
        scene.adopts().await;
        let shown = order().await;
        assert!(["Pending", "InProgress"].contains(&shown["state"].as_str().unwrap()), "{shown}");
        let how = shown["waits"][0]["howToGoOn"].as_str().unwrap();
        assert!(how.contains(&hold.id.to_string()), "{how}");
        let listed = scene.call("GET", "/api/quell/holds", "").await.json();
        assert_eq!(listed["value"][0]["id"], hold.id.to_string());
        scene.store().hold(scene.organization, scene.machine, Vec::new()).await.unwrap();
        let shown = order().await;
        assert_eq!(
            (shown["state"].as_str(), shown["waits"].as_array().map(Vec::len)),
            (Some("Succeeded"), Some(0))
        );
    }
}
