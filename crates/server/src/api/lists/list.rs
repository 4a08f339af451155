//! `GET /api/quell/lists`: the lists there are.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::Set;

use super::shape;
use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::app::App;

/// By name.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let lists = app.store.lists(organization).await?;
    let shaped = lists.into_iter().map(|list| shape(&app, organization, list, Vec::new())).collect();
    Ok(called.collection(Set::Lists, shaped))
}
