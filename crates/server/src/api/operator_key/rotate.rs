//! `POST /api/quell/operator-key`: another operator key follows the one of now, which has signed that. Machines look at the
//! signature themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use wire::link::holds::key_change_of_text;

use super::show;
use crate::api::caller::Calling;
use crate::api::door::ActionBody;
use crate::api::errors::ApiError;
use crate::app::App;
use crate::operator::{fingerprint, has_signed_change, may_sign};
use crate::store::StoreError;

/// The key of now, which is the new one. The same once more changes nothing.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let comment = body.comment()?;
    let change = key_change_of_text(body.change()?).map_err(|_| {
        ApiError::NoKeyChange("it is none; `quell operator key rotate` makes and brings one".to_owned())
    })?;
    if !has_signed_change(organization, &change) {
        let why = format!("it is not signed by the key before it ({})", fingerprint(&change.from));
        return Err(ApiError::NoKeyChange(why));
    }
    if !may_sign(&change.to) {
        return Err(ApiError::NoKeyChange("what follows is no key that can sign".to_owned()));
    }
    let caller = calling.caller();
    match app.store.change_operator_key(organization, Some(&caller), change, &comment).await {
        // It counts, whatever fails from here on.
        Ok(()) => Ok(Json(show::shape(&app, organization).await.map_err(ApiError::after_the_fact)?)),
        Err(StoreError::Refused(why)) => Err(ApiError::NoKeyChange(why)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use model::hold::KeyChange;
    use wire::link::holds::key_change_text;

    use crate::api::tests::Scene;
    use crate::operator::{OperatorKey, fingerprint};

    fn key() -> OperatorKey {
        OperatorKey::make(tempfile::tempdir().unwrap().path()).unwrap()
    }

    fn body(change: &KeyChange) -> String {
        serde_json::json!({ "Change": key_change_text(change), "Comment": "yearly" }).to_string()
    }

    #[tokio::test]
    async fn a_key_follows_the_one_that_signed_it_and_never_comes_back() {
        let scene = Scene::new().await;
        let at = "/api/quell/operator-key";
        assert_eq!(scene.call("GET", at, "").await.status, 404);
        let (first, second, third) = (key(), key(), key());
        scene.store().keep_operator_key(scene.organization, first.public()).await.unwrap();
        let signed =
            |old: &OperatorKey, new: &OperatorKey| old.sign_change(scene.organization, &new.public());
        let good = signed(&first, &second);
        let forged = KeyChange { signature: signed(&third, &second).signature, ..good.clone() };
        let unsigned = KeyChange { signature: Vec::new(), ..good.clone() };
        let elsewhere = first.sign_change(model::OrganizationId::random(), &second.public());
        let mut weak = [0; 32];
        weak[0] = 1;
        let weak = first.sign_change(scene.organization, &weak);
        for (change, says) in [
            (&forged, "not signed by the key before"),
            (&unsigned, "not signed by the key before"),
            (&elsewhere, "not signed by the key before"),
            (&weak, "no key that can sign"),
            (&signed(&third, &second), "and this is a change of"),
            (&signed(&first, &first), "make a new one"),
        ] {
            let answer = scene.call("POST", at, &body(change)).await;
            assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &"KeyChangeRefused".into()));
            assert!(answer.text.contains(says), "{says}: {}", answer.text);
        }
        let reader = scene.token_with(&["Machine.Read.All"]).await;
        assert_eq!(scene.call_with(Some(&reader), "POST", at, &body(&good), &[]).await.status, 403);
        assert_eq!(scene.call("POST", at, r#"{"Comment":"c","Change":"?"}"#).await.status, 400);
        for _ in 0..2 {
            let answer = scene.call("POST", at, &body(&good)).await;
            assert_eq!(answer.status, 200, "also when it is told twice: {}", answer.text);
            assert_eq!(answer.json()["fingerprint"], fingerprint(&second.public()));
        }
        assert_eq!(scene.audited("operator.key.change").await.len(), 1);
        // Two at once: the one who came second hears of it.
        let late = scene.call("POST", at, &body(&signed(&first, &third))).await;
        assert!(late.status == 400 && late.text.contains(&fingerprint(&second.public())), "{}", late.text);
        assert_eq!(scene.call("POST", at, &body(&signed(&second, &third))).await.status, 200);
        let back = scene.call("POST", at, &body(&signed(&third, &first))).await;
        assert!(back.status == 400 && back.text.contains("was the operator key before"), "{}", back.text);
        let json = scene.call("GET", at, "").await.json();
        assert_eq!(json["changes"].as_array().unwrap().len(), 2);
        assert_eq!((&json["machines"], &json["machinesWithout"]), (&0.into(), &1.into()));
    }
}
