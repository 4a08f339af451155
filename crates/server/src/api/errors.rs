//! Everything that can be refused: one table of code, status and message.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::InvalidHash;
use wire::rest::BodyError;

use super::limit::Exceeded;
use crate::store::{StoreError, SubmitError};

/// A refusal. The message is for people; clients look at code and status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// Body or its keys are wrong.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Nobody reads such a reason, and each list would repeat it.
    #[error("Invalid input: Comment is longer than {max} bytes")]
    LongComment {
        /// So many bytes it may have.
        max: usize,
    },
    /// What should name a file is no hash.
    #[error(transparent)]
    Hash(#[from] InvalidHash),
    /// A query option makes no sense.
    #[error("{0}")]
    Query(String),
    /// What was sent makes no sense; the text says why.
    #[error("{0}")]
    Unfit(String),
    /// One list comes at a time.
    #[error("Another list is being imported; try again when it is done")]
    Importing,
    /// The same is being done already. Clients compare the text.
    #[error("Action is already in progress")]
    AlreadyOpen,
    /// Acts may touch nothing on that machine.
    #[error("OS Platform is not supported for this action: {0}")]
    NothingGuarded(String),
    /// It can't be undone or cancelled; the text says why.
    #[error("{0}")]
    NotNow(String),
    /// There is no room for a sample or a list.
    #[error("{0}")]
    NoRoom(String),
    /// What was brought approves nothing; the text says why and how to go on.
    #[error("The approval does not count: {0}")]
    NoApproval(String),
    /// The operator key does not change; the text says why.
    #[error("The change of the operator key does not count: {0}")]
    NoKeyChange(String),
    /// No token, or one that does not count.
    #[error("{0}")]
    Unauthorized(String),
    /// The token does not carry what the call needs.
    #[error("Missing application roles. API required roles: {needed}, application roles: {held}.")]
    MissingRoles {
        /// One of these would do.
        needed: String,
        /// What the token carries.
        held: String,
    },
    /// The spared set.
    #[error("{0}")]
    Spared(String),
    /// It lies where a spared file belongs: the text says how to go on. Not of the contract.
    #[error("{0}")]
    Unconfirmed(String),
    /// There is nothing under that address.
    #[error("Nothing is served under this address")]
    UnknownRoute,
    /// There is no such thing. The whole sentence.
    #[error("{0}")]
    NotFound(String),
    /// Another method would do.
    #[error("This address does not take this method")]
    WrongMethod,
    /// The body is longer than any that makes sense.
    #[error("Request body is larger than 1 MiB")]
    TooLarge,
    /// The body does not come.
    #[error("Request body did not come within 10 seconds")]
    TooSlow,
    /// The list does not come: others wait for it to be done.
    #[error("The list came too slowly: 32 KiB a second are asked for, and a minute is lent")]
    ListTooSlow,
    /// The budget is spent.
    #[error("API calls quota exceeded! maximum allowed {max} per {}", clock_face(*span))]
    TooManyRequests {
        /// So many calls
        max: u32,
        /// in such a span.
        span: Duration,
        /// There is room again after that.
        wait: Duration,
    },
    /// The caller reads as many samples as he may.
    #[error(
        "An application may read {max} samples at once, and this one does: try again when one of them has come"
    )]
    TooManyReaders {
        /// So many may be read at once.
        max: usize,
        /// There may be room again after that.
        wait: Duration,
    },
    /// The store could not. What it said is for the log only.
    #[error(
        "The server could not do it and nothing was changed. Try again; its log says more under the target"
    )]
    Store(StoreError),
    /// It was done, and what became of it could not be read.
    #[error(
        "It is done, but can't be shown now: look at it again. The server's log says more under the target"
    )]
    Unshown(StoreError),
    /// A bug.
    #[error("The server failed. Its log says more under the target")]
    Panicked,
    /// It took too long.
    #[error("The server is too busy to answer in time. Try again, and look at what became of an order first")]
    Overdue,
}

