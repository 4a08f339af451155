//! The rules in force on this machine, found by any of a file's digests.

use std::collections::{BTreeMap, BTreeSet};

use model::rule::{Identifier, Rule};
use model::{Kinds, Names, RuleId};
use sha2::{Digest, Sha256};
use wire::link::{frame, v1};

/// Rules by id, with an index by digest.
///
/// Whether a rule still holds is a question of the moment, so it is asked when a verdict is made and not here:
/// a rule whose time is over matches like any other.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: BTreeMap<RuleId, Rule>,
    /// The start of the digest that a rule names, and the rule. Whoever finds one compares the whole digest.
    by_digest: BTreeSet<(u64, RuleId)>,
}

impl RuleSet {
    /// The set of these rules; of two with the same id, the later.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let rules: BTreeMap<_, _> = rules.into_iter().map(|rule| (rule.id, rule)).collect();
        let by_digest = rules.values().filter_map(|rule| Some((start(&rule.identifier)?, rule.id))).collect();
        Self { rules, by_digest }
    }

    /// Adds a rule, in the place of one with its id.
    pub fn begin(&mut self, rule: Rule) {
        self.end(rule.id);
        self.by_digest.extend(start(&rule.identifier).map(|start| (start, rule.id)));
        self.rules.insert(rule.id, rule);
    }

    /// Takes a rule out; one that is not there is no error.
    pub fn end(&mut self, id: RuleId) {
        if let Some(rule) = self.rules.remove(&id)
            && let Some(start) = start(&rule.identifier)
        {
            self.by_digest.remove(&(start, id));
        }
    }

    /// All rules, by ascending id.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The rule of that id.
    pub fn get(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(&id)
    }

    /// Which digests besides SHA-256 its rules name.
    pub fn kinds(&self) -> Kinds {
        self.rules.values().fold(Kinds::NONE, |kinds, rule| kinds.union(rule.identifier.kinds()))
    }

    /// The rules that name a file by one of these names. Nothing is allocated: the guard asks this while the
    /// kernel waits.
    pub fn matching<'s>(&'s self, names: &Names) -> impl Iterator<Item = Rule> + use<'s> {
        let identifiers = [
            Some(Identifier::Sha256(names.sha256)),
            names.sha1.map(Identifier::Sha1),
            names.md5.map(Identifier::Md5),
        ];
        identifiers.into_iter().flatten().flat_map(|identifier| self.named(identifier))
    }

    fn named(&self, identifier: Identifier) -> impl Iterator<Item = Rule> {
        let start = start(&identifier).unwrap_or_default();
        self.by_digest
            .range((start, RuleId(0))..=(start, RuleId(u64::MAX)))
            .filter_map(|(_, id)| self.rules.get(id))
            .filter(move |rule| rule.identifier == identifier)
            .copied()
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// Equal for equal sets, whatever the order in which they came about: SHA-256 over the rules, given by ascending id,
/// as they look on the link.
pub fn fingerprint(rules: impl IntoIterator<Item = Rule>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for rule in rules {
        let body = frame::body(&v1::Rule::from(&rule));
        hash.update((body.len() as u64).to_le_bytes());
        hash.update(body);
    }
    hash.finalize().into()
}

/// The index key of an identifier; none for one that no digest can match.
fn start(identifier: &Identifier) -> Option<u64> {
    let digest: &[u8] = match identifier {
        Identifier::Sha256(sha256) => &sha256.0,
        Identifier::Sha1(sha1) => &sha1.0,
        Identifier::Md5(md5) => &md5.0,
        Identifier::Signer(_) => return None,
    };
    digest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::rule::{Effect, Scope};
    use model::{Digests, Md5, Sha1};
    use proptest::prelude::*;

    fn rule(id: u64, identifier: Identifier) -> Rule {
        Rule { id: RuleId(id), effect: Effect::Deny, identifier, scope: Scope::Organization, until: None }
    }

    fn digests(byte: u8) -> Digests {
        Digests { sha256: model::Sha256([byte; 32]), sha1: Sha1([byte; 20]), md5: Md5([byte; 16]) }
    }

    fn ids(set: &RuleSet, digests: &Digests) -> Vec<u64> {
        let mut ids: Vec<_> = set.matching(&digests.into()).map(|rule| rule.id.0).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn a_file_is_found_by_each_of_its_digests() {
        let file = digests(7);
        let set = RuleSet::new([
            rule(1, Identifier::Sha256(file.sha256)),
            rule(2, Identifier::Sha1(file.sha1)),
            rule(3, Identifier::Md5(file.md5)),
            rule(4, Identifier::Signer(file.sha1)),
            rule(5, Identifier::Md5(Md5([8; 16]))),
        ]);
        assert_eq!(ids(&set, &file), [1, 2, 3]);
        assert_eq!(ids(&set, &digests(8)), [5]);
        assert_eq!(ids(&set, &digests(9)), [0; 0]);
    }

    proptest! {
        #[test]
        fn the_index_says_what_a_look_at_each_rule_says(
            changes in prop::collection::vec((0_u64..12, 0_u8..4, 0_u8..4, any::<bool>()), 0..60),
        ) {
            let mut set = RuleSet::default();
            for (id, kind, byte, begins) in changes {
                let file = digests(byte);
                let identifier = match kind {
                    0 => Identifier::Sha256(file.sha256),
                    1 => Identifier::Sha1(file.sha1),
                    2 => Identifier::Md5(file.md5),
                    _ => Identifier::Signer(file.sha1),
                };
                if begins { set.begin(rule(id, identifier)) } else { set.end(RuleId(id)) }
            }
            for byte in 0..5 {
                let file = digests(byte);
                let looked: Vec<_> =
                    set.rules().filter(|rule| rule.identifier.matches(&file.into())).map(|rule| rule.id.0).collect();
                prop_assert_eq!(ids(&set, &file), looked);
            }
            let again = RuleSet::new(set.rules().copied().collect::<Vec<_>>().into_iter().rev());
            prop_assert_eq!(fingerprint(again.rules().copied()), fingerprint(set.rules().copied()));
        }
    }

    #[test]
    fn the_fingerprint_tells_sets_apart() {
        let mut set = RuleSet::new([rule(1, Identifier::Sha1(Sha1([1; 20])))]);
        let one = fingerprint(set.rules().copied());
        set.begin(rule(2, Identifier::Sha1(Sha1([1; 20]))));
        assert_ne!(fingerprint(set.rules().copied()), one);
        set.end(RuleId(2));
        assert_eq!(fingerprint(set.rules().copied()), one);
        assert_ne!(fingerprint([]), one);
    }
}
