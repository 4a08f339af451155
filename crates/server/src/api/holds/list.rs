//! `GET /api/quell/holds`: what waits for approval, on all machines.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use wire::rest::Set;

use crate::api::called::Called;
use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::app::App;

/// All of it, by machine.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
    called: Called,
) -> Result<impl IntoResponse, ApiError> {
    let organization = calling.identity.organization;
    let holds = app.store.holds(organization).await?;
    Ok(called.collection(Set::Holds, super::shapes(organization, &holds)))
}
