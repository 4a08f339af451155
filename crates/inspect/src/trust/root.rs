//! A trusted root with what it is trusted for.

use model::Time;
use model::inspection::Flaw;

use super::purpose::Purpose;
use crate::signature::cms::certificate::Certificate;

/// A trusted root with what it is trusted for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root<'a> {
    pub(crate) certificate: Certificate<'a>,
    pub(crate) conditions: Conditions,
}

/// What a root is trusted for, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// For signatures over code.
    pub(crate) code: Limits,
    /// For time stamps.
    pub(crate) stamp: Limits,
}

/// Until when a root is trusted for a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// What was signed or stamped from then on is not trusted.
    pub(crate) disallowed_from: Time,
    /// Signers' certificates that begin from then on are not trusted.
    pub(crate) not_before: Time,
}

impl Limits {
    /// Trusted for good.
    pub(crate) const ALWAYS: Self =
        Self { disallowed_from: Time::from_ticks(i64::MAX), not_before: Time::from_ticks(i64::MAX) };
    /// Not trusted at all.
    pub(crate) const NEVER: Self =
        Self { disallowed_from: Time::from_ticks(i64::MIN), not_before: Time::from_ticks(i64::MIN) };

    fn and(self, other: Self) -> Self {
        Self {
            disallowed_from: self.disallowed_from.min(other.disallowed_from),
            not_before: self.not_before.min(other.not_before),
        }
    }
}

impl Conditions {
    /// Trusted for everything, for good.
    pub(crate) const ALL: Self = Self { code: Limits::ALWAYS, stamp: Limits::ALWAYS };

    /// What both allow.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { code: self.code.and(other.code), stamp: self.stamp.and(other.stamp) }
    }
}

impl Root<'_> {
    /// What is wrong with this root for what `leaf` did at this time.
    pub(crate) fn flaw(&self, purpose: Purpose, leaf: &Certificate<'_>, at: Time) -> Option<Flaw> {
        let limits = match purpose {
            Purpose::Code | Purpose::RootList => self.conditions.code,
            Purpose::Stamp => self.conditions.stamp,
        };
        if limits == Limits::NEVER {
            return Some(Flaw::WrongPurpose);
        }
        (at >= limits.disallowed_from || leaf.not_before >= limits.not_before).then_some(Flaw::Disallowed)
    }
}
