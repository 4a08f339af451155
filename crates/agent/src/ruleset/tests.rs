use super::*;
use model::rule::{Effect, Scope};
use model::{Digests, GroupId, MachineId, Md5, Sha1, Sha256, Time};
use proptest::prelude::*;
use std::io::Write;
use std::os::fd::AsFd;

fn rule(id: u64, identifier: Identifier) -> Rule {
    Rule { id: RuleId(id), effect: Effect::Deny, identifier, scope: Scope::Organization, until: None }
}

fn digests(byte: u8) -> Digests {
    Digests { sha256: Sha256([byte; 32]), sha1: Sha1([byte; 20]), md5: Md5([byte; 16]) }
}

fn ids(set: &RuleSet, names: &Names) -> Vec<u64> {
    let mut ids: Vec<_> = set.matching(names).map(|rule| rule.id.0).collect();
    ids.sort_unstable();
    ids
}

/// All of a set's rules by id.
fn all(set: &RuleSet) -> BTreeMap<RuleId, Rule> {
    set.rules().map(|rule| (rule.id, rule)).collect()
}

fn sorted(rules: &BTreeMap<RuleId, Rule>) -> Vec<Rule> {
    let mut rules: Vec<_> = rules.values().copied().collect();
    rules.sort_unstable_by_key(|rule| (rule.identifier, rule.id));
    rules
}

/// The set with everything in its base.
fn based(rules: &BTreeMap<RuleId, Rule>) -> RuleSet {
    let mut gathering = Gathering::default();
    gathering.add(rules.values().copied().collect()).unwrap();
    gathering.finish().unwrap()
}

/// The set as another process has it.
fn sent(set: &RuleSet, before: &RuleSet) -> io::Result<RuleSet> {
    let file = set.base().file().map(|file| file.try_clone_to_owned().unwrap());
    RuleSet::received(file, set.beside(), before)
}

#[test]
fn a_file_is_found_by_each_of_its_digests() {
    let file = digests(7);
    let rules = [
        rule(1, Identifier::Sha256(file.sha256)),
        rule(2, Identifier::Sha1(file.sha1)),
        rule(3, Identifier::Md5(file.md5)),
        rule(4, Identifier::Signer(file.sha1)),
        rule(5, Identifier::Md5(Md5([8; 16]))),
    ];
    let set = RuleSet::new(rules).unwrap();
    for set in [based(&all(&set)), set] {
        assert_eq!(ids(&set, &file.into()), [1, 2, 3]);
        assert_eq!(ids(&set, &Names { sha1: None, ..file.into() }), [1, 3]);
        assert_eq!(ids(&set, &digests(8).into()), [5]);
        assert_eq!(ids(&set, &digests(9).into()), [0; 0]);
        assert_eq!(set.get(RuleId(4)), Some(rules[3]));
        assert_eq!(set.get(RuleId(6)), None);
    }
}

#[test]
fn what_rules_name_is_what_is_asked_for() {
    let of = |identifiers: &[Identifier]| {
        RuleSet::new(identifiers.iter().enumerate().map(|(id, name)| rule(id as u64, *name))).unwrap().kinds()
    };
    let file = digests(1);
    assert_eq!(of(&[Identifier::Sha256(file.sha256), Identifier::Signer(file.sha1)]), Kinds::NONE);
    assert_eq!(of(&[Identifier::Sha1(file.sha1)]), Kinds { sha1: true, md5: false });
    assert_eq!(of(&[Identifier::Md5(file.md5)]), Kinds { sha1: false, md5: true });
}

fn some_identifier() -> impl Strategy<Value = Identifier> {
    // Few digests, so that rules meet; and some that share only their first bytes.
    (0..4_u8, 0..6_u8, 0..2_u8).prop_map(|(kind, byte, last)| {
        let mut file = digests(byte.wrapping_mul(51));
        file.sha256.0[31] = last;
        match kind {
            0 => Identifier::Sha256(file.sha256),
            1 => Identifier::Sha1(file.sha1),
            2 => Identifier::Md5(file.md5),
            _ => Identifier::Signer(file.sha1),
        }
    })
}

fn some_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        4 => Just(Scope::Organization),
        1 => (0..3_u64).prop_map(|group| Scope::Group(GroupId(group))),
        1 => (0..3_u8).prop_map(|machine| Scope::Machine(MachineId([machine; 20]))),
    ]
}

fn some_rule(id: impl Strategy<Value = u64>) -> impl Strategy<Value = Rule> {
    let until = prop_oneof![3 => Just(None), 1 => any::<i64>().prop_map(Some)];
    (id, 0..5_usize, some_identifier(), some_scope(), until).prop_map(
        |(id, effect, identifier, scope, until)| Rule {
            id: RuleId(id),
            effect: Effect::ALL[effect],
            identifier,
            scope,
            until: until.map(Time::from_ticks),
        },
    )
}

#[derive(Clone, Debug)]
enum Step {
    Change(Vec<Change>),
    /// All of it becomes the base.
    Merge,
}

