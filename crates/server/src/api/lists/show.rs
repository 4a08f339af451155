//! `GET /api/quell/lists/{name}`: one list.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::Set;

use super::{ListInPath, shape};
use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::app::App;

/// What it says, and how much of it there is.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
    name: ListInPath,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let list = app.store.list(organization, &name.0).await?.ok_or_else(|| name.unknown())?;
    Ok(called.entity(Set::Lists, shape(&app, organization, list, Vec::new())))
}
