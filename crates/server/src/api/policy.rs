//! `/api/quell/policies/malware`: whether files that are judged to be malware are blocked.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::determination::DeterminationType;
use model::rule::Effect;
use wire::rest::{Policies, Policy, Stamp};

use super::caller::Calling;
use super::door::ActionBody;
use super::errors::ApiError;
use crate::app::App;

/// The policies there are.
pub(super) async fn list(State(app): State<Arc<App>>, calling: Calling) -> Result<Json<Policies>, ApiError> {
    let policy = app.store.policy(calling.identity.organization).await?;
    let shape = |policy: crate::store::Policy| Policy {
        on_determination: DeterminationType::Malware.word(),
        effect: Effect::Deny.word(),
        requestor: policy.requestor,
        requestor_comment: policy.comment,
        created: Stamp(policy.created),
        blocked: policy.blocked,
        refused: policy.refused,
    };
    Ok(Json(Policies { value: policy.into_iter().map(shape).collect() }))
}

/// They are blocked from now on.
pub(super) async fn set(
    State(app): State<Arc<App>>,
    calling: Calling,
    body: ActionBody,
) -> Result<StatusCode, ApiError> {
    app.store.put_policy(&calling.caller(), body.comment()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// No more of them are blocked; those that are stay so.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    calling: Calling,
    body: ActionBody,
) -> Result<StatusCode, ApiError> {
    match app.store.remove_policy(&calling.caller(), body.comment()?).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("Policy", "on-determination malware")),
    }
}

#[cfg(test)]
mod tests {
    use model::determination::DeterminationType;

    use crate::api::tests::{Scene, file};
    use crate::store::Looked;

    const POLICY: &str = "/api/quell/policies/malware";
    const WHY: &str = r#"{"Comment":"no malware here"}"#;