impl ApiError {
    /// The contract's code and status.
    pub(super) const fn table(&self) -> (&'static str, StatusCode) {
        match self {
            Self::Body(BodyError::Incorrect) => ("InvalidRequestBody", StatusCode::BAD_REQUEST),
            Self::Body(BodyError::Missing(_)) => ("MissingRequiredParameter", StatusCode::BAD_REQUEST),
            Self::LongComment { .. } | Self::Unfit(_) => ("InvalidInput", StatusCode::BAD_REQUEST),
            Self::Hash(_) => ("InvalidHashValue", StatusCode::BAD_REQUEST),
            Self::Query(_) => ("ODataError", StatusCode::BAD_REQUEST),
            Self::AlreadyOpen => ("ActiveRequestAlreadyExists", StatusCode::BAD_REQUEST),
            Self::NothingGuarded(_) => ("OsPlatformNotSupported", StatusCode::BAD_REQUEST),
            Self::Importing => ("Conflict", StatusCode::CONFLICT),
            Self::NotNow(_) => ("BadRequest", StatusCode::BAD_REQUEST),
            Self::NoApproval(_) => ("ApprovalRefused", StatusCode::BAD_REQUEST),
            Self::NoKeyChange(_) => ("KeyChangeRefused", StatusCode::BAD_REQUEST),
            Self::NoRoom(_) => ("QuotaExceeded", StatusCode::INSUFFICIENT_STORAGE),
            Self::Unauthorized(_) => ("Unauthorized", StatusCode::UNAUTHORIZED),
            Self::MissingRoles { .. } => ("Forbidden", StatusCode::FORBIDDEN),
            Self::Spared(_) => ("DisallowedOperation", StatusCode::FORBIDDEN),
            Self::Unconfirmed(_) => ("ConfirmationRequired", StatusCode::BAD_REQUEST),
            Self::UnknownRoute => ("NotFound", StatusCode::NOT_FOUND),
            Self::NotFound(_) => ("ResourceNotFound", StatusCode::NOT_FOUND),
            Self::WrongMethod => ("MethodNotAllowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::TooLarge => ("RequestBodyTooLarge", StatusCode::PAYLOAD_TOO_LARGE),
            Self::TooSlow | Self::ListTooSlow => ("RequestTimeout", StatusCode::REQUEST_TIMEOUT),
            Self::TooManyRequests { .. } | Self::TooManyReaders { .. } => {
                ("TooManyRequests", StatusCode::TOO_MANY_REQUESTS)
            }
            Self::Store(_) | Self::Unshown(_) | Self::Panicked => {
                ("InternalServerError", StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Overdue => ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// How long to wait before trying again, if that helps.
    pub(super) const fn wait(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { wait, .. } | Self::TooManyReaders { wait, .. } => Some(*wait),
            Self::Overdue => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The refusal to show what was done already: none that says that nothing was changed.
    pub(super) fn after_the_fact(self) -> Self {
        match self {
            Self::Store(cause) => Self::Unshown(cause),
            _ => Self::Panicked,
        }
    }

    /// The message for what `kind` of thing was not found under which name.
    pub(super) fn not_found(kind: &str, name: impl Display) -> Self {
        Self::NotFound(format!("{kind} {name} was not found"))
    }

    /// An order about `file`, on `machine` if on one, was not taken.
    pub(super) fn submit(error: SubmitError, file: impl Display, machine: impl Display) -> Self {
        match error {
            SubmitError::NotBlocked => Self::not_found("Block of file", file),
            SubmitError::UnknownMachine => Self::not_found("Machine", machine),
            SubmitError::UnknownOrder => Self::NotFound("The order was not found".to_owned()),
            SubmitError::NotKnownThere => {
                Self::NotFound(format!("Sha1 {file} was not found in machine {machine}"))
            }
            SubmitError::AlreadyOpen => Self::AlreadyOpen,
            SubmitError::NothingGuarded => Self::NothingGuarded(error.to_string()),
            SubmitError::Spared { .. } => Self::Spared(error.to_string()),
            SubmitError::Unconfirmed { .. } => Self::Unconfirmed(error.to_string()),
            SubmitError::NoRoom(reason) => Self::NoRoom(reason),
            SubmitError::NotUndoable(reason) | SubmitError::NotCancellable(reason) => Self::NotNow(reason),
            SubmitError::Store(error) => Self::Store(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The disk's, where something is to be kept.
impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::FileTooLarge | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoRoom(error.to_string())
            }
            _ => Self::Store(StoreError::Database(error.to_string())),
        }
    }
}

impl From<Exceeded> for ApiError {
    fn from(exceeded: Exceeded) -> Self {
        Self::TooManyRequests { max: exceeded.max, span: exceeded.span, wait: exceeded.wait }
    }
}

/// Rides along in the response; the edge, which knows the call's id, writes the envelope.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.table().1.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// `00:01:00`
fn clock_face(span: Duration) -> String {
    let seconds = span.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_is_told_as_the_contract_does() {
        let error = |seconds| ApiError::TooManyRequests {
            max: 100,
            span: Duration::from_secs(seconds),
            wait: Duration::ZERO,
        };
        assert_eq!(error(60).to_string(), "API calls quota exceeded! maximum allowed 100 per 00:01:00");
        assert_eq!(error(3600).to_string(), "API calls quota exceeded! maximum allowed 100 per 01:00:00");
    }

    #[test]
    fn what_the_store_said_is_not_told_to_callers() {
        let error = ApiError::from(StoreError::Database("SELECT secret".into()));
        assert!(!error.to_string().contains("SELECT"));
    }

    #[test]
    fn what_was_done_is_not_told_as_if_it_were_not() {
        let error = ApiError::from(StoreError::Database("busy".into())).after_the_fact();
        assert!(error.to_string().starts_with("It is done"), "{error}");
    }

    #[test]
    fn a_refused_order_says_what_it_is_about() {
        let told = |error| ApiError::submit(error, "abc", "def").to_string();
        assert_eq!(told(SubmitError::NotKnownThere), "Sha1 abc was not found in machine def");
        assert_eq!(told(SubmitError::UnknownMachine), "Machine def was not found");
        let spared = SubmitError::Spared {
            path: "/usr/bin/bash".into(),
            recorded_by: "package bash".into(),
            machine: "host1".into(),
        };
        let told = told(spared);
        assert!(told.contains("/usr/bin/bash") && told.contains("package bash"), "{told}");
    }
}
