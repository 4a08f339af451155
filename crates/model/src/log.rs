//! The organization's ordered list of changes to its rules.

use crate::rule::Rule;
use crate::{Epoch, Generation, RuleId};

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Which log.
    pub epoch: Epoch,
    /// How far in it.
    pub generation: Generation,
}

/// One change of somebody's effective rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A rule begins.
    Begin(Rule),
    /// A rule ends: withdrawn, replaced, or expired.
    End(RuleId),
}

/// One entry of the log. Generations are gapless; `chain` binds each entry to all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub generation: Generation,
    /// What it changes.
    pub change: Change,
    /// SHA-256 over the previous entry's chain value and this entry's encoding.
    pub chain: [u8; 32],
}
