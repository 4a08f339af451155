use std::time::Duration;

use model::act::{Act, Do};
use model::hold::{Held, Hold};
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{FileId, Generation, HoldId, OrderId, RuleId, Sha1};
use wire::link::v1;

use super::for_test::{MACHINE, core};
use super::*;
use crate::clock::Moment;
use crate::guard::client::for_test::Hesitant;
use crate::ledger::Braked;

/// A quarantine and its deny, which the brake holds.
fn held(core: &Core) -> (Act, Hold) {
    let sha1 = Sha1([3; 20]);
    let scope = Scope::Machine(MACHINE);
    let identifier = Identifier::Sha1(sha1);
    let rule = Rule { id: RuleId(1), effect: Effect::Deny, identifier, scope, until: None };
    let rules = [rule].iter().map(Into::into).collect();
    let rules = v1::Rules { whole: true, epoch: 5, to: 1, rules, chain: vec![0; 32], ..Default::default() };
    let hold =
        Hold { id: HoldId::random(), what: Held::Denial(rule), since: Time::from_seconds(1), crowds: vec![] };
    let mut ledger = core.ledger.lock();
    let prepared = ledger.prepare(&rules).unwrap();
    let braked = Braked { holds: vec![hold.clone()], ..Braked::nothing(Moment::now()) };
    assert!(ledger.adopt(prepared, braked).unwrap());
    let act = Act {
        id: model::ActId::random(),
        order: OrderId::random(),
        machine: MACHINE,
        what: Do::Quarantine(FileId::Sha1(sha1)),
        after: Position { epoch: model::Epoch(5), generation: Generation(1) },
        deadline: Time::from_seconds(i64::from(u32::MAX)),
    };
    ledger.take(act.clone()).unwrap();
    (act, hold)
}

#[test]
fn an_act_that_was_approved_waits_until_the_guard_has_its_deny() {
    let dir = tempfile::tempdir().unwrap();
    let (guard, hesitant) = Hesitant::start(dir.path());
    let (core, _nudges) = core(dir.path(), dir.path(), Some(guard));
    let (act, hold) = held(&core);
    let (short, long) = (Duration::from_millis(50), Duration::from_secs(30));
    hesitant.wait_attached();
    core.enforce(long).unwrap();
    assert!(core.wait_in_force(act.after, long));
    assert!(core.ledger.lock().waits(&act));

    // Whoever approves it has not come to tell the guard yet, and that is slow.
    hesitant.hesitate();
    let approved = core.ledger.lock().approve(hold.id, "root", "known", &Moment::now()).unwrap();
    assert!(approved.is_some() && !core.ledger.lock().waits(&act));
    assert!(!core.wait_in_force(act.after, short), "the file may still be started");
    // Whoever waits asks the guard once more.
    let is_so = || (0..20).any(|_| core.wait_in_force(act.after, short));
    hesitant.confirm();
    assert!(is_so());
    // A guard that takes the place of this one has confirmed nothing yet.
    hesitant.hesitate();
    hesitant.fall();
    hesitant.wait_attached();
    assert!(!core.wait_in_force(act.after, short));
    hesitant.confirm();
    assert!(is_so());
}
