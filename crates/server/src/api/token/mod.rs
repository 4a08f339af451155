//! The token endpoint, in both dialects: client id and secret in, token out.

pub(super) mod discovery;
mod form;
pub(super) mod keys;
mod refusal;
pub(super) mod v1;
pub(super) mod v2;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use uuid::Uuid;

use super::called::Called;
use super::caller::Peer;
use super::edge::RequestId;
use crate::app::App;
use crate::store::Application;
use crate::tokens::secret_is;
use form::Form;
use refusal::{TokenRefusal, Word};

/// A request for a token, whose tenant is ours.
pub(super) struct Asked {
    form: Form,
    called: Called,
    from: Peer,
    id: RequestId,
}

impl FromRequest<Arc<App>> for Asked {
    type Rejection = TokenRefusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, TokenRefusal> {
        let (mut parts, body) = request.into_parts();
        let Ok(called) = Called::from_request_parts(&mut parts, app).await;
        let Ok(from) = Peer::from_request_parts(&mut parts, app).await;
        let id = RequestId::from_request_parts(&mut parts, app).await?;
        OurTenant::from_request_parts(&mut parts, app).await?;
        let form = Form::read(&parts.headers, body).await.map_err(|refused| refused.under(id))?;
        Ok(Self { form, called, from, id })
    }
}

/// The tenant in the path: our organization, or the call ends here.
pub(super) struct OurTenant(String);

impl FromRequestParts<Arc<App>> for OurTenant {
    type Rejection = TokenRefusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, TokenRefusal> {
        let id = RequestId::from_request_parts(parts, app).await?;
        let tenant = Path::<String>::from_request_parts(parts, app).await;
        let tenant = tenant.map(|Path(tenant)| tenant).unwrap_or_default();
        if tenant.parse() == Ok(app.home.organization) {
            return Ok(Self(tenant));
        }
        Err(TokenRefusal::new(Word::InvalidRequest, format!("Tenant '{tenant}' not found")).under(id))
    }
}

impl Asked {
    /// The application that asks, if its secret is right.
    async fn application(&self, app: &App) -> Result<Application, TokenRefusal> {
        self.judge(app).await.map_err(|refused| refused.under(self.id).to(self.form.used_basic()))
    }

    async fn judge(&self, app: &App) -> Result<Application, TokenRefusal> {
        let missing = |name: &str| {
            TokenRefusal::new(Word::InvalidRequest, format!("The request body must contain '{name}'"))
        };
        match self.form.get("grant_type") {
            None => return Err(missing("grant_type")),
            Some("client_credentials") => {}
            Some(_) => {
                let told = "Only the grant 'client_credentials' is served".to_owned();
                return Err(TokenRefusal::new(Word::UnsupportedGrantType, told));
            }
        }
        let client = self.form.client_id().ok_or_else(|| missing("client_id"))?;
        let now = app.clock.now();
        if let Some(wait) = app.failures.pause(client, self.from.0, now) {
            return Err(TokenRefusal::pause(wait));
        }
        let found = match client.parse::<Uuid>() {
            Ok(id) => app.store.application(id).await?,
            Err(_) => None,
        };
        // One answer for a wrong id and a wrong secret.
        let secret = self.form.client_secret().unwrap_or_default();
        let known = found.filter(|application| application.organization == app.home.organization);
        match known.filter(|application| secret_is(secret, &application.secret_sha256)) {
            Some(application) => Ok(application),
            None => {
                app.failures.count(client, self.from.0, now);
                let told = "The client id is not known, or the client secret is not its".to_owned();
                Err(TokenRefusal::new(Word::InvalidClient, told))
            }
        }
    }
}
