//! What may never be denied or quarantined.

use std::path::PathBuf;

use crate::Digests;

/// A copy without which the machine could not be repaired: init, the loader, shells, ssh, the package
/// manager, Quell itself, and what these are linked with. Spared only while its bytes are the recorded ones,
/// so that a trojaned one can be denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spared {
    /// Where it lies.
    pub path: PathBuf,
    /// What it must be.
    pub digests: Digests,
    /// Whose record says so.
    pub recorded_by: Record,
}

/// Who vouches for a spared copy's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The package database: package name.
    Package(String),
    /// The machine's own record, made at enrolment.
    Baseline,
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Package(name) => write!(f, "package {name}"),
            Self::Baseline => f.write_str("the enrolment baseline"),
        }
    }
}
