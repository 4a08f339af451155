//! Who may pass: token, then role, then budget.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::caller::identify;
use super::errors::ApiError;
use super::limit::Budget;
use super::permission::Need;
use crate::app::App;

/// What stands before a route.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) app: Arc<App>,
    pub(super) budget: Budget,
    pub(super) need: Need,
}

/// Lets a request through to its handler, with its caller's identity; leaves it on the answer for the log.
pub(super) async fn pass(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Gate { app, budget, need } = gate;
    let identity = identify(&app, request.headers()).await?;
    need.check(&identity)?;
    app.limits.pay(identity.client, identity.organization, budget, app.clock.now())?;
    request.extensions_mut().insert(Arc::clone(&identity));
    let mut response = next.run(request).await;
    response.extensions_mut().insert(identity);
    Ok(response)
}

#[cfg(test)]
mod tests;
