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

impl Ledger {
    /// Takes rules of which the brake says nothing.
    fn take_in(&mut self, rules: &v1::Rules) -> Result<bool, Refused> {
        let prepared = self.prepare(rules)?;
        self.adopt(prepared, Braked::nothing(Moment::now()))
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
    ledger.take_in(&whole(5, 0, &[])).unwrap();
    ledger.take_in(&delta(5, 0, [0; 32], &[Change::Begin(first), Change::Begin(second)])).unwrap();
    let chain = ledger.state.standing.chain;
    ledger.take_in(&delta(5, 2, chain, &[Change::End(RuleId(1))])).unwrap();
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
    ledger.take_in(&whole(5, 0, &[])).unwrap();
    ledger.take_in(&delta(5, 0, [0; 32], &[Change::Begin(rule)])).unwrap();
    let end = [Change::End(RuleId(1))];
    assert!(matches!(ledger.take_in(&whole(5, 0, &[])), Err(Refused::Backwards { to: 0, here: 1 })));
    assert!(matches!(ledger.take_in(&delta(5, 3, [0; 32], &end)), Err(Refused::Gap { from: 3, here: 1 })));
    assert!(matches!(ledger.take_in(&delta(5, 1, [9; 32], &end)), Err(Refused::BrokenChain(2))));
    assert_eq!(ledger.rules().len(), 1);
    // A restored backup is another log, and is taken whole.
    ledger.take_in(&whole(6, 0, &[])).unwrap();
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
    ledger.take_in(&whole(5, 3, &rules)).unwrap();
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
    ledger.take_in(&delta(5, 3, chain, &[Change::End(RuleId(2))])).unwrap();
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
    ledger.take_in(&whole(5, 2, &[deny(1, Scope::Organization), deny(2, Scope::Machine(MACHINE))])).unwrap();
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
    ledger.take_in(&whole(5, 1, &[deny(1, Scope::Organization)])).unwrap();
    let rules = [2, 3, 4].map(|id| deny(id, Scope::Machine(MACHINE)));
    let parts = parts(5, 9, &rules);
    let at = |generation| Position { epoch: Epoch(5), generation: Generation(generation) };
    assert!(!ledger.take_in(&parts[0]).unwrap());
    assert!(!ledger.take_in(&parts[1]).unwrap());
    assert_eq!((ids(&ledger), ledger.position()), (vec![1], at(1)));

    // A crash loses the parts, and whoever sends goes on too far.
    drop(ledger);
    let mut ledger = place.open();
    assert_eq!((ids(&ledger), ledger.position()), (vec![1], at(1)));
    // The parts on the disk are known, so that it could even go on; but it begins anew.
    assert!(!ledger.take_in(&parts[0]).unwrap());
    assert!(matches!(ledger.take_in(&parts[2]), Err(Refused::Malformed(_))), "a part is missing");
    assert!(matches!(ledger.take_in(&parts[1]), Err(Refused::Malformed(_))), "it must begin anew");
    for (part, is_last) in parts.iter().zip([false, false, true]) {
        assert_eq!(ledger.take_in(part).unwrap(), is_last);
    }
    assert_eq!((ids(&ledger), ledger.position()), (vec![2, 3, 4], at(9)));
    ledger.lift(RuleId(3), "why").unwrap();
    drop(ledger);
    let mut ledger = place.open();
    assert_eq!((ids(&ledger), ledger.position()), (vec![2, 4], at(9)));

    // A delta between parts ends them.
    assert!(!ledger.take_in(&v1::Rules { to: 11, ..parts[0].clone() }).unwrap());
    let chain = ledger.state.standing.chain;
    ledger.take_in(&delta(5, 9, chain, &[Change::End(RuleId(2))])).unwrap();
    let late = v1::Rules { to: 11, ..parts[1].clone() };
    assert!(matches!(ledger.take_in(&late), Err(Refused::Malformed(_))));
    drop(ledger);
    assert_eq!(ids(&place.open()), [4]);
}

#[test]
fn a_set_with_one_rule_twice_is_refused_and_changes_nothing() {
    let place = Place::new();
    let mut ledger = place.open();
    let rule = deny(1, Scope::Organization);
    ledger.take_in(&whole(5, 1, &[rule])).unwrap();
    let other = Rule { identifier: Identifier::Sha1(Sha1([9; 20])), ..rule };
    assert!(matches!(ledger.take_in(&whole(5, 2, &[rule, other])), Err(Refused::NoSet(_))));
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
        ledger.take_in(&whole(5, to, &some)).unwrap();
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
        ledger.take_in(&first).unwrap();
    }
    assert!(ledger.journal.length() < 2 * REWRITE_ABOVE, "{} bytes", ledger.journal.length());
    assert!(ledger.rules().is_empty());
}

