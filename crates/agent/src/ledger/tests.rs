use super::*;
use model::act::Do;
use model::log::Change;
use model::rule::{Effect, Identifier, Rule};
use model::{Epoch, FileId, Generation, OrderId, Sha1, Time};
use sha2::{Digest, Sha256};

const MACHINE: MachineId = MachineId([1; 20]);

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
    organization: OrganizationId,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { path: dir.path().join("ledger"), _dir: dir, organization: OrganizationId::random() }
    }

    fn open(&self) -> Ledger {
        Ledger::open(&self.path, MACHINE, self.organization).unwrap()
    }
}

fn deny(id: u64, scope: Scope) -> Rule {
    let identifier = Identifier::Sha1(Sha1([id as u8; 20]));
    Rule { id: RuleId(id), effect: Effect::Deny, identifier, scope, until: None }
}

fn whole(epoch: u64, to: u64, rules: &[Rule]) -> v1::Rules {
    let rules = rules.iter().map(Into::into).collect();
    v1::Rules { whole: true, epoch, to, rules, chain: vec![0; 32], ..Default::default() }
}

/// A delta as a server makes it, with the chain that follows `chain`.
fn delta(epoch: u64, from: u64, mut chain: [u8; 32], changes: &[Change]) -> v1::Rules {
    let mut entries = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let generation = Generation(from + 1 + index as u64);
        let bytes = wire::link::rules::chained_bytes(generation, change);
        chain = Sha256::new().chain_update(chain).chain_update(bytes).finalize().into();
        entries.push((&model::log::Entry { generation, change: *change, chain }).into());
    }
    let to = from + changes.len() as u64;
    v1::Rules { epoch, from, to, entries, chain: chain.to_vec(), ..Default::default() }
}

fn act() -> Act {
    Act {
        id: ActId::random(),
        order: OrderId::random(),
        machine: MACHINE,
        what: Do::Quarantine(FileId::Sha1(Sha1([3; 20]))),
        after: Position::default(),
        deadline: Time::from_seconds(9),
    }
}

#[test]
fn what_was_adopted_is_in_force_after_a_restart() {
    let place = Place::new();
    let mut ledger = place.open();
    let (first, second) = (deny(1, Scope::Organization), deny(2, Scope::Organization));
    ledger.adopt(&whole(5, 0, &[])).unwrap();
    ledger.adopt(&delta(5, 0, [0; 32], &[Change::Begin(first), Change::Begin(second)])).unwrap();
    let chain = ledger.state.standing.chain;
    ledger.adopt(&delta(5, 2, chain, &[Change::End(RuleId(1))])).unwrap();
    drop(ledger);
    let ledger = place.open();
    assert_eq!(ledger.rules().rules().collect::<Vec<_>>(), [second]);
    assert_eq!(ledger.position(), Position { epoch: Epoch(5), generation: Generation(3) });
}

#[test]
fn a_log_that_goes_back_skips_or_breaks_its_chain_is_refused_and_changes_nothing() {
    let place = Place::new();
    let mut ledger = place.open();
    let rule = deny(1, Scope::Organization);
    ledger.adopt(&whole(5, 0, &[])).unwrap();
    ledger.adopt(&delta(5, 0, [0; 32], &[Change::Begin(rule)])).unwrap();
    let end = [Change::End(RuleId(1))];
    assert!(matches!(ledger.adopt(&whole(5, 0, &[])), Err(Refused::Backwards { to: 0, here: 1 })));
    assert!(matches!(ledger.adopt(&delta(5, 3, [0; 32], &end)), Err(Refused::Gap { from: 3, here: 1 })));
    assert!(matches!(ledger.adopt(&delta(5, 1, [9; 32], &end)), Err(Refused::BrokenChain(2))));
    assert_eq!(ledger.rules().len(), 1);
    // A restored backup is another log, and is taken whole.
    ledger.adopt(&whole(6, 0, &[])).unwrap();
    assert_eq!(ledger.rules().len(), 0);
}

#[test]
fn an_act_is_taken_once_and_its_outcome_waits_until_it_is_stored() {
    let place = Place::new();
    let mut ledger = place.open();
    let act = act();
    ledger.take(act.clone()).unwrap();
    ledger.take(act.clone()).unwrap();
    assert_eq!(ledger.unfinished(), std::slice::from_ref(&act));
    assert!(!ledger.has_begun(act.id));
    ledger.begin(act.id).unwrap();
    drop(ledger);

    let mut ledger = place.open();
    assert!(ledger.has_begun(act.id), "an act that has begun goes on after a restart");
    assert_eq!(ledger.unfinished().len(), 1);
    let failure = Some(Failure::because("a test"));
    let outcome = Outcome { act: act.id, copies: Vec::new(), stopped: 2, services: Vec::new(), failure };
    ledger.ended(outcome.clone()).unwrap();
    drop(ledger);

    let mut ledger = place.open();
    assert!(ledger.unfinished().is_empty());
    assert_eq!(ledger.unsent(), [outcome]);
    ledger.outcome_stored(act.id).unwrap();
    ledger.take(act).unwrap();
    drop(ledger);
    let ledger = place.open();
    assert!(ledger.unsent().is_empty() && ledger.unfinished().is_empty(), "it is not done again");
}

