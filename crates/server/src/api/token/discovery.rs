//! `GET /{tenant}/v2.0/.well-known/openid-configuration`: where the endpoints are, for libraries that ask.

use axum::Json;
use wire::rest::OpenIdConfiguration;

use super::OurTenant;
use crate::api::called::Called;

/// The discovery document of our tenant.
pub(in crate::api) async fn handle(
    called: Called,
    OurTenant(tenant): OurTenant,
) -> Json<OpenIdConfiguration> {
    Json(OpenIdConfiguration::new(&called.base, &tenant))
}
