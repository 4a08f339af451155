//! `POST /{tenant}/oauth2/v2.0/token`: the dialect with `scope`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use wire::rest::TokenV2;

use super::Asked;
use super::refusal::TokenRefusal;
use crate::app::App;
use crate::tokens::{Dialect, LIFE};

/// A token for any scope: clients disagree on its name, and roles are the application's own.
pub(in crate::api) async fn handle(
    State(app): State<Arc<App>>,
    asked: Asked,
) -> Result<Json<TokenV2>, TokenRefusal> {
    let application = asked.application(&app).await?;
    let scope = asked.form.get("scope").and_then(|scope| scope.split_whitespace().next());
    let audience = scope.unwrap_or(&asked.called.base);
    let audience = audience.strip_suffix("/.default").unwrap_or(audience);
    let issued = app.tokens.issue(&application, audience, Dialect::V2, &asked.called.base);
    Ok(Json(TokenV2::new(issued.token, LIFE.as_secs())))
}