#[test]
fn an_act_is_withdrawn_before_it_has_begun_and_never_after() {
    let place = Place::new();
    let mut ledger = place.open();
    let (withdrawn, begun) = (act(), act());
    for act in [&withdrawn, &begun] {
        ledger.take(act.clone()).unwrap();
    }
    assert!(ledger.begin(begun.id).unwrap());
    ledger.cancel(begun.id).unwrap();
    ledger.cancel(withdrawn.id).unwrap();
    assert!(!ledger.begin(withdrawn.id).unwrap(), "whoever was about to begin it does not");
    drop(ledger);

    let mut ledger = place.open();
    assert_eq!(ledger.unfinished(), std::slice::from_ref(&begun), "what has begun goes on");
    let state =
        |ledger: &Ledger, act: ActId| ledger.outcome(act).unwrap().failure.as_ref().map(Failure::state);
    assert_eq!(state(&ledger, withdrawn.id), Some(model::order::State::Cancelled));
    let done = Outcome { act: begun.id, copies: Vec::new(), stopped: 0, services: Vec::new(), failure: None };
    ledger.ended(done).unwrap();
    ledger.cancel(begun.id).unwrap();
    assert_eq!(state(&ledger, begun.id), None, "an act ends once");
    assert_eq!(ledger.unsent().len(), 2);
}