mod braked {
    use super::*;
    use crate::brake::HOUR;
    use model::HoldId;
    use model::hold::{Crowd, Held, Hold};
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment::at("boot", seconds)
    }

    fn hold(what: Held) -> Hold {
        let crowd = Crowd {
            sha256: model::Sha256([9; 32]),
            path: "/opt/db".into(),
            processes: 9,
            users: 2,
            seconds: 7,
        };
        Hold { id: HoldId::random(), what, since: Time::from_seconds(5), crowds: vec![crowd] }
    }

    fn holding(rule: Rule) -> (Hold, Braked) {
        let hold = hold(Held::Denial(rule));
        (hold.clone(), Braked { holds: vec![hold], ..Braked::nothing(at(10)) })
    }

    fn take_with(ledger: &mut Ledger, rules: &v1::Rules, braked: Braked) {
        let prepared = ledger.prepare(rules).unwrap();
        ledger.adopt(prepared, braked).unwrap();
    }

    fn in_force(ledger: &Ledger) -> Vec<u64> {
        let mut ids: Vec<u64> = ledger.rules().rules().map(|rule| rule.id.0).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn a_rule_waits_over_restarts_and_rewriting_until_it_is_approved() {
        let place = Place::new();
        let mut ledger = place.open();
        let (held, other) = (deny(1, Scope::Organization), deny(2, Scope::Organization));
        let (hold, braked) = holding(held);
        take_with(&mut ledger, &whole(5, 1, &[held, other]), braked);
        assert_eq!(in_force(&ledger), [2]);
        for rewrites in [false, true] {
            if rewrites {
                ledger.journal.rewrite(ledger.state.records()).unwrap();
            }
            drop(ledger);
            ledger = place.open();
            assert_eq!((in_force(&ledger), ledger.holds()), (vec![2], vec![hold.clone()]), "{rewrites}");
        }
        assert!(ledger.approve(HoldId::random(), "root", "x", &at(20)).unwrap().is_none());
        assert_eq!(ledger.approve(hold.id, "root", "known", &at(20)).unwrap(), Some(hold.clone()));
        assert!(ledger.approve(hold.id, "root", "known", &at(20)).unwrap().is_none(), "once");
        assert_eq!(in_force(&ledger), [1, 2]);
        drop(ledger);
        ledger = place.open();
        assert_eq!(in_force(&ledger), [1, 2]);
        assert_eq!(ledger.untold_approvals().len(), 1);
        // What was approved is not weighed again, and takes nobody's place.
        assert_eq!(ledger.widely_denied(&at(21)), (vec![model::Sha256([9; 32])], 0));
        ledger.approved_stored(hold.id.0.as_bytes().to_vec()).unwrap();
        ledger.journal.rewrite(ledger.state.records()).unwrap();
        drop(ledger);
        ledger = place.open();
        assert!(ledger.untold_approvals().is_empty() && ledger.holds().is_empty());
        assert_eq!(ledger.widely_denied(&at(21)).0.len(), 1);
    }

    #[test]
    fn no_delta_or_whole_set_slips_a_rule_past_its_hold() {
        let place = Place::new();
        let mut ledger = place.open();
        let rule = deny(1, Scope::Organization);
        let (hold, braked) = holding(rule);
        ledger.take_in(&whole(5, 0, &[])).unwrap();
        take_with(&mut ledger, &delta(5, 0, [0; 32], &[Change::Begin(rule)]), braked);
        let chain = |ledger: &Ledger| ledger.state.standing.chain;
        // Ended and begun again in one delta it waits on, also when that is read from the disk.
        let again = delta(5, 1, chain(&ledger), &[Change::End(rule.id), Change::Begin(rule)]);
        ledger.take_in(&again).unwrap();
        assert_eq!(in_force(&ledger), [] as [u64; 0]);
        drop(ledger);
        let mut ledger = place.open();
        assert_eq!((in_force(&ledger), ledger.holds().len()), (vec![], 1));
        // So it does in another log.
        ledger.take_in(&whole(6, 0, &[rule, deny(2, Scope::Organization)])).unwrap();
        assert_eq!((in_force(&ledger), ledger.holds()), (vec![2], vec![hold]));
        // What says something else under that number is for the brake to weigh, and what is gone waits no more.
        let other = Rule { identifier: Identifier::Sha1(Sha1([77; 20])), ..rule };
        let changed = whole(6, 1, &[other]);
        let prepared = ledger.prepare(&changed).unwrap();
        assert_eq!(prepared.to_be_weighed().unwrap().rules().collect::<Vec<_>>(), [other]);
        ledger.adopt(prepared, Braked::nothing(at(1))).unwrap();
        assert!(ledger.holds().is_empty());
        drop(ledger);
        assert!(place.open().holds().is_empty());
    }

    #[test]
    fn only_what_may_deny_more_is_weighed() {
        let place = Place::new();
        let mut ledger = place.open();
        let allow = Rule { effect: Effect::Allow, ..deny(3, Scope::Organization) };
        ledger.take_in(&whole(5, 0, &[deny(1, Scope::Organization), allow])).unwrap();
        let chain = ledger.state.standing.chain;
        let mut weighed = |change| {
            let delta = delta(5, 0, chain, &[change]);
            ledger.prepare(&delta).unwrap().to_be_weighed().is_some()
        };
        assert!(weighed(Change::Begin(deny(2, Scope::Organization))));
        assert!(weighed(Change::End(RuleId(3))), "what permitted ends");
        assert!(weighed(Change::Begin(Rule { identifier: Identifier::Sha1(Sha1([8; 20])), ..allow })));
        assert!(!weighed(Change::End(RuleId(1))));
        assert!(!weighed(Change::Begin(Rule { id: RuleId(4), ..allow })));
    }

    /// A power cut leaves every length of what was being written.
    #[test]
    fn an_adoption_that_was_cut_off_leaves_nothing_of_what_the_brake_said() {
        let place = Place::new();
        let mut ledger = place.open();
        let rule = deny(1, Scope::Organization);
        ledger.take_in(&whole(5, 0, &[])).unwrap();
        let delta = delta(5, 0, [0; 32], &[Change::Begin(rule)]);
        let (_, mut braked) = holding(rule);
        braked.denied.push(model::Sha256([9; 32]));
        braked.unweighed = Some(true);
        let before = std::fs::read(&place.path).unwrap();
        take_with(&mut ledger, &delta, braked);
        assert_eq!((in_force(&ledger), ledger.holds().len(), ledger.is_unweighed()), (vec![], 1, true));
        drop(ledger);
        let after = std::fs::read(&place.path).unwrap();
        for length in before.len()..after.len() {
            std::fs::write(&place.path, &after[..length]).unwrap();
            let mut ledger = place.open();
            // It comes again, and nothing speaks against it any more.
            ledger.take_in(&delta).unwrap();
            drop(ledger);
            let ledger = place.open();
            let said = (ledger.holds().len(), ledger.is_unweighed(), ledger.widely_denied(&at(11)).0.len());
            assert_eq!((in_force(&ledger), said), (vec![1], (0, false, 0)), "{length}");
        }
        std::fs::write(&place.path, &after).unwrap();
        let ledger = place.open();
        assert_eq!((in_force(&ledger), ledger.holds().len(), ledger.is_unweighed()), (vec![], 1, true));
    }

    #[test]
    fn what_is_gone_when_it_is_weighed_again_does_not_wait() {
        let place = Place::new();
        let mut ledger = place.open();
        let rule = deny(1, Scope::Organization);
        ledger.take_in(&whole(5, 1, &[deny(2, Scope::Organization)])).unwrap();
        ledger.brake(holding(rule).1).unwrap();
        assert!(ledger.holds().is_empty());
        ledger.take_in(&whole(5, 2, &[rule])).unwrap();
        drop(ledger);
        assert_eq!(in_force(&place.open()), [1]);
    }

    #[test]
    fn acts_wait_are_approved_and_are_counted() {
        let place = Place::new();
        let mut ledger = place.open();
        let (first, second, third) = (act(), act(), act());
        for act in [&first, &second, &third] {
            ledger.take(act.clone()).unwrap();
        }
        ledger.begin_at(first.id, Some(at(100))).unwrap();
        let what = |act: &Act| {
            let Do::Quarantine(file) = act.what else { panic!("a quarantine") };
            hold(Held::Quarantine { act: act.id, order: act.order, file })
        };
        let (hold, other) = (what(&second), what(&third));
        ledger.brake(Braked { holds: vec![hold.clone(), other], ..Braked::nothing(at(101)) }).unwrap();
        assert!(!ledger.waits(&first) && ledger.waits(&second));
        ledger.approve(hold.id, "root", "known", &at(102)).unwrap().unwrap();
        ledger.approved_stored(hold.id.0.as_bytes().to_vec()).unwrap();
        for rewrites in [false, true] {
            if rewrites {
                ledger.journal.rewrite(ledger.state.records()).unwrap();
            }
            drop(ledger);
            ledger = place.open();
            assert!(ledger.is_approved(second.id) && !ledger.waits(&second) && ledger.waits(&third));
            let counted = [at(103), at(100 + HOUR.as_secs())].map(|now| ledger.quarantines_begun(&now));
            assert_eq!(counted, [1, 0], "{rewrites}");
        }
        // What ends while it waits, waits no more.
        let outcome =
            Outcome { act: third.id, copies: Vec::new(), stopped: 0, services: Vec::new(), failure: None };
        ledger.ended(outcome).unwrap();
        assert!(ledger.holds().is_empty());
        assert_eq!(Duration::from_secs(3600), HOUR);
    }

    #[test]
    fn an_act_waits_for_the_denial_that_comes_first() {
        let place = Place::new();
        let mut ledger = place.open();
        let act = act();
        let own = Rule { identifier: Identifier::Sha1(Sha1([3; 20])), ..deny(1, Scope::Machine(MACHINE)) };
        let (hold, braked) = holding(own);
        take_with(&mut ledger, &whole(5, 1, &[own]), braked);
        ledger.take(act.clone()).unwrap();
        assert!(ledger.waits(&act));
        ledger.approve(hold.id, "root", "known", &at(1)).unwrap();
        assert!(!ledger.waits(&act));
    }

    #[test]
    fn the_operator_key_and_what_is_to_be_weighed_again_are_kept() {
        let place = Place::new();
        let mut ledger = place.open();
        assert_eq!((ledger.operator_key(), ledger.is_unweighed()), (None, false));
        ledger.pin_operator_key([7; 32]).unwrap();
        ledger.brake(Braked { unweighed: Some(true), ..Braked::nothing(at(1)) }).unwrap();
        drop(ledger);
        let mut ledger = place.open();
        assert_eq!((ledger.operator_key(), ledger.is_unweighed()), (Some([7; 32]), true));
        ledger.brake(Braked { unweighed: Some(false), ..Braked::nothing(at(2)) }).unwrap();
        ledger.journal.rewrite(ledger.state.records()).unwrap();
        drop(ledger);
        let ledger = place.open();
        assert_eq!((ledger.operator_key(), ledger.is_unweighed()), (Some([7; 32]), false));
    }
}
