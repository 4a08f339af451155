//! The store's answers as messages of the link.

use model::rule::Rule;
use wire::link::v1;

use crate::store::RuleDelta;

/// Rules in one message, of the at most some 60 bytes that each takes: far from the longest frame there may be, and
/// from the memory that a machine should need to read one.
const PART: usize = 8192;

/// Rules for a machine, in as many messages as they take: each is made when the one before was sent.
pub(super) fn rules(delta: &RuleDelta) -> Box<dyn Iterator<Item = v1::Rules> + Send + '_> {
    match delta {
        RuleDelta::Delta { epoch, from, to, entries, chain } => Box::new(std::iter::once(v1::Rules {
            whole: false,
            epoch: epoch.0,
            from: from.0,
            to: to.0,
            entries: entries.iter().map(Into::into).collect(),
            chain: chain.to_vec(),
            ..Default::default()
        })),
        RuleDelta::Whole { epoch, to, rules, chain } => {
            // A set without rules is a part, too.
            let count = rules.len().div_ceil(PART).max(1);
            let part = move |part: usize| v1::Rules {
                whole: true,
                epoch: epoch.0,
                to: to.0,
                rules: part_of(rules, part).iter().map(Into::into).collect(),
                chain: chain.to_vec(),
                part: part as u32,
                more: part + 1 < count,
                ..Default::default()
            };
            Box::new((0..count).map(part))
        }
    }
}

fn part_of(rules: &[Rule], part: usize) -> &[Rule] {
    rules.chunks(PART).nth(part).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::rule::{Effect, Identifier, Scope};
    use model::{Epoch, Generation, Md5, RuleId};

    #[test]
    fn a_set_of_any_size_is_told_in_parts() {
        for count in [0, 1, PART, PART + 1, 3 * PART] {
            let rule = |id| Rule {
                id: RuleId(id),
                effect: Effect::Deny,
                identifier: Identifier::Md5(Md5([1; 16])),
                scope: Scope::Organization,
                until: None,
            };
            let all: Vec<_> = (0..count as u64).map(rule).collect();
            let (epoch, to) = (Epoch(3), Generation(9));
            let delta = RuleDelta::Whole { epoch, to, rules: all.clone(), chain: [7; 32] };
            let parts: Vec<_> = rules(&delta).collect();
            assert_eq!(parts.len(), count.div_ceil(PART).max(1));
            for (number, part) in parts.iter().enumerate() {
                assert!(part.whole && part.part as usize == number && part.to == 9);
                assert_eq!(part.more, number + 1 < parts.len());
            }
            let told = parts.iter().flat_map(|part| &part.rules);
            assert!(told.map(|rule| rule.id).eq(all.iter().map(|rule| rule.id.0)));
        }
    }
}