#[test]
fn root_lifts_only_this_machines_own_deny() {
    let place = Place::new();
    let mut ledger = place.open();
    let rules = [
        deny(1, Scope::Organization),
        deny(2, Scope::Machine(MACHINE)),
        deny(3, Scope::Machine(MachineId([9; 20]))),
    ];
    ledger.adopt(&whole(5, 3, &rules)).unwrap();
    assert!(!ledger.lift(RuleId(1), "why").unwrap());
    assert!(!ledger.lift(RuleId(3), "why").unwrap());
    assert!(ledger.lift(RuleId(2), "why").unwrap());
    drop(ledger);

    let mut ledger = place.open();
    assert_eq!(ledger.rules().rules().map(|rule| rule.id.0).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(ledger.lifted(), [(RuleId(2), "why".to_owned())]);
    ledger.lifted_stored(RuleId(2)).unwrap();
    assert!(ledger.lifted().is_empty(), "it is told once");
    assert_eq!(ledger.rules().len(), 2, "and stays lifted until the log says so");
    let chain = ledger.state.standing.chain;
    ledger.adopt(&delta(5, 3, chain, &[Change::End(RuleId(2))])).unwrap();
    drop(ledger);
    assert_eq!(place.open().rules().len(), 2);
}

#[test]
fn a_ledger_of_another_machine_is_not_taken() {
    let place = Place::new();
    drop(place.open());
    let error = Ledger::open(&place.path, MachineId([2; 20]), place.organization).unwrap_err();
    assert!(error.to_string().contains("belongs to machine"), "{error}");
}

#[test]
fn a_rewritten_ledger_says_the_same() {
    let place = Place::new();
    let mut ledger = place.open();
    ledger.adopt(&whole(5, 2, &[deny(1, Scope::Organization), deny(2, Scope::Machine(MACHINE))])).unwrap();
    ledger.lift(RuleId(2), "why").unwrap();
    ledger.take(act()).unwrap();
    ledger.set_swept(vec!["/a".into()]).unwrap();
    let records: Vec<_> = ledger.state.records().collect();
    ledger.journal.rewrite(records.clone()).unwrap();
    drop(ledger);
    let again = place.open();
    assert_eq!(again.state.records().collect::<Vec<_>>(), records);
    assert_eq!((again.rules().len(), again.unfinished().len(), again.swept().len()), (1, 1, 1));
}

/// The parts of a whole set, a rule each.
fn parts(epoch: u64, to: u64, rules: &[Rule]) -> Vec<v1::Rules> {
    let last = rules.len() as u32 - 1;
    let part = |(part, rule): (usize, &Rule)| {
        let part = part as u32;
        v1::Rules { part, more: part < last, ..whole(epoch, to, &[*rule]) }
    };
    rules.iter().enumerate().map(part).collect()
}

fn ids(ledger: &Ledger) -> Vec<u64> {
    let mut ids: Vec<_> = ledger.rules().rules().map(|rule| rule.id.0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_set_in_parts_stands_when_its_last_part_is_durable() {
    let place = Place::new();
    let mut ledger = place.open();
    ledger.adopt(&whole(5, 1, &[deny(1, Scope::Organization)])).unwrap();
    let rules = [2, 3, 4].map(|id| deny(id, Scope::Machine(MACHINE)));
    let parts = parts(5, 9, &rules);
    let at = |generation| Position { epoch: Epoch(5), generation: Generation(generation) };
    assert!(!ledger.adopt(&parts[0]).unwrap());
    assert!(!ledger.adopt(&parts[1]).unwrap());
    assert_eq!((ids(&ledger), ledger.position()), (vec![1], at(1)));

    // A crash loses the parts, and whoever sends goes on too far.
    drop(ledger);
    let mut ledger = place.open();
    assert_eq!((ids(&ledger), ledger.position()), (vec![1], at(1)));
    // The parts on the disk are known, so that it could even go on; but it begins anew.
    assert!(!ledger.adopt(&parts[0]).unwrap());
    assert!(matches!(ledger.adopt(&parts[2]), Err(Refused::Malformed(_))), "a part is missing");
    assert!(matches!(ledger.adopt(&parts[1]), Err(Refused::Malformed(_))), "it must begin anew");
    for (part, is_last) in parts.iter().zip([false, false, true]) {
        assert_eq!(ledger.adopt(part).unwrap(), is_last);
    }
    assert_eq!((ids(&ledger), ledger.position()), (vec![2, 3, 4], at(9)));
    ledger.lift(RuleId(3), "why").unwrap();
    drop(ledger);
    let mut ledger = place.open();
    assert_eq!((ids(&ledger), ledger.position()), (vec![2, 4], at(9)));

    // A delta between parts ends them.
    assert!(!ledger.adopt(&v1::Rules { to: 11, ..parts[0].clone() }).unwrap());
    let chain = ledger.state.standing.chain;
    ledger.adopt(&delta(5, 9, chain, &[Change::End(RuleId(2))])).unwrap();
    let late = v1::Rules { to: 11, ..parts[1].clone() };
    assert!(matches!(ledger.adopt(&late), Err(Refused::Malformed(_))));
    drop(ledger);
    assert_eq!(ids(&place.open()), [4]);
}

#[test]
fn a_set_with_one_rule_twice_is_refused_and_changes_nothing() {
    let place = Place::new();
    let mut ledger = place.open();
    let rule = deny(1, Scope::Organization);
    ledger.adopt(&whole(5, 1, &[rule])).unwrap();
    let other = Rule { identifier: Identifier::Sha1(Sha1([9; 20])), ..rule };
    assert!(matches!(ledger.adopt(&whole(5, 2, &[rule, other])), Err(Refused::NoSet(_))));
    assert_eq!(ledger.rules().rules().collect::<Vec<_>>(), [rule]);
    drop(ledger);
    assert_eq!(place.open().rules().rules().collect::<Vec<_>>(), [rule]);
}

#[test]
fn a_long_ledger_is_rewritten_in_parts_and_says_the_same() {
    let place = Place::new();
    let mut ledger = place.open();
    let some: Vec<_> = (0..20_000_u64)
        .map(|id| Rule {
            identifier: Identifier::Sha256(model::Sha256(Sha256::digest(id.to_le_bytes()).into())),
            ..deny(id, Scope::Organization)
        })
        .collect();
    for to in 1..=6 {
        ledger.adopt(&whole(5, to, &some)).unwrap();
        ledger.shorten();
    }
    ledger.lift(RuleId(7), "not this machine's own").unwrap();
    assert!(ledger.journal.length() < REWRITE_ABOVE, "{} bytes", ledger.journal.length());
    let fingerprint = ledger.rules().fingerprint();
    assert!(ledger.state.records().count() > 4, "the set is in parts");
    drop(ledger);
    let again = place.open();
    assert_eq!(again.rules().len(), some.len());
    assert_eq!(again.rules().fingerprint(), fingerprint);
    assert_eq!(again.position(), Position { epoch: Epoch(5), generation: Generation(6) });
}

#[test]
fn parts_that_never_come_to_an_end_do_not_fill_the_disk() {
    let place = Place::new();
    let mut ledger = place.open();
    let some: Vec<_> = (0..20_000).map(|id| deny(id, Scope::Organization)).collect();
    let first = v1::Rules { more: true, ..whole(5, 1, &some) };
    for _ in 0..12 {
        ledger.adopt(&first).unwrap();
    }
    assert!(ledger.journal.length() < 2 * REWRITE_ABOVE, "{} bytes", ledger.journal.length());
    assert!(ledger.rules().is_empty());
}
