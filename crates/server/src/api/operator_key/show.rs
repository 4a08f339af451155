//! `GET /api/quell/operator-key`: whose signature lets go on what machines hold, and which of them know that key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use model::OrganizationId;
use wire::rest::{KeyFollows, OperatorKey};

use crate::api::caller::Calling;
use crate::api::errors::ApiError;
use crate::app::App;
use crate::operator::fingerprint;

/// The key of now.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    calling: Calling,
) -> Result<impl IntoResponse, ApiError> {
    Ok(Json(shape(&app, calling.identity.organization).await?))
}

pub(super) async fn shape(app: &App, organization: OrganizationId) -> Result<OperatorKey, ApiError> {
    let key = app.store.operator_key(organization).await?;
    let key = key.ok_or_else(|| ApiError::NotFound("There is no operator key yet".to_owned()))?;
    let (changes, machines) =
        (app.store.operator_key_changes(organization).await?, app.store.machines(organization).await?);
    let name = fingerprint(&key);
    let have_it = machines.iter().filter(|machine| machine.operator_key == name).count();
    Ok(OperatorKey {
        organization,
        fingerprint: name,
        public: data_encoding::HEXLOWER.encode(&key),
        changes: changes
            .iter()
            .map(|change| KeyFollows {
                from: fingerprint(&change.from),
                to: fingerprint(&change.to),
                signed: !change.signature.is_empty(),
            })
            .collect(),
        machines: have_it,
        machines_without: machines.len() - have_it,
    })
}
