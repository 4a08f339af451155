//! `/api/files/{id}/determination`: what a file is judged to be, and the analyst's own word. Also for files that no
//! machine has seen.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use model::determination::{Determination, DeterminationType};
use model::{FileId, OrganizationId};
use wire::rest::{Judgements, Set};

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::{ActionBody, FileInPath};
use crate::api::errors::ApiError;
use crate::app::App;
use crate::store::Judged;

/// All that is said of the file.
pub(in crate::api) async fn show(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    FileInPath(id): FileInPath,
) -> Result<impl IntoResponse, ApiError> {
    let all = now(&app, calling.identity.organization, id).await?;
    Ok(called.entity(Set::Determinations, all))
}

/// The analyst's word. `Unknown` takes it back.
pub(in crate::api) async fn set(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    FileInPath(id): FileInPath,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    let (judgement, comment) = (body.judgement()?, body.comment()?);
    if judgement.kind == DeterminationType::Unknown {
        take_back(&app, &calling, id, comment).await?;
    } else {
        app.store.judge(&calling.caller(), id, judgement, comment).await?;
    }
    let all = after(&app, &calling, id).await?;
    Ok(called.entity(Set::Determinations, all))
}

/// The word is taken back, by whichever name of the file it was given.
pub(in crate::api) async fn withdraw(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    FileInPath(id): FileInPath,
    body: ActionBody,
) -> Result<impl IntoResponse, ApiError> {
    take_back(&app, &calling, id, body.comment()?).await?;
    let all = after(&app, &calling, id).await?;
    Ok(called.entity(Set::Determinations, all))
}

async fn take_back(app: &App, calling: &Calling, id: FileId, comment: String) -> Result<(), ApiError> {
    match app.store.withdraw_judgement(&calling.caller(), id, comment).await? {
        0 => Err(ApiError::not_found("An analyst's determination of file", id)),
        _ => Ok(()),
    }
}

/// What is said of the file after a word that counts already: no failure may say that nothing was changed.
async fn after(app: &App, calling: &Calling, id: FileId) -> Result<Judgements, ApiError> {
    now(app, calling.identity.organization, id).await.map_err(ApiError::after_the_fact)
}

async fn now(app: &App, organization: OrganizationId, id: FileId) -> Result<Judgements, ApiError> {
    let judged = app.store.judged(organization, id).await?;
    Ok(words(app, organization, judged).into())
}

/// All words, those of lists among them.
pub(super) fn words(app: &App, organization: OrganizationId, judged: Judged) -> Vec<Determination> {
    let Judged { names, mut words, lists } = judged;
    words.extend(app.lists.words(organization, &names, &lists));
    words
}

#[cfg(test)]
mod tests {
    use model::Time;
    use model::determination::{KnownBy, Source};

    use super::*;
    use crate::api::tests::{Scene, file};

    const EVIL: &str =
        r#"{"determinationType":"malware","determinationValue":"Trojan:Linux/X","comment":"case 7"}"#;

    fn path(number: u8) -> String {
        format!("/api/files/{}/determination", file(number).sha1)
    }

