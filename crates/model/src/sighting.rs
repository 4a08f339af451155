//! A copy was seen.

use std::path::PathBuf;
use std::time::Duration;

use crate::facts::Facts;
use crate::origin::Origin;
use crate::{Digests, RuleId};

/// How a copy was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// It lies there.
    AtRest,
    /// It was executed, or is running.
    Running,
    /// Somebody tried to execute it and was refused by this rule.
    Denied(RuleId),
    /// It ran for a moment before the late verdict stopped it.
    DeniedLate(RuleId),
    /// It lies there no more.
    Gone,
    /// It lies there, and where it comes from was found out. Says nothing of whether it runs.
    Traced,
}

/// A copy was seen on the machine that reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Which file.
    pub digests: Digests,
    /// What its bytes say.
    pub facts: Facts,
    /// Where: the path in the machine's own mount namespace.
    pub path: PathBuf,
    /// How.
    pub seen: Seen,
    /// The package that owns its path; none when there is none, or nobody has looked.
    pub origin: Option<Origin>,
    /// How long ago, by the machine's monotonic clock: machines' wall clocks are not trusted.
    pub age: Duration,
}
