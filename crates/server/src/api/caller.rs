//! Who calls: the bearer token of the request.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::door::ActionBody;
use super::errors::ApiError;
use crate::app::App;
use crate::store::Caller;
use crate::tokens::{Identity, Refused};

/// The address at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// Whom the request's token stands for.
pub(super) async fn identify(app: &App, headers: &HeaderMap) -> Result<Arc<Identity>, ApiError> {
    let unauthorized = |reason: &str| ApiError::Unauthorized(reason.to_owned());
    let header = headers
        .get(AUTHORIZATION)
        .ok_or_else(|| unauthorized("Authorization header is missing: get a token and send it as Bearer"))?;
    let token = header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| unauthorized("Authorization header holds no Bearer token"))?;
    app.tokens.verify(token, &app.store).await.map_err(|refused| match refused {
        Refused::Store(error) => ApiError::Store(error),
        refused => ApiError::Unauthorized(refused.to_string()),
    })
}

/// Who calls, as the gate has found out. A handler that takes this can't be reached without a token.
pub(super) struct Calling {
    pub(super) identity: Arc<Identity>,
    from: IpAddr,
}

impl Calling {
    /// Who signs an order.
    pub(super) fn caller(&self) -> Caller {
        Caller {
            organization: self.identity.organization,
            name: self.identity.name.clone(),
            from: self.from.to_string(),
            confirms: false,
        }
    }

    /// The same, with what the body says of it.
    pub(super) fn caller_of(&self, body: &ActionBody) -> Result<Caller, ApiError> {
        Ok(Caller { confirms: body.confirms()?, ..self.caller() })
    }
}

impl<S: Sync> FromRequestParts<S> for Calling {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Ok(Peer(from)) = Peer::from_request_parts(parts, state).await;
        let identity = parts.extensions.get::<Arc<Identity>>().cloned();
        let identity = identity.ok_or_else(|| ApiError::Unauthorized("No token was checked".to_owned()))?;
        Ok(Self { identity, from })
    }
}
