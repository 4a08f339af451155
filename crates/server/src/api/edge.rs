//! What every request meets first and every answer last: one spelling, time and panic limits, the envelope of
//! refusals, one log line.

use std::any::Any;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use uuid::Uuid;
use wire::rest::Envelope;

use super::caller::Peer;
use super::errors::ApiError;
use super::{lists, path, router};
use crate::app::App;
use crate::tokens::Identity;

/// No call takes longer, body included, but one that brings a list.
const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id under which a call stands in the log, and which its refusal names as `target`.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestId(pub(super) Uuid);

/// The whole API as one function.
#[derive(Clone)]
pub(crate) struct Edge {
    router: Router,
}

impl Edge {
    pub(crate) fn new(app: &Arc<App>) -> Self {
        Self { router: router::router(app) }
    }

    /// Answers a request that came from there.
    pub(crate) async fn answer(&self, mut request: Request<Body>, from: IpAddr) -> Response {
        let begun = Instant::now();
        let id = RequestId(Uuid::new_v4());
        if let Some(uri) = path::plain(request.uri()) {
            *request.uri_mut() = uri;
        }
        request.extensions_mut().insert(id);
        request.extensions_mut().insert(Peer(from));
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());

        let routed = contained(self.router.clone().oneshot(request));
        let response = match tokio::time::timeout(patience(&method, &path), routed).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(panic)) => {
                tracing::error!(request = %id.0, panic = panic_text(&*panic), "{method} {path} panicked");
                ApiError::Panicked.into_response()
            }
            Err(_) => ApiError::Overdue.into_response(),
        };
        let response = finish(response, id);

        let client = response.extensions().get::<Arc<Identity>>().map(|identity| identity.client);
        let (status, micros) = (response.status().as_u16(), begun.elapsed().as_micros() as u64);
        tracing::info!(
            request = %id.0, %method, path, status, micros, %from, client = client.map(tracing::field::display),
            "{method} {path} answered {status}"
        );
        response
    }
}

fn patience(method: &Method, path: &str) -> Duration {
    let brings_list = *method == Method::PUT && path.starts_with("/api/quell/lists/");
    if brings_list { lists::import::PATIENCE } else { PATIENCE }
}

#[cfg(test)]
impl From<Router> for Edge {
    fn from(router: Router) -> Self {
        Self { router }
    }
}

/// A panic of one handler is that handler's end only.
async fn contained<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    // Handlers share with others only the store, whose writer contains its own panics, and locks that are read
    // on when poisoned; so nothing half done is left behind.
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(panic)),
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}

/// Gives a refusal its envelope, and every answer the headers that keep it where it belongs.
fn finish(mut response: Response, id: RequestId) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        if let ApiError::Store(cause) | ApiError::Unshown(cause) = &error {
            tracing::error!(request = %id.0, %cause, "the store refused");
        }
        response = envelope(response, &error, id);
    }
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(id.0.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

fn envelope(mut response: Response, error: &ApiError, id: RequestId) -> Response {
    let (code, status) = error.table();
    let target = id.0.to_string();
    let body = Envelope::new(code, &error.to_string(), &target).to_json();
    *response.body_mut() = Body::from(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // That of the body which this one replaces.
    headers.remove(CONTENT_LENGTH);
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(wait) = error.wait() {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    response
}

/// Rounded up: who comes back then finds room.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests;
