//! Which rules go into force, and which wait: said of rules and of what runs, and of nothing else.
//!
//! It is about content: a file is newly denied when the rules before let it run and those to come do not, by whatever
//! name, rule, log or whole set. Clocks don't count: a rule that ends denies as one that does not, and one that permits
//! for a time permits nothing, or whoever sets the time that rules end by could deny later what was let pass now.

use model::hold::Crowd;
use model::rule::{Effect, Rule, rank};
use model::{Names, RuleId, Sha256};

use crate::ruleset::RuleSet;

/// What is said of new rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// Rules that wait, each with those it would deny.
    pub(super) held: Vec<(Rule, Vec<Crowd>)>,
    /// Files that run widely and are denied from now on.
    pub(super) denied: Vec<Sha256>,
}

/// The rule by which `new` denies a file that `old` does not, or by which it stops what was only denied.
pub(super) fn newly_denies(old: &RuleSet, new: &RuleSet, without: &[RuleId], names: &Names) -> Option<Rule> {
    let rule = denies(new, without, names)?;
    let is_news = match denies(old, &[], names) {
        None => true,
        Some(before) => rule.effect == Effect::DenyAndStop && before.effect != Effect::DenyAndStop,
    };
    is_news.then_some(rule)
}

fn denies(rules: &RuleSet, without: &[RuleId], names: &Names) -> Option<Rule> {
    let strongest = rules
        .matching(names)
        .filter(|rule| !without.contains(&rule.id))
        .filter(|rule| rule.effect.denies() || rule.until.is_none())
        .max_by_key(rank)?;
    strongest.effect.denies().then_some(strongest)
}

