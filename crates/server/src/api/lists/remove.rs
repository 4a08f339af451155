//! `DELETE /api/quell/lists/{name}`: nothing is judged by that list any more.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::ListInPath;
use crate::api::caller::Calling;
use crate::api::door::ActionBody;
use crate::api::errors::ApiError;
use crate::app::App;

/// Removes it.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    name: ListInPath,
    body: ActionBody,
) -> Result<StatusCode, ApiError> {
    let comment = body.comment()?;
    match app.store.remove_list(&calling.caller(), &name.0, comment).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(name.unknown()),
    }
}
