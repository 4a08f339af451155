use std::time::Duration;

use model::act::{Act, CopyResult, CopyState, Do, Outcome};
use model::order::{Failure, Order, State, Want};
use model::sighting::Seen;
use model::{FileId, MachineId, VaultId};
use server::store::{Page, SubmitError};

use crate::world::{World, sha1, sha256, sighting};

pub(crate) async fn ordered(world: &World, file: FileId) -> (Order, Act) {
    let order =
        world.store.quarantine(&world.caller(), world.home.machine, file, "bad".into()).await.unwrap();
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    let act = acts.into_iter().map(|open| open.act).find(|act| act.order == order.id).unwrap();
    (order, act)
}

pub(crate) fn copy(path: &str, state: CopyState) -> CopyResult {
    let vault = (state == CopyState::Succeeded).then(VaultId::random);
    let reason = (state == CopyState::Failed).then(|| "a writer holds it".to_owned());
    CopyResult { path: path.into(), state, reason, vault }
}

pub(crate) fn outcome(act: &Act, copies: Vec<CopyResult>) -> Outcome {
    Outcome { act: act.id, copies, stopped: 2, services: Vec::new(), failure: None }
}

pub(crate) async fn ended(world: &World, outcome: Outcome) {
    world.store.act_ended(world.home.organization, world.home.machine, outcome).await.unwrap();
}

pub(crate) async fn shown(world: &World, order: &Order) -> Order {
    world.store.order(world.home.organization, order.id).await.unwrap().unwrap()
}

pub(crate) async fn an_order_is_rule_act_and_known_copies_at_once(world: World) {
    world.guarding().await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::Running), sighting(1, "/demo/b", Seen::AtRest)]).await;
    world.saw(2, vec![sighting(1, "/demo/b", Seen::Gone)]).await;
    let (order, act) = ordered(&world, sha1(1)).await;
    assert_eq!(order.want, Want::Quarantine(world.home.machine, sha1(1)));
    assert_eq!((order.state, order.generation.0), (State::Pending, 1));
    assert_eq!(order.copies, [copy("/demo/a", CopyState::InProgress)]);
    assert_eq!((act.after, &act.what), (world.at(1), &Do::Quarantine(sha1(1))));
    assert_eq!(act.deadline, order.created.after(Duration::from_secs(3 * 24 * 3600)));
    assert!(
        world.store.blocks(world.home.organization, Page::ALL).await.unwrap().is_empty(),
        "it is that machine's rule"
    );
    let listed = async |skip, top| {
        let page = Page { skip, top };
        let orders = world.store.orders(world.home.organization, page).await.unwrap();
        (orders.len(), world.store.quarantines(world.home.organization, page).await.unwrap())
    };
    assert_eq!(listed(0, 5).await, (1, vec![order.clone()]));
    // Other orders don't push it out of the list.
    world.store.block(&world.caller(), sha1(7), "x".into()).await.unwrap();
    assert_eq!(listed(0, 1).await, (1, vec![order]));
    assert_eq!(listed(1, 5).await, (1, Vec::new()));
    assert_eq!(listed(0, 0).await, (0, Vec::new()));
}

pub(crate) async fn orders_that_make_no_sense_are_refused(world: World) {
    let ask = async |machine, file| world.store.quarantine(&world.caller(), machine, file, "x".into()).await;
    let here = world.home.machine;
    assert_eq!(ask(MachineId([1; 20]), sha1(1)).await, Err(SubmitError::UnknownMachine));
    world.report("none", &[], true).await;
    assert_eq!(ask(here, sha1(1)).await, Err(SubmitError::NothingGuarded));
    world.guarding().await;
    assert_eq!(ask(here, sha1(1)).await, Err(SubmitError::NotKnownThere));
    assert_eq!(world.head().await, world.at(0), "nothing was ordered");
    world.report("deny", &["/demo"], false).await;
    ask(here, sha1(1)).await.expect("before the first sweep the machine decides");
}

pub(crate) async fn the_same_file_by_another_name_is_already_open(world: World) {
    world.guarding().await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::AtRest), sighting(2, "/demo/b", Seen::AtRest)]).await;
    let (order, act) = ordered(&world, sha1(1)).await;
    for name in [sha1(1), sha256(1)] {
        let again = world.store.quarantine(&world.caller(), world.home.machine, name, "x".into()).await;
        assert_eq!(again, Err(SubmitError::AlreadyOpen));
    }
    ordered(&world, sha1(2)).await;
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    let (again, _) = ordered(&world, sha256(1)).await;
    assert_eq!(again.rule, order.rule, "the machine's own deny is in force already");
}

