//! `GET /api/quell/files/{id}/copies`: at which paths of which machines a file is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::{Copy, Set, Stamp};

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::door::FileInPath;
use crate::api::errors::ApiError;
use crate::api::paging::Paging;
use crate::app::App;
use crate::store::KnownCopy;

/// The known copies; none when nobody knows the file.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    paging: Paging,
    FileInPath(id): FileInPath,
) -> Result<impl IntoResponse, ApiError> {
    let copies = app.store.copies(calling.identity.organization, id).await?;
    Ok(called.collection(Set::Copies, paging.of(copies).into_iter().map(shape).collect()))
}

fn shape(copy: KnownCopy) -> Copy {
    Copy {
        machine_id: copy.machine,
        computer_dns_name: copy.machine_name,
        file_name: copy.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path: copy.path,
        first_seen: Stamp(copy.first_seen),
        last_seen: Stamp(copy.last_seen),
        present: copy.present,
        running: copy.running,
        denials: copy.denials,
        origin: copy.origin.map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn the_copies_are_listed() {
        let scene = Scene::new().await;
        scene.sees(file(1), "/opt/one").await;
        scene.sees(file(1), "/srv/one").await;
        let path = format!("/api/quell/files/{}/copies", file(1).sha1);
        let answer = scene.call("GET", &path, "").await.json();
        let mut paths: Vec<_> =
            answer["value"].as_array().unwrap().iter().map(|copy| &copy["path"]).collect();
        paths.sort_by_key(ToString::to_string);
        assert_eq!(paths, ["/opt/one", "/srv/one"]);
        assert_eq!(answer["value"][0]["machineId"], scene.machine.to_string());
        assert_eq!(answer["value"][0]["present"], true);
    }
}
