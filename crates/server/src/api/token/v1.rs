//! `POST|GET /{tenant}/oauth2/token`: the dialect with `resource`; numbers are texts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use wire::rest::TokenV1;

use super::Asked;
use super::refusal::TokenRefusal;
use crate::app::App;
use crate::tokens::Dialect;

/// A token for any resource: clients disagree on its name.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    asked: Asked,
) -> Result<Json<TokenV1>, TokenRefusal> {
    let application = asked.application(&app).await?;
    let resource = asked.form.get("resource").unwrap_or(&asked.called.base).to_owned();
    let issued = app.tokens.issue(&application, &resource, Dialect::V1, &asked.called.base);
    Ok(Json(TokenV1::new(issued.token, resource, issued.not_before, issued.expires)))
}
