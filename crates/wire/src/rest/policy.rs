//! Policies: rules that make rules. Our own shape.

use serde::Serialize;

use super::text::Stamp;

/// The policies there are.
#[derive(Clone, Debug, Serialize)]
pub struct Policies {
    /// At most one, today.
    pub value: Vec<Policy>,
}

/// What follows from a determination.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// From which.
    pub on_determination: &'static str,
    /// What follows.
    pub effect: &'static str,
    /// Who wants it so,
    pub requestor: String,
    /// and why.
    pub requestor_comment: String,
    /// Since when.
    pub created: Stamp,
    /// How many files it has blocked,
    pub blocked: u64,
    /// and how many it must not block.
    pub refused: u64,
}