pub(crate) async fn copies_decide_how_it_ends(world: World) {
    world.guarding().await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::Running), sighting(2, "/demo/b", Seen::AtRest)]).await;
    let (order, act) = ordered(&world, sha1(1)).await;
    world.store.act_begun(world.home.organization, world.home.machine, act.id).await.unwrap();
    assert_eq!(shown(&world, &order).await.state, State::InProgress);
    let results = vec![copy("/demo/a", CopyState::Succeeded), copy("/demo/link", CopyState::Succeeded)];
    ended(&world, outcome(&act, results.clone())).await;
    let done = shown(&world, &order).await;
    assert_eq!((done.state, done.copies), (State::Succeeded, results));
    assert!(!world.store.copies(world.home.organization, sha1(1)).await.unwrap()[0].present);
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    assert!(acts.is_empty());

    let (order, act) = ordered(&world, sha1(2)).await;
    ended(&world, outcome(&act, vec![copy("/demo/b", CopyState::Failed)])).await;
    let done = shown(&world, &order).await;
    let reason = done.failure.unwrap().reason;
    assert_eq!(done.state, State::Failed);
    assert!(reason.contains("/demo/b") && reason.contains("a writer holds it"), "{reason}");
    assert!(world.store.copies(world.home.organization, sha1(2)).await.unwrap()[0].present);

    let (order, act) = ordered(&world, sha1(2)).await;
    ended(&world, outcome(&act, Vec::new())).await;
    let done = shown(&world, &order).await;
    assert_eq!((done.state, done.copies.len()), (State::Succeeded, 0), "nothing was left to do");
}

pub(crate) async fn a_result_told_twice_changes_nothing(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    let result =
        outcome(&act, vec![copy("/demo/a", CopyState::Failed), copy("/demo/b", CopyState::Succeeded)]);
    ended(&world, result.clone()).await;
    let (before, lines) = (shown(&world, &order).await, audit_length(&world).await);
    world.later(Duration::from_secs(1));
    ended(&world, result).await;
    world.store.act_begun(world.home.organization, world.home.machine, act.id).await.unwrap();
    assert_eq!((shown(&world, &order).await, audit_length(&world).await), (before, lines));

    let unknown = Outcome { act: model::ActId::random(), ..outcome(&act, Vec::new()) };
    ended(&world, unknown).await;
    assert_eq!(audit_length(&world).await, lines + 1, "kept in the audit at least");
}

async fn audit_length(world: &World) -> usize {
    world.store.audit(world.home.organization, 0, 1000).await.unwrap().len()
}

pub(crate) async fn what_nobody_begins_times_out_and_a_late_result_is_kept(world: World) {
    world.guarding().await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::AtRest)]).await;
    let (order, act) = ordered(&world, sha1(1)).await;
    world.store.expire().await.unwrap();
    assert_eq!(shown(&world, &order).await.state, State::Pending);
    world.later(Duration::from_secs(3 * 24 * 3600));
    world.store.expire().await.unwrap();
    let over = shown(&world, &order).await;
    assert_eq!((over.state, over.copies[0].state), (State::TimeOut, CopyState::Failed));
    assert!(over.failure.is_some());

    let late = vec![copy("/demo/a", CopyState::Succeeded)];
    for _ in 0..2 {
        ended(&world, outcome(&act, late.clone())).await;
        let kept = shown(&world, &order).await;
        assert_eq!((kept.state, &kept.copies), (State::TimeOut, &late), "the end stays, the result is shown");
        assert_eq!((kept.late.map(|late| late.state), kept.stopped), (Some(State::Succeeded), 2));
    }
    let audit = world.store.audit(world.home.organization, 0, 100).await.unwrap();
    assert_eq!(audit.iter().filter(|line| line.what == "act.late").count(), 1);
    assert!(!world.store.copies(world.home.organization, sha1(1)).await.unwrap()[0].present);
}

pub(crate) async fn a_failure_of_the_act_is_the_orders(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    let failure = Failure::because("the vault is full");
    let copies = vec![copy("/demo/a", CopyState::Succeeded)];
    let services = vec!["demo.service".to_owned()];
    let told =
        Outcome { failure: Some(failure.clone()), services: services.clone(), ..outcome(&act, copies) };
    ended(&world, told).await;
    let done = shown(&world, &order).await;
    assert_eq!((done.stopped, &done.services), (2, &services));
    assert!(done.is_partly_done());
    assert_eq!((done.state, done.failure), (State::Failed, Some(failure)));
}

pub(crate) async fn a_machine_that_was_too_late_says_nothing_new(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    let too_late =
        Outcome { failure: Some(Failure::timed_out("no")), stopped: 0, ..outcome(&act, Vec::new()) };
    ended(&world, too_late.clone()).await;
    let over = shown(&world, &order).await;
    assert_eq!((over.state, over.is_partly_done()), (State::TimeOut, false));
    ended(&world, Outcome { failure: Some(Failure::timed_out("in other words")), ..too_late }).await;
    assert_eq!(shown(&world, &order).await, over);
}

pub(crate) async fn what_a_machine_began_and_forgot_ends_after_a_week(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    world.store.act_begun(world.home.organization, world.home.machine, act.id).await.unwrap();
    world.later(Duration::from_secs(7 * 24 * 3600));
    world.store.expire().await.unwrap();
    assert_eq!(shown(&world, &order).await.state, State::InProgress);
    world.later(Duration::from_secs(1));
    world.store.expire().await.unwrap();
    assert_eq!(shown(&world, &order).await.state, State::TimeOut);
    ordered(&world, sha1(1)).await;
}