fn some_step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        3 => some_rule(0..40_u64).prop_map(Change::Begin),
        2 => (0..40_u64).prop_map(|id| Change::End(RuleId(id))),
    ];
    prop_oneof![
        4 => prop::collection::vec(change, 0..8).prop_map(Step::Change),
        1 => Just(Step::Merge),
    ]
}

proptest! {
    #[test]
    fn a_set_says_what_a_look_at_each_rule_says(steps in prop::collection::vec(some_step(), 0..30)) {
        let mut set = RuleSet::default();
        let mut model = BTreeMap::new();
        let mut received = RuleSet::default();
        for step in steps {
            match step {
                Step::Change(changes) => {
                    set = set.changed(changes.iter().copied()).unwrap();
                    for change in changes {
                        match change {
                            Change::Begin(rule) => model.insert(rule.id, rule),
                            Change::End(id) => model.remove(&id),
                        };
                    }
                }
                Step::Merge => set = based(&model),
            }
            received = sent(&set, &received).unwrap();
        }
        prop_assert_eq!(&all(&set), &model);
        prop_assert_eq!(set.len(), model.len());
        prop_assert_eq!(set.fingerprint(), based(&model).fingerprint());
        prop_assert_eq!(&all(&received), &model);
        for id in 0..41 {
            prop_assert_eq!(set.get(RuleId(id)), model.get(&RuleId(id)).copied());
        }
        for byte in 0..7_u8 {
            for last in 0..2 {
                let mut file = digests(byte.wrapping_mul(51));
                file.sha256.0[31] = last;
                let names = Names::from(file);
                let looked = model.values().filter(|rule| rule.identifier.matches(&names));
                let looked: Vec<_> = looked.map(|rule| rule.id.0).collect();
                prop_assert_eq!(&ids(&set, &names), &looked);
                prop_assert_eq!(&ids(&received, &names), &looked);
                prop_assert!(set.kinds().contains(
                    model.values().fold(Kinds::NONE, |kinds, rule| kinds.union(rule.identifier.kinds()))
                ));
            }
        }
    }

    #[test]
    fn each_rule_comes_back_as_it_was_packed(
        rules in prop::collection::btree_map(any::<u64>(), some_rule(Just(0)), 0..40),
    ) {
        let rules: BTreeMap<_, _> =
            rules.into_iter().map(|(id, rule)| (RuleId(id), Rule { id: RuleId(id), ..rule })).collect();
        let packed = Packed::own(sorted(&rules).into_iter()).unwrap();
        prop_assert_eq!(packed.rules().collect::<Vec<_>>(), sorted(&rules));
        let again = Packed::read(packed.to_vec()).unwrap();
        prop_assert_eq!(again.rules().collect::<Vec<_>>(), sorted(&rules));
    }

    #[test]
    fn hostile_bytes_are_refused_or_are_a_set(
        rules in prop::collection::btree_map(any::<u64>(), some_rule(Just(0)), 0..40),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        signs in any::<bool>(),
    ) {
        let rules: BTreeMap<_, _> =
            rules.into_iter().map(|(id, rule)| (RuleId(id), Rule { id: RuleId(id), ..rule })).collect();
        let whole = Packed::own(sorted(&rules).into_iter()).unwrap().to_vec();
        let mut bytes = whole.clone();
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if signs {
            sign(&mut bytes);
        }
        let is_as_it_was = bytes == whole;
        match Packed::read(bytes) {
            // Whoever can sign can say anything, but only what is in order.
            Ok(packed) => {
                let read: Vec<_> = packed.rules().collect();
                prop_assert_eq!(read.len(), packed.len());
                prop_assert!(read.is_sorted_by_key(|rule| (rule.identifier, rule.id)));
                for rule in &read {
                    prop_assert!(packed.named(&rule.identifier).any(|found| found == *rule));
                }
                prop_assert!(signs || is_as_it_was);
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                prop_assert!(!is_as_it_was);
            }
        }
    }

    #[test]
    fn noise_is_no_set(mut bytes in prop::collection::vec(any::<u8>(), 0..200), has_start in any::<bool>()) {
        if has_start {
            bytes.splice(0..bytes.len().min(8), *b"quellrs1");
        }
        sign(&mut bytes);
        if let Ok(packed) = Packed::read(bytes) {
            prop_assert_eq!(packed.rules().count(), packed.len());
        }
    }
}

/// Makes the checksum fit.
fn sign(bytes: &mut [u8]) {
    if let Some((content, sum)) = bytes.split_last_chunk_mut::<4>() {
        *sum = crc32c::crc32c(content).to_le_bytes();
    }
}

/// Rules of all kinds with digests all over.
fn many(count: u64) -> BTreeMap<RuleId, Rule> {
    let digest = |id: u64| <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(id.to_le_bytes()));
    let identifier = |id: u64| {
        let digest = digest(id);
        match id % 8 {
            0 => Identifier::Sha1(Sha1(*digest.first_chunk().unwrap())),
            1 => Identifier::Md5(Md5(*digest.first_chunk().unwrap())),
            _ => Identifier::Sha256(Sha256(digest)),
        }
    };
    (0..count).map(|id| (RuleId(id), rule(id, identifier(id)))).collect()
}