    async fn judge(scene: &Scene, number: u8, kind: &str) {
        let body = format!(r#"{{"determinationType":"{kind}","comment":"c"}}"#);
        let path = format!("/api/files/{}/determination", file(number).sha1);
        let answer = scene.call("PUT", &path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    async fn blocks(scene: &Scene) -> Vec<(String, String)> {
        let list = scene.call("GET", "/testwdatppreview/fileactions", "").await.json();
        let all = list["value"].as_array().unwrap().iter();
        let text = |block: &serde_json::Value, key: &str| block[key].as_str().unwrap().to_owned();
        all.map(|block| (text(block, "fileIdentifier"), text(block, "requestor"))).collect()
    }

    #[tokio::test]
    async fn it_is_off_until_somebody_wants_it() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        judge(&scene, 1, "Malware").await;
        scene.polices().await;
        assert_eq!(blocks(&scene).await, []);
        assert_eq!(scene.call("PUT", POLICY, WHY).await.status, 204);
        scene.polices().await;
        let made = blocks(&scene).await;
        assert_eq!((made.len(), &made[0].0), (1, &file(1).sha256.to_string()), "also what was judged before");
        assert!(made[0].1.contains("policy"), "{made:?}");
        assert_eq!(scene.audited("rule.begin").await[0].who, made[0].1);
        let listed = scene.call("GET", "/api/quell/policies", "").await.json();
        assert_eq!(
            (&listed["value"][0]["onDetermination"], &listed["value"][0]["blocked"]),
            (&"Malware".into(), &1.into())
        );
        assert_eq!(scene.call("DELETE", POLICY, WHY).await.status, 204);
        assert_eq!(scene.call("DELETE", POLICY, WHY).await.status, 404);
        assert_eq!(blocks(&scene).await.len(), 1, "what is blocked stays so");
        let token = scene.token_with(&["File.ReadWrite.All", "File.Read.All"]).await;
        assert_eq!(scene.call_with(Some(&token), "PUT", POLICY, WHY, &[]).await.status, 403);
    }

    #[tokio::test]
    async fn the_block_ends_when_the_file_is_judged_otherwise() {
        let scene = Scene::new().await;
        scene.call("PUT", POLICY, WHY).await;
        for number in 1..=3 {
            scene.sees(file(number), &format!("/opt/{number}")).await;
        }
        let list = "/api/quell/lists/feed?as=Malware&comment=c";
        scene.call("PUT", list, &format!("{}\n{}\n", file(1).md5, file(2).sha1)).await;
        scene.polices().await;
        assert_eq!(blocks(&scene).await.len(), 2);
        // Somebody wants one of them blocked on his own account.
        scene.call("POST", &format!("/api/files/{}/block", file(2).sha256), WHY).await;
        scene.later(60);
        scene.call("PUT", list, &file(3).sha1.to_string()).await;
        scene.polices().await;
        let mut left: Vec<_> = blocks(&scene).await.into_iter().map(|(file, _)| file).collect();
        left.sort();
        assert_eq!(left, [file(2).sha256.to_string(), file(3).sha256.to_string()]);
        judge(&scene, 3, "Clean").await;
        scene.polices().await;
        assert_eq!(blocks(&scene).await.len(), 1);
    }

    #[tokio::test]
    async fn what_a_person_unblocks_stays_so_and_what_is_spared_is_never_blocked() {
        let scene = Scene::new().await;
        scene.call("PUT", POLICY, WHY).await;
        scene.spares(file(1), "/usr/bin/bash", "bash").await;
        for number in 1..=2 {
            scene.sees(file(number), &format!("/opt/{number}")).await;
            judge(&scene, number, "Malware").await;
        }
        scene.polices().await;
        assert_eq!(blocks(&scene).await.len(), 1);
        let refused = scene.audited("policy.refused").await;
        assert!(refused.len() == 1 && refused[0].comment.contains("/usr/bin/bash"), "{refused:?}");
        scene.call("POST", &format!("/api/files/{}/unblock", file(2).sha256), WHY).await;
        judge(&scene, 2, "Malware").await;
        scene.polices().await;
        assert_eq!((blocks(&scene).await, scene.audited("policy.refused").await.len()), (vec![], 1));
        // Judged otherwise and again: that is new.
        for kind in ["Clean", "Malware"] {
            judge(&scene, 2, kind).await;
            scene.polices().await;
        }
        assert_eq!(blocks(&scene).await.len(), 1);
    }

    #[tokio::test]
    async fn what_was_refused_is_tried_again_each_hour_and_told_once() {
        let scene = Scene::new().await;
        scene.call("PUT", POLICY, WHY).await;
        scene.spares(file(1), "/usr/bin/bash", "bash").await;
        scene.sees(file(1), "/opt/1").await;
        judge(&scene, 1, "Malware").await;
        let goes_on = async |seconds| {
            scene.later(seconds);
            scene.store().expire().await.unwrap();
            scene.polices().await;
            let policy = scene.store().policy(scene.organization).await.unwrap().unwrap();
            (policy.blocked, policy.refused)
        };
        assert_eq!(goes_on(1).await, (0, 1));
        assert_eq!(goes_on(3601).await, (0, 1));
        assert_eq!(scene.audited("policy.refused").await.len(), 1, "for the same reason");
        scene.spares(file(2), "/usr/bin/bash", "bash").await;
        assert_eq!(goes_on(600).await, (0, 1));
        assert_eq!(goes_on(3001).await, (1, 0));
    }

    #[tokio::test]
    async fn a_feed_that_says_the_same_again_has_nothing_looked_at_and_the_newest_wait_for_no_other() {
        let scene = Scene::new().await;
        for number in 1..=4 {
            scene.sees(file(number), &format!("/opt/{number}")).await;
        }
        scene.call("PUT", POLICY, WHY).await;
        let imports = async |kind: &str, text: String| {
            let path = format!("/api/quell/lists/feed?as={kind}&comment=c");
            assert_eq!(scene.call("PUT", &path, &text).await.status, 200);
        };
        let looks = |most| {
            let looks = scene.store().policy_looks(most).unwrap();
            looks.into_iter().flat_map(|look| look.files).collect::<Vec<_>>()
        };
        imports("Malware", format!("{}\n{}\n", file(8).sha1, file(9).sha1)).await;
        scene.polices().await;
        assert_eq!(looks(9), []);
        imports("Malware", format!("# of today\n{}\n{}\n", file(9).sha1, file(8).sha1)).await;
        assert_eq!(looks(9), [], "the same digests");
        imports("Pua", format!("{}\n{}\n", file(8).sha1, file(9).sha1)).await;
        let first = scene.store().policy_looks(2).unwrap().remove(0);
        let numbers: Vec<_> = first.files.iter().map(|look| look.file).collect();
        let looked = first.files.into_iter().map(|look| Looked {
            file: look.file,
            token: look.token,
            digests: look.digests,
            kind: DeterminationType::Unknown,
        });
        scene.store().policy_follows(scene.organization, first.changes, looked.collect()).await.unwrap();
        imports("Pua", file(8).sha1.to_string()).await;
        let next = looks(9);
        assert!(next.len() == 2 && next.iter().all(|look| !numbers.contains(&look.file)), "{next:?}");
    }

    #[tokio::test]
    async fn it_blocks_no_more_than_a_hundred_files_an_hour() {
        let scene = Scene::new().await;
        scene.call("PUT", POLICY, WHY).await;
        let mut text = String::new();
        for number in 1..=120 {
            scene.sees(file(number), &format!("/opt/{number}")).await;
            text.push_str(&format!("{}\n", file(number).sha256));
        }
        scene.call("PUT", "/api/quell/lists/feed?as=Malware&comment=c", &text).await;
        scene.polices().await;
        assert_eq!(blocks(&scene).await.len(), 100);
        // Some are let go: their blocks were made all the same.
        let list = "/api/quell/lists/feed?as=Malware&comment=c";
        scene.call("PUT", list, &file(120).sha1.to_string()).await;
        scene.polices().await;
        assert_eq!(blocks(&scene).await.len(), 0);
        scene.call("PUT", list, &text).await;
        scene.polices().await;
        assert_eq!(blocks(&scene).await.len(), 0);
        scene.later(3601);
        scene.polices().await;
        assert_eq!(blocks(&scene).await.len(), 100);
        scene.later(3601);
        scene.polices().await;
        let policy = scene.store().policy(scene.organization).await.unwrap().unwrap();
        assert_eq!(policy.blocked, 120);
    }
}
