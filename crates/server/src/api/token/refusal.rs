//! Refusals of the token endpoint: RFC 6749's shape, not the API's envelope.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;
use wire::rest::TokenError;

use crate::api::edge::{RequestId, whole_seconds};
use crate::store::StoreError;

/// RFC 6749's words, and what else can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    InvalidRequest,
    InvalidClient,
    UnsupportedGrantType,
    Pause,
    ServerError,
}

impl Word {
    const fn table(self) -> (&'static str, StatusCode) {
        match self {
            Self::InvalidRequest => ("invalid_request", StatusCode::BAD_REQUEST),
            Self::InvalidClient => ("invalid_client", StatusCode::UNAUTHORIZED),
            Self::UnsupportedGrantType => ("unsupported_grant_type", StatusCode::BAD_REQUEST),
            Self::Pause => ("temporarily_unavailable", StatusCode::TOO_MANY_REQUESTS),
            Self::ServerError => ("server_error", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// No token.
#[derive(Clone, Debug)]
pub(crate) struct TokenRefusal {
    word: Word,
    description: String,
    wait: Option<Duration>,
    basic: bool,
    id: Option<RequestId>,
}

impl TokenRefusal {
    pub(super) const fn new(word: Word, description: String) -> Self {
        Self { word, description, wait: None, basic: false, id: None }
    }

    /// Too many have failed.
    pub(super) fn pause(wait: Duration) -> Self {
        let told = format!("Too many failed requests: try again in {} s", whole_seconds(wait));
        Self { wait: Some(wait), ..Self::new(Word::Pause, told) }
    }

    /// Names the call it answers.
    pub(super) fn under(self, id: RequestId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Whether the client has used a Basic header, and so is told about it.
    pub(super) fn to(self, basic: bool) -> Self {
        Self { basic, ..self }
    }
}

impl From<StoreError> for TokenRefusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store refused a token request");
        Self::new(Word::ServerError, "The server failed; try again".to_owned())
    }
}

impl From<Infallible> for TokenRefusal {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl IntoResponse for TokenRefusal {
    fn into_response(self) -> Response {
        let (error, status) = self.word.table();
        let id = self.id.map(|id| id.0.to_string()).unwrap_or_default();
        let body = TokenError { error, error_description: &self.description, correlation_id: &id };
        let mut response = (status, Json(body)).into_response();
        if let Some(wait) = self.wait {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        if self.basic && status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"quell\""));
        }
        response
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(Uuid::nil())))
    }
}