fn names_of(rule: &Rule) -> Names {
    let none = Names { sha256: Sha256([0; 32]), sha1: None, md5: None };
    match rule.identifier {
        Identifier::Sha256(sha256) => Names { sha256, ..none },
        Identifier::Sha1(sha1) => Names { sha1: Some(sha1), ..none },
        Identifier::Md5(md5) => Names { md5: Some(md5), ..none },
        Identifier::Signer(_) => none,
    }
}

#[test]
fn a_large_set_is_found_by_its_directory_and_gathered_in_parts() {
    let rules = many(20_000);
    let mut gathering = Gathering::default();
    let mut parts: Vec<Vec<Rule>> =
        rules.values().copied().collect::<Vec<_>>().chunks(200).map(<[_]>::to_vec).collect();
    parts.reverse();
    for part in parts {
        gathering.add(part).unwrap();
    }
    let set = gathering.finish().unwrap();
    assert_eq!(set.len(), rules.len());
    for rule in rules.values() {
        assert_eq!(ids(&set, &names_of(rule)), [rule.id.0]);
    }
    assert_eq!(set.fingerprint(), RuleSet::new(rules.values().copied()).unwrap().fingerprint());
    let received = sent(&set, &RuleSet::default()).unwrap();
    assert_eq!(all(&received), rules);
}

#[test]
fn changes_gather_beside_the_base_until_a_new_one_is_made() {
    let mut rules = many(10_000);
    let mut set = based(&rules);
    let before = set.base().checksum();
    let mut bases = BTreeSet::from([before]);
    for step in 0..30_u64 {
        let changes: Vec<_> = (0..300)
            .map(|n| match n % 2 {
                0 => Change::End(RuleId(step * 150 + n / 2)),
                _ => Change::Begin(rule(20_000 + step * 150 + n / 2, Identifier::Md5(Md5([step as u8; 16])))),
            })
            .collect();
        for change in &changes {
            match change {
                Change::Begin(rule) => rules.insert(rule.id, *rule),
                Change::End(id) => rules.remove(id),
            };
        }
        set = set.changed(changes).unwrap();
        bases.insert(set.base().checksum());
        assert!(set.recent.len() + set.ended.len() <= BESIDE);
    }
    assert_eq!(all(&set), rules);
    assert_eq!(bases.len(), 3, "two new bases were made of 9,000 changes");
}

#[test]
fn a_set_with_one_rule_twice_is_not_gathered() {
    let one = rule(1, Identifier::Md5(Md5([1; 16])));
    let other = rule(1, Identifier::Md5(Md5([2; 16])));
    let mut gathering = Gathering::default();
    gathering.add(vec![one, rule(2, one.identifier)]).unwrap();
    gathering.add(vec![other]).unwrap();
    assert_eq!(gathering.finish().unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_base_is_looked_at_once_and_taken_only_with_what_belongs_to_it() {
    let set = based(&many(100));
    let received = sent(&set, &RuleSet::default()).unwrap();
    let next = set.changed([Change::End(RuleId(5))]).unwrap();
    let again = sent(&next, &received).unwrap();
    assert!(again.base().is(received.base().file().unwrap()));
    assert_eq!(all(&again), all(&next));

    let file = |set: &RuleSet| set.base().file().map(|file| file.try_clone_to_owned().unwrap());
    let other = based(&many(99));
    assert!(RuleSet::received(file(&other), set.beside(), &received).is_err());
    assert!(RuleSet::received(None, set.beside(), &received).is_err());
    let beside = v1::Beside { ended: vec![2, 1], ..set.beside() };
    assert!(RuleSet::received(file(&set), beside, &received).is_err());
}

#[test]
fn a_base_that_could_still_change_is_refused() {
    let bytes = based(&many(10)).base().to_vec();
    let mut open = tempfile::tempfile().unwrap();
    open.write_all(&bytes).unwrap();
    assert!(Packed::received(open.into()).is_err());
    let sealed = sys::socket::memfd_sealed("test", &bytes).unwrap();
    assert!(sys::mapping::Mapping::of_sealed(sealed.as_fd()).is_ok());
    assert_eq!(Packed::received(sealed).unwrap().len(), 10);
    let cut = sys::socket::memfd_sealed("test", &bytes[..bytes.len() - 1]).unwrap();
    assert!(Packed::received(cut).is_err());
}

#[test]
fn the_fingerprint_tells_sets_apart() {
    let set = RuleSet::new([rule(1, Identifier::Sha1(Sha1([1; 20])))]).unwrap();
    let more = set.changed([Change::Begin(rule(2, Identifier::Sha1(Sha1([1; 20]))))]).unwrap();
    assert_ne!(more.fingerprint(), set.fingerprint());
    let less = more.changed([Change::End(RuleId(2)), Change::End(RuleId(3))]).unwrap();
    assert_eq!(less.fingerprint(), set.fingerprint());
    assert_ne!(RuleSet::default().fingerprint(), set.fingerprint());
}
