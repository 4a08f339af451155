//! Lists of digests. Our own shape.

use serde::Serialize;

use super::text::Stamp;

/// A list of digests that was imported.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    /// Its name.
    pub name: String,
    /// What a file on it is judged to be,
    pub determination_type: &'static str,
    /// and the threat's name.
    pub determination_value: Option<String>,
    /// How many different digests it holds,
    pub entries: u64,
    /// of each kind.
    pub sha256: u64,
    /// Those of files known by SHA-1 only.
    pub sha1: u64,
    /// Those of files known by MD5 only.
    pub md5: u64,
    /// In which form it came.
    pub format: String,
    /// SHA-256 of what was imported.
    pub version: String,
    /// Length in bytes of what was imported.
    pub bytes: u64,
    /// How many entries were not meant as indicators by who made it,
    pub skipped: u64,
    /// and how many could not be read.
    pub refused: u64,
    /// When it was imported,
    pub imported: Stamp,
    /// by whom,
    pub requestor: String,
    /// and why.
    pub requestor_comment: String,
    /// Whether its digests can be looked up; if not, it has to be imported again.
    pub usable: bool,
    /// The first of the entries that could not be read; told once, by the import.
    pub problems: Vec<ListProblem>,
}

/// An entry that could not be read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListProblem {
    /// On which line it ends, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub why: String,
}