/// Decides about files that run widely. `room` of them may be denied, besides those that `passed` says were denied within
/// the hour already.
pub(super) fn decide(
    old: &RuleSet,
    new: &RuleSet,
    mut widely: Vec<(Names, Crowd)>,
    passed: impl Fn(&Sha256) -> bool,
    mut room: usize,
) -> Decision {
    // The least harm goes first, and in the same order each time.
    widely.sort_by_key(|(names, crowd)| (crowd.users, crowd.processes, crowd.seconds, names.sha256.0));
    let mut decision = Decision::default();
    for (names, crowd) in widely {
        let mut without: Vec<RuleId> = decision.held.iter().map(|(rule, _)| rule.id).collect();
        if let Some((_, crowds)) = decision.held.iter_mut().find(|(rule, _)| rule.identifier.matches(&names))
        {
            crowds.push(crowd.clone());
        }
        // One rule after the other: what a held one no longer denies, the next may.
        while let Some(rule) = newly_denies(old, new, &without, &names) {
            if passed(&names.sha256) {
                break;
            }
            if room > 0 {
                room -= 1;
                decision.denied.push(names.sha256);
                break;
            }
            without.push(rule.id);
            decision.held.push((rule, vec![crowd.clone()]));
        }
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::rule::{Identifier, Scope};
    use model::{Md5, Sha1, Time};

    fn names(byte: u8) -> Names {
        Names { sha256: Sha256([byte; 32]), sha1: Some(Sha1([byte; 20])), md5: Some(Md5([byte; 16])) }
    }

    fn crowd(byte: u8) -> (Names, Crowd) {
        let names = names(byte);
        let crowd = Crowd {
            sha256: names.sha256,
            path: "/opt/x".into(),
            processes: byte.into(),
            users: 1,
            seconds: 0,
        };
        (names, crowd)
    }

    fn rule(id: u64, effect: Effect, identifier: Identifier) -> Rule {
        Rule { id: RuleId(id), effect, identifier, scope: Scope::Organization, until: None }
    }

    fn deny(id: u64, byte: u8) -> Rule {
        rule(id, Effect::Deny, Identifier::Sha256(Sha256([byte; 32])))
    }

    fn set(rules: &[Rule]) -> RuleSet {
        RuleSet::new(rules.iter().copied()).unwrap()
    }

    /// The ids of held rules, and how many files were let be denied.
    fn held(old: &[Rule], new: &[Rule], running: &[u8], room: usize) -> (Vec<u64>, usize) {
        let widely = running.iter().map(|byte| crowd(*byte)).collect();
        let decision = decide(&set(old), &set(new), widely, |_| false, room);
        (decision.held.iter().map(|(rule, _)| rule.id.0).collect(), decision.denied.len())
    }

    #[test]
    fn as_many_as_there_is_room_for_and_no_more() {
        let new: Vec<_> = (1..=5).map(|byte| deny(byte.into(), byte)).collect();
        assert_eq!(held(&[], &new, &[1, 2, 3, 4, 5], 3), (vec![4, 5], 3));
        assert_eq!(held(&[], &new, &[1, 2, 3, 4, 5], 0), (vec![1, 2, 3, 4, 5], 0));
        assert_eq!(held(&[], &new, &[], 0), (vec![], 0), "nobody runs them");
        assert_eq!(held(&new, &new, &[1, 2, 3], 0), (vec![], 0), "they were denied before");
    }

    #[test]
    fn no_other_name_or_effect_gets_past() {
        let (sha1, md5) = (Identifier::Sha1(Sha1([1; 20])), Identifier::Md5(Md5([1; 16])));
        let by = |id, identifier| rule(id, Effect::Deny, identifier);
        assert_eq!(held(&[], &[by(1, sha1), by(2, md5), deny(3, 1)], &[1], 0), (vec![3, 1, 2], 0));
        assert_eq!(held(&[], &[rule(1, Effect::Warn, sha1)], &[1], 0), (vec![1], 0));
        // What was denied is to be stopped.
        let stop = rule(2, Effect::DenyAndStop, sha1);
        assert_eq!(held(&[by(1, sha1)], &[by(1, sha1), stop], &[1], 0), (vec![2], 0));
        assert_eq!(held(&[stop], &[by(1, sha1)], &[1], 0), (vec![], 0));
        // One file by three names takes one place.
        assert_eq!(held(&[], &[by(1, sha1), by(2, md5), deny(3, 1)], &[1], 1), (vec![], 1));
    }

    #[test]
    fn what_a_stronger_rule_permits_is_weighed_when_that_one_goes() {
        let allow = rule(1, Effect::Allow, Identifier::Sha256(Sha256([1; 32])));
        let deny = rule(2, Effect::Deny, Identifier::Sha1(Sha1([1; 20])));
        assert_eq!(held(&[], &[allow, deny], &[1], 0), (vec![], 0));
        assert_eq!(held(&[allow, deny], &[deny], &[1], 0), (vec![2], 0));
    }

    #[test]
    fn clocks_change_nothing() {
        let long_ago = Some(Time::from_ticks(-1));
        let sha256 = Identifier::Sha256(Sha256([1; 32]));
        let soon_over = Rule { until: long_ago, ..rule(1, Effect::Allow, sha256) };
        let over = Rule { until: long_ago, ..deny(3, 1) };
        let by_sha1 = rule(2, Effect::Deny, Identifier::Sha1(Sha1([1; 20])));
        assert_eq!(held(&[], &[soon_over, by_sha1], &[1], 0), (vec![2], 0));
        assert_eq!(held(&[], &[over], &[1], 0), (vec![3], 0));
    }

    #[test]
    fn a_rule_that_waits_says_all_whom_it_would_deny() {
        // Two files with one SHA-1.
        let mut twin = crowd(9);
        twin.0.sha1 = Some(Sha1([1; 20]));
        let new = set(&[rule(1, Effect::Deny, Identifier::Sha1(Sha1([1; 20])))]);
        let decision = decide(&RuleSet::default(), &new, vec![crowd(1), twin], |_| false, 0);
        assert_eq!(decision.held.len(), 1);
        assert_eq!(decision.held[0].1.len(), 2);
    }

    #[test]
    fn what_was_counted_within_the_hour_is_not_counted_again() {
        let new = set(&[deny(1, 1), deny(2, 2)]);
        let passed = |sha256: &Sha256| *sha256 == Sha256([1; 32]);
        let decision = decide(&RuleSet::default(), &new, vec![crowd(1), crowd(2)], passed, 0);
        assert_eq!(decision.denied, []);
        assert_eq!(decision.held.iter().map(|(rule, _)| rule.id.0).collect::<Vec<_>>(), [2]);
    }
}
