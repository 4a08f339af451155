//! `GET /testwdatppreview/fileactions`: the blocks in force.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::Set;

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::api::files::action;
use crate::api::paging::Paging;
use crate::app::App;

/// All blocks in force, newest first; ended ones are not listed.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    paging: Paging,
) -> Result<impl IntoResponse, ApiError> {
    let blocks = app.store.blocks(calling.identity.organization, paging.page()).await?;
    Ok(called.collection(Set::FileActions, blocks.into_iter().map(action).collect()))
}

#[cfg(test)]
mod tests {
    use crate::api::tests::{Scene, file};

    #[tokio::test]
    async fn the_blocks_in_force_are_listed_newest_first() {
        let scene = Scene::new().await;
        for number in 1..=2 {
            scene.later(1);
            let path = format!("/api/files/{}/block", file(number).sha1);
            scene.call("POST", &path, r#"{"Comment":"c"}"#).await;
        }
        let list = scene.call("GET", "/testwdatppreview/FileActions", "").await.json();
        assert_eq!(list["@odata.context"], "http://quell.test/testwdatppreview/$metadata#FileActions");
        let files: Vec<_> =
            list["value"].as_array().unwrap().iter().map(|row| &row["fileIdentifier"]).collect();
        assert_eq!(files, [&file(2).sha1.to_string(), &file(1).sha1.to_string()]);
        let page = scene.call("GET", "/testwdatppreview/FileActions?$top=1&$skip=1", "").await.json();
        assert_eq!(page["value"].as_array().unwrap().len(), 1);
        assert_eq!(page["value"][0]["fileIdentifier"], file(1).sha1.to_string());
    }
}
