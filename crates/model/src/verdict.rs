//! Permit or deny, because.

use crate::rule::{Effect, Rule};
use crate::{RuleId, Time};

/// The answer to "may this file run here?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// Whether it may.
    pub permits: bool,
    /// Why.
    pub because: Because,
}

/// The reason of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// No rule in force matches.
    NoRule,
    /// This rule matches and is the strongest that does.
    Rule(RuleId, Effect),
    /// A rule would deny it, but the copy is one the machine can't do without.
    Spared(RuleId),
}

/// Judges a file by the strongest of the rules that match it. `spared` is asked only when a rule denies.
pub fn judge(matching: impl IntoIterator<Item = Rule>, now: Time, spared: impl FnOnce() -> bool) -> Verdict {
    let strongest = matching.into_iter().filter(|rule| rule.holds_at(now)).max_by_key(crate::rule::rank);
    match strongest {
        None => Verdict { permits: true, because: Because::NoRule },
        Some(rule) if !rule.effect.denies() => {
            Verdict { permits: true, because: Because::Rule(rule.id, rule.effect) }
        }
        Some(rule) if spared() => Verdict { permits: true, because: Because::Spared(rule.id) },
        Some(rule) => Verdict { permits: false, because: Because::Rule(rule.id, rule.effect) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Identifier, Scope};
    use crate::{Md5, Sha256};

    const NOW: Time = Time::from_seconds(100);

    fn deny(id: u64) -> Rule {
        Rule {
            id: RuleId(id),
            effect: Effect::Deny,
            identifier: Identifier::Sha256(Sha256([7; 32])),
            scope: Scope::Organization,
            until: None,
        }
    }

    #[test]
    fn without_a_rule_everything_runs() {
        let verdict = judge([], NOW, || unreachable!("nothing is denied"));
        assert_eq!(verdict, Verdict { permits: true, because: Because::NoRule });
    }

    #[test]
    fn an_ended_rule_does_not_count() {
        let ended = Rule { until: Some(NOW), ..deny(1) };
        assert!(judge([ended], NOW, || false).permits);
        assert!(!judge([ended, deny(2)], NOW, || false).permits);
    }

    #[test]
    fn a_spared_copy_runs_and_the_rule_is_named() {
        assert_eq!(
            judge([deny(4)], NOW, || true),
            Verdict { permits: true, because: Because::Spared(RuleId(4)) }
        );
    }

    #[test]
    fn a_longer_hash_allows_what_a_shorter_one_denies() {
        let short = Rule { identifier: Identifier::Md5(Md5([1; 16])), ..deny(9) };
        let long = Rule { effect: Effect::Allow, ..deny(1) };
        assert!(judge([short, long], NOW, || false).permits);
    }
}