    #[tokio::test]
    async fn an_analysts_word_is_the_files_whatever_its_name() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let answer = scene.call("PUT", &path(1), EVIL).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        for name in [file(1).sha1.to_string(), file(1).sha256.to_string()] {
            let json = scene.call("GET", &format!("/api/files/{name}"), "").await.json();
            assert_eq!(json["determinationType"], "Malware");
            assert_eq!(json["determinationValue"], "Trojan:Linux/X");
            let word = &json["quell"]["determinations"][0];
            assert_eq!((&word["source"], &word["knownBy"]), (&"analyst".into(), &"Sha1".into()));
            assert_eq!((&word["evidence"], &word["decides"]), (&"case 7".into(), &true.into()));
            assert!(word["by"].as_str().unwrap().starts_with("test ("));
        }
        let line = &scene.audited("determination.set").await[0];
        assert_eq!(line.subject, format!("{} Malware Trojan:Linux/X", file(1).sha1));
        assert_eq!((&*line.comment, &*line.from), ("case 7", "127.0.0.1"));
    }

    #[tokio::test]
    async fn a_later_word_counts_and_a_withdrawal_takes_all_back() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        scene.call("PUT", &path(1), EVIL).await;
        scene.later(60);
        let by_sha256 = format!("/api/files/{}/determination", file(1).sha256);
        let json = scene
            .call("PUT", &by_sha256, r#"{"DeterminationType":"Clean","Comment":"it is ours"}"#)
            .await
            .json();
        assert_eq!((&json["determinationType"], &json["determinationValue"]), (&"Clean".into(), &().into()));
        assert_eq!(json["determinations"].as_array().unwrap().len(), 2);
        let answer = scene.call("DELETE", &path(1), r#"{"Comment":"not sure"}"#).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["determinationType"], "Unknown");
        assert_eq!(answer.json()["determinations"].as_array().unwrap().len(), 0);
        assert_eq!(scene.audited("determination.withdraw").await.len(), 2);
        let answer = scene.call("DELETE", &path(1), r#"{"Comment":"again"}"#).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &"ResourceNotFound".into()));
    }

    #[tokio::test]
    async fn a_file_that_nobody_has_seen_is_judged_and_later_seen() {
        let scene = Scene::new().await;
        scene.call("PUT", &path(2), EVIL).await;
        assert_eq!(scene.call("GET", &path(2), "").await.json()["determinationType"], "Malware");
        assert_eq!(scene.call("GET", &format!("/api/files/{}", file(2).sha1), "").await.status, 404);
        scene.sees(file(2), "/opt/two").await;
        let json = scene.call("GET", &format!("/api/files/{}", file(2).sha256), "").await.json();
        assert_eq!(json["determinationType"], "Malware");
        let body = r#"{"determinationType":"Unknown","comment":"sorry"}"#;
        assert_eq!(scene.call("PUT", &path(2), body).await.json()["determinationType"], "Unknown");
        assert_eq!(scene.call("PUT", &path(2), body).await.status, 404);
    }

    #[tokio::test]
    async fn what_makes_no_sense_and_who_may_not_are_refused() {
        let scene = Scene::new().await;
        for (body, code) in [
            (r#"{"comment":"c"}"#, "MissingRequiredParameter"),
            (r#"{"determinationType":"Malware"}"#, "MissingRequiredParameter"),
            (r#"{"determinationType":"evil","comment":"c"}"#, "InvalidInput"),
            (r#"{"determinationType":7,"comment":"c"}"#, "InvalidRequestBody"),
        ] {
            let answer = scene.call("PUT", &path(1), body).await;
            assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &code.into()), "{body}");
        }
        let long = format!(
            r#"{{"determinationType":"Pua","determinationValue":"{}","comment":"c"}}"#,
            "x".repeat(1000)
        );
        assert_eq!(scene.call("PUT", &path(1), &long).await.status, 400);
        let reader = scene.token_with(&["File.Read.All", "Ti.ReadWrite"]).await;
        assert_eq!(scene.call_with(Some(&reader), "GET", &path(1), "", &[]).await.status, 200);
        for method in ["PUT", "DELETE"] {
            let answer = scene.call_with(Some(&reader), method, &path(1), EVIL, &[]).await;
            assert_eq!(answer.status, 403, "{}", answer.text);
            assert!(answer.text.contains("File.ReadWrite.All"));
        }
    }

    #[tokio::test]
    async fn an_engine_gives_way_to_the_analyst_and_stays_visible() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        let said = |kind, version: &str| Determination {
            kind,
            value: Some("Eicar".into()),
            source: Source::ClamAv,
            engine: "clamav".into(),
            version: version.into(),
            at: Time::from_seconds(1_700_000_000),
            by: String::new(),
            evidence: "stream".into(),
            known_by: KnownBy::Sha256,
        };
        let engine = async |said: Determination| {
            let file = FileId::Sha256(file(1).sha256);
            scene.store().judged_by_engine(scene.organization, file, said).await
        };
        engine(said(DeterminationType::Malware, "1")).await.unwrap();
        assert_eq!(scene.call("GET", &path(1), "").await.json()["determinationValue"], "Eicar");
        engine(said(DeterminationType::Malware, "2")).await.unwrap();
        scene.call("PUT", &path(1), r#"{"determinationType":"Clean","comment":"a test file"}"#).await;
        let json = scene.call("GET", &path(1), "").await.json();
        assert_eq!((&json["determinationType"], &json["determinationValue"]), (&"Clean".into(), &().into()));
        let words = json["determinations"].as_array().unwrap();
        assert_eq!((words.len(), &words[1]["engineVersion"]), (2, &"2".into()), "one word of each judge");
        engine(said(DeterminationType::Unknown, "3")).await.unwrap();
        assert_eq!(
            scene.call("GET", &path(1), "").await.json()["determinations"].as_array().unwrap().len(),
            1
        );
        let posing = Determination { source: Source::Analyst, ..said(DeterminationType::Clean, "1") };
        assert!(engine(posing).await.is_err());
    }
}
