//! `GET /api/quell/files/{id}/sample`: a file's bytes, in an archive behind a password.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;

use crate::api::caller::Calling;
use crate::api::door::FileInPath;
use crate::api::errors::ApiError;
use crate::app::App;
use crate::samples::{AT_ONCE, Busy, archive};
use crate::store::StoreError;

/// When somebody who reads as much as he may can come again: a sample takes some seconds.
const AGAIN: Duration = Duration::from_secs(5);

/// The archive. Who asked stands in the audit before the first byte goes.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    FileInPath(file): FileInPath,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    // First, so that who is refused costs nothing and has read nothing.
    let turn = app.samples.turn((organization, calling.identity.client)).map_err(|busy| match busy {
        Busy::You => ApiError::TooManyReaders { max: AT_ONCE, wait: AGAIN },
        Busy::Everybody => ApiError::Overdue,
    })?;
    let sample = app.store.read_sample(&calling.caller(), file).await?;
    let sample = sample.ok_or_else(|| ApiError::not_found("Sample of file", file))?;
    let bytes = app.samples.read(organization, sample.sha256).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => ApiError::not_found("Sample of file", file),
        _ => ApiError::Store(StoreError::Database(format!("sample {}: {error}", sample.sha256))),
    })?;
    let name = format!("attachment; filename=\"{}.zip\"", sample.sha256);
    let headers = [(CONTENT_TYPE, "application/zip".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, archive(sample.sha256, bytes, turn)))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use model::{Digests, Sha256};
    use sha2::Digest;

    use super::AT_ONCE;
    use crate::api::tests::{Scene, file};

    const BYTES: &[u8] = b"nothing that anybody should run";
    const WHY: &str = r#"{"Comment":"c"}"#;

    fn sample() -> Digests {
        Digests { sha256: Sha256(sha2::Sha256::digest(BYTES).into()), ..file(1) }
    }

    async fn collected(scene: &Scene) -> String {
        scene.sees(sample(), "/opt/one").await;
        let body = format!(r#"{{"Comment":"c","Sha1":"{}"}}"#, sample().sha1);
        let path = format!("/api/quell/machines/{}/collect", scene.machine);
        let order = scene.call("POST", &path, &body).await.json();
        scene.sends(sample(), BYTES).await;
        let place = format!("/api/quell/orders/{}", order["id"].as_str().unwrap());
        assert_eq!(scene.call("GET", &place, "").await.json()["state"], "Succeeded");
        place
    }

    #[tokio::test]
    async fn a_sample_comes_behind_a_password_and_each_reader_is_noted() {
        let scene = Scene::new().await;
        let path = format!("/api/quell/files/{}/sample", sample().sha1);
        assert_eq!(scene.call("GET", &path, "").await.status, 404);
        collected(&scene).await;
        let answer = scene.call("GET", &path, "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/zip"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let name = format!("attachment; filename=\"{}.zip\"", sample().sha256);
        assert_eq!(answer.header("content-disposition"), Some(&*name));
        let mut zip = zip::ZipArchive::new(Cursor::new(&answer.bytes)).unwrap();
        let mut back = Vec::new();
        zip.by_index_decrypt(0, b"infected").unwrap().read_to_end(&mut back).unwrap();
        assert_eq!(back, BYTES);

        let reader = scene.token_with(&["Sample.Read.All"]).await;
        assert_eq!(scene.call_with(Some(&reader), "GET", &path, "", &[]).await.status, 200);
        let other = scene.token_with(&["File.Read.All", "Machine.CollectFile", "Machine.Read.All"]).await;
        assert_eq!(scene.call_with(Some(&other), "GET", &path, "", &[]).await.status, 403);
        let lines = scene.audited("sample.read").await;
        assert_eq!(lines.len(), 2, "who was refused has read nothing");
        assert_eq!((&*lines[0].from, &*lines[0].subject), ("127.0.0.1", &*sample().sha256.to_string()));
        assert!(lines[0].who.contains("test"), "{:?}", lines[0]);
    }

    #[tokio::test]
    async fn who_reads_too_many_at_once_is_told_and_keeps_nobody_else_waiting() {
        let scene = Scene::new().await;
        collected(&scene).await;
        let path = format!("/api/quell/files/{}/sample", sample().sha256);
        let slow = scene.token_with(&["Sample.Read.All"]).await;
        let mut unread = Vec::new();
        for _ in 0..AT_ONCE {
            let answer = scene.answer(Some(&slow), "GET", &path).await;
            assert_eq!(answer.status(), 200);
            unread.push(answer);
        }
        let answer = scene.call_with(Some(&slow), "GET", &path, "", &[]).await;
        answer.refuses(
            429,
            "TooManyRequests",
            "An application may read 4 samples at once, and this one does: try again when one of them has come",
        );
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(scene.audited("sample.read").await.len(), AT_ONCE, "who was refused has read nothing");
        let other = scene.token_with(&["Sample.Read.All"]).await;
        assert_eq!(scene.call_with(Some(&other), "GET", &path, "", &[]).await.status, 200);
        unread.pop();
        assert_eq!(scene.call_with(Some(&slow), "GET", &path, "", &[]).await.status, 200);
    }

    #[tokio::test]
    async fn it_is_deleted_with_the_last_order_that_brought_it() {
        let scene = Scene::new().await;
        let (first, second) = (collected(&scene).await, collected(&scene).await);
        let inverse = scene.call("GET", &first, "").await.json()["inverse"].clone();
        assert_eq!(
            (&inverse["want"], inverse["denyKeptBy"].as_array().unwrap().len()),
            (&"discard".into(), 1)
        );
        let path = format!("/api/quell/files/{}/sample", sample().sha256);
        let undo = scene.call("POST", &format!("{first}/undo"), WHY).await.json();
        assert_eq!((&undo["want"], &undo["state"]), (&"discard".into(), &"Succeeded".into()));
        assert_eq!((scene.call("GET", &path, "").await.status, scene.sample_files()), (200, 1));
        assert_eq!(scene.call("POST", &format!("{second}/undo"), WHY).await.status, 201);
        assert_eq!((scene.call("GET", &path, "").await.status, scene.sample_files()), (404, 0));
        assert_eq!(scene.audited("sample.delete").await.len(), 1);
        assert_eq!(scene.call("POST", &format!("{second}/undo"), WHY).await.status, 400);
    }
}
