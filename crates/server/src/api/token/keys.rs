//! `GET /{tenant}/discovery/v2.0/keys`: the keys by which anybody can check our tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use wire::rest::Jwks;

use super::OurTenant;
use crate::app::App;

/// The public half of our key.
pub(in crate::api) async fn handle(State(app): State<Arc<App>>, _: OurTenant) -> Json<Jwks> {
    Json(Jwks::of(app.tokens.public_key()))
}
