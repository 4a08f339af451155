//! Files: `/api/files`, `/testwdatppreview/files`, and our `/api/quell/files`.

pub(super) mod block;
pub(super) mod copies;
pub(super) mod determination;
pub(super) mod machines;
pub(super) mod sample;
pub(super) mod show;
pub(super) mod unblock;

use axum::Json;
use axum::http::header::HeaderMap;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use wire::rest::{ActionType, FileAction, Stamp};

use crate::store::Block;

/// A block, or its end, in the contract's shape.
pub(super) fn action(block: Block) -> FileAction {
    let action_type = if block.cancellation.is_some() { ActionType::UnBlock } else { ActionType::Block };
    let (cancelled, by, why) = match block.cancellation {
        Some(end) => (Some(Stamp(end.at)), Some(end.by), Some(end.comment)),
        None => (None, None, None),
    };
    FileAction {
        file: block.file,
        action_type,
        created: Stamp(block.created),
        requestor: block.requestor,
        comment: block.comment,
        cancelled,
        cancellation_requestor: by,
        cancellation_comment: why,
        updated: Stamp(block.updated),
    }
}

/// The contract's pages disagree: 200 without a body in their prose, 201 with one in their examples. Every
/// client takes the latter; the former is for who asks with `Prefer: return=minimal`.
fn created(block: Block, headers: &HeaderMap) -> Response {
    if !wants_minimal(headers) {
        return (StatusCode::CREATED, Json(action(block))).into_response();
    }
    // No content type: some clients parse whatever is labelled JSON, and fail on nothing.
    let applied = (HeaderName::from_static("preference-applied"), HeaderValue::from_static("return=minimal"));
    (StatusCode::OK, [applied]).into_response()
}

fn wants_minimal(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    preferences
        .flat_map(|text| text.split([',', ';']))
        .any(|preference| preference.trim().eq_ignore_ascii_case("return=minimal"))
}
