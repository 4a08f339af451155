//! Parsed at the door: what stands in the path and in the body, as the model's types.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use model::act::Terms;
use model::determination::DeterminationType;
use model::{FileId, MachineId, OrderId};
use wire::rest;

use super::errors::ApiError;
use crate::store::Judgement;

/// No threat has a longer name, in bytes.
pub(super) const LONGEST_VALUE: usize = 256;
/// No body that makes sense is longer,
const BODY_LIMIT: usize = 1 << 20;
/// or takes longer to come.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// No reason is longer, in bytes: each list repeats that of each order.
pub(super) const LONGEST_COMMENT: usize = 4096;

/// The whole of a body.
pub(super) async fn read(body: Body) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(BODY_PATIENCE, to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(ApiError::TooLarge),
        Err(_) => Err(ApiError::TooSlow),
    }
}

pub(super) async fn only_parameter<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, ApiError> {
    match Path::<String>::from_request_parts(parts, state).await {
        Ok(Path(text)) => Ok(text),
        // Its escapes make no text.
        Err(_) => Err(ApiError::UnknownRoute),
    }
}

/// The file in the path.
pub(super) struct FileInPath(pub(super) FileId);

impl<S: Send + Sync> FromRequestParts<S> for FileInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(only_parameter(parts, state).await?.parse()?))
    }
}

/// The machine in the path, as it was written: a body that makes no sense is told before a machine that is not
/// there.
pub(super) struct MachineInPath(pub(super) String);

impl MachineInPath {
    /// What has not the form of an id is a machine that is not there; clients probe with such names.
    pub(super) fn id(&self) -> Result<MachineId, ApiError> {
        self.0.parse().map_err(|_| self.unknown())
    }

    pub(super) fn unknown(&self) -> ApiError {
        ApiError::not_found("Machine", &self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MachineInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(only_parameter(parts, state).await?))
    }
}

/// The order in the path, as it was written.
pub(super) struct OrderInPath(String);

impl OrderInPath {
    /// What has not the form of an id is an order that is not there.
    pub(super) fn id(&self, kind: &str) -> Result<OrderId, ApiError> {
        self.0.parse().map_err(|_| self.unknown(kind))
    }

    /// There is no such order, or it is of another kind.
    pub(super) fn unknown(&self, kind: &str) -> ApiError {
        ApiError::not_found(kind, &self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OrderInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(only_parameter(parts, state).await?))
    }
}

/// The body of an action.
pub(super) struct ActionBody(rest::Body);

impl ActionBody {
    /// Why it is wanted.
    pub(super) fn comment(&self) -> Result<String, ApiError> {
        let comment = self.0.required("Comment")?;
        if comment.len() > LONGEST_COMMENT {
            return Err(ApiError::LongComment { max: LONGEST_COMMENT });
        }
        Ok(comment.to_owned())
    }

    /// Whether a file may be meant that lies where a spared one belongs: our own addition to the contract.
    pub(super) fn confirms(&self) -> Result<bool, ApiError> {
        Ok(self.0.flag("Confirm")?)
    }

    /// On what terms copies come back.
    pub(super) fn terms(&self) -> Result<Terms, ApiError> {
        Ok(Terms { beside: self.0.flag("Beside")?, keep_privileges: self.0.flag("KeepPrivileges")? })
    }

    /// What a file is said to be.
    pub(super) fn judgement(&self) -> Result<Judgement, ApiError> {
        let word = self.0.required("determinationType")?;
        let kind = DeterminationType::from_word(word).ok_or_else(|| {
            let words = DeterminationType::ALL.map(DeterminationType::word).join(", ");
            ApiError::Unfit(format!("{word} is no determinationType; there are {words}"))
        })?;
        let value = self.0.optional("determinationValue")?.map(str::to_owned);
        if value.as_ref().is_some_and(|value| value.len() > LONGEST_VALUE) {
            return Err(ApiError::Unfit(format!("determinationValue is longer than {LONGEST_VALUE} bytes")));
        }
        Ok(Judgement { kind, value })
    }

    /// A signed approval, as a text.
    pub(super) fn approval(&self) -> Result<&str, ApiError> {
        Ok(self.0.required("Approval")?)
    }

    /// A signed change of the operator key, as a text.
    pub(super) fn change(&self) -> Result<&str, ApiError> {
        Ok(self.0.required("Change")?)
    }

    /// The file, under the contract's name; a SHA-256 is taken too.
    pub(super) fn file(&self) -> Result<FileId, ApiError> {
        Ok(self.0.required("Sha1")?.trim().parse()?)
    }

    /// The file, under either of its names.
    pub(super) fn file_of_either_name(&self) -> Result<FileId, ApiError> {
        match self.0.required("Sha256") {
            Ok(name) => Ok(name.trim().parse()?),
            Err(_) => self.file(),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for ActionBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = read(request.into_body()).await?;
        Ok(Self(rest::Body::parse(&bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    /// A body that is announced and does not come.
    struct Never;

    impl hyper::body::Body for Never {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_must_come_in_time() {
        assert_eq!(read(Body::new(Never)).await, Err(ApiError::TooSlow));
    }

    #[test]
    fn a_reason_is_no_book() {
        let body = |length: usize| {
            let text = serde_json::json!({ "Comment": "x".repeat(length) }).to_string();
            ActionBody(rest::Body::parse(text.as_bytes()).unwrap()).comment()
        };
        assert_eq!(body(LONGEST_COMMENT).map(|comment| comment.len()), Ok(LONGEST_COMMENT));
        let refused = body(LONGEST_COMMENT + 1).unwrap_err();
        assert_eq!(refused.table().0, "InvalidInput");
    }

    #[tokio::test]
    async fn a_body_must_make_sense_by_its_length() {
        assert!(read(Body::from(vec![0; BODY_LIMIT])).await.is_ok());
        assert_eq!(read(Body::from(vec![0; BODY_LIMIT + 1])).await, Err(ApiError::TooLarge));
    }
}
