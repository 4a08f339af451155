//! Lists of digests: `/api/quell/lists`.

pub(super) mod import;
pub(super) mod list;
pub(super) mod remove;
pub(super) mod show;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use model::OrganizationId;
use wire::rest::{List, ListProblem, Stamp};

use super::door::only_parameter;
use super::errors::ApiError;
use crate::app::App;
use crate::store::KnownList;

/// A list's name in the path.
pub(super) struct ListInPath(String);

impl ListInPath {
    fn unknown(&self) -> ApiError {
        ApiError::not_found("List", &self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ListInPath {
    type Rejection = ApiError;

    /// Capitals were made small with the rest of the path, so that a list has one name.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let name = only_parameter(parts, state).await?;
        let ordinary =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(ordinary) {
            let rule = "A list's name has at most 64 letters, digits, dots, hyphens and underscores";
            return Err(ApiError::Unfit(rule.to_owned()));
        }
        Ok(Self(name))
    }
}

fn shape(app: &App, organization: OrganizationId, list: KnownList, problems: Vec<ListProblem>) -> List {
    let [sha256, sha1, md5] = list.counts;
    List {
        usable: app.lists.is_usable(organization, &list),
        name: list.name,
        determination_type: list.kind.word(),
        determination_value: list.value,
        entries: sha256 + sha1 + md5,
        sha256,
        sha1,
        md5,
        format: list.format,
        version: model::Sha256(list.version).to_string(),
        bytes: list.bytes,
        skipped: list.skipped,
        refused: list.refused,
        imported: Stamp(list.imported),
        requestor: list.requestor,
        requestor_comment: list.comment,
        problems,
    }
}
