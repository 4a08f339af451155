use std::time::Duration;

use model::act::{CopyState, Outcome, Terms};
use model::log::Change;
use model::order::{Failure, Order, State};
use model::sighting::Seen;
use model::{ActId, OrderId};
use server::store::SubmitError;

use crate::quarantines::{copy, ended, ordered, outcome, shown};
use crate::world::{World, sha1, sighting};

async fn cancelled(world: &World, order: OrderId) -> Result<Order, SubmitError> {
    world.store.cancel(&world.caller(), order, "false alarm".into()).await
}

async fn handed(world: &World, act: ActId) -> usize {
    world.store.hand_out(world.home.organization, vec![act]).await.unwrap().len()
}

/// Whether some rule is in force.
async fn denies(world: &World) -> bool {
    let log = world.store.log(world.home.organization, Default::default(), 100).await.unwrap();
    let begun = log.iter().filter(|entry| matches!(entry.change, Change::Begin(_))).count();
    begun * 2 > log.len()
}

pub(crate) async fn what_no_machine_has_heard_of_is_cancelled_at_once(world: World) {
    world.guarding().await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::AtRest)]).await;
    let (order, act) = ordered(&world, sha1(1)).await;
    assert!(denies(&world).await);
    let over = cancelled(&world, order.id).await.unwrap();
    assert_eq!((over.state, over.copies[0].state), (State::Cancelled, CopyState::Failed));
    let cancellation = over.cancellation.unwrap();
    assert_eq!((&*cancellation.by, &*cancellation.comment), ("tests", "false alarm"));
    assert!(!denies(&world).await, "the deny ends with its only order");
    assert_eq!(handed(&world, act.id).await, 0, "a machine that comes now does not get it");
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    assert!(acts.is_empty());
    assert!(matches!(cancelled(&world, order.id).await, Err(SubmitError::NotCancellable(_))));
    let refused =
        world.store.undo(&world.caller(), order.id, Terms::default(), "x".into()).await.unwrap_err();
    assert!(refused.to_string().contains("nothing to undo"), "{refused}");
    let audit = world.store.audit(world.home.organization, 0, 100).await.unwrap();
    for what in ["order.cancel", "act.cancelled", "order.cancelled", "rule.end"] {
        assert_eq!(audit.iter().filter(|line| line.what == what).count(), 1, "{what}");
    }
}

pub(crate) async fn of_what_was_handed_out_the_machine_decides(world: World) {
    world.guarding().await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::AtRest)]).await;
    let (order, act) = ordered(&world, sha1(1)).await;
    assert_eq!(handed(&world, act.id).await, 1);
    let asked = cancelled(&world, order.id).await.unwrap();
    assert_eq!((asked.state, asked.cancellation.is_some()), (State::Pending, true));
    assert!(denies(&world).await, "until the machine has answered");
    world.later(Duration::from_secs(1));
    assert_eq!(cancelled(&world, order.id).await.unwrap(), asked, "asking again changes nothing");
    let open = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    assert_eq!((open.len(), open[0].is_cancelled, open[0].is_handed), (1, true, true));

    let failure = Some(Failure::cancelled("cancelled before the machine began"));
    ended(&world, Outcome { failure, stopped: 0, ..outcome(&act, Vec::new()) }).await;
    assert_eq!(shown(&world, &order).await.state, State::Cancelled);
    assert!(!denies(&world).await);
}

pub(crate) async fn what_has_begun_goes_on_and_its_result_stands(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    handed(&world, act.id).await;
    world.store.act_begun(world.home.organization, world.home.machine, act.id).await.unwrap();
    assert_eq!(cancelled(&world, order.id).await.unwrap().state, State::InProgress);
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    let done = shown(&world, &order).await;
    assert_eq!((done.state, done.cancellation.is_some()), (State::Succeeded, true));
    assert!(denies(&world).await);
    world.store.undo(&world.caller(), order.id, Terms::default(), "then so".into()).await.unwrap();
}

pub(crate) async fn a_machine_that_never_comes_back_ends_as_cancelled_too(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    handed(&world, act.id).await;
    cancelled(&world, order.id).await.unwrap();
    world.later(Duration::from_secs(3 * 24 * 3600));
    world.store.expire().await.unwrap();
    assert_eq!(shown(&world, &order).await.state, State::Cancelled);
    assert!(!denies(&world).await);

    // What it did all the same is shown, and can be taken back.
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    let kept = shown(&world, &order).await;
    assert_eq!((kept.state, kept.is_partly_done()), (State::Cancelled, true));
    assert_eq!(kept.late.map(|late| late.state), Some(State::Succeeded));
    world.store.undo(&world.caller(), order.id, Terms::default(), "x".into()).await.unwrap();
}

pub(crate) async fn a_withdrawn_restore_leaves_all_as_it_was(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    let restore = world.store.undo(&world.caller(), order.id, Terms::default(), "x".into()).await.unwrap();
    assert!(!denies(&world).await);
    assert_eq!(shown(&world, &order).await.undone_by, Some(restore.id));
    assert_eq!(cancelled(&world, restore.id).await.unwrap().state, State::Cancelled);
    assert!(denies(&world).await, "its copies rest in the vault, so the file may not run either");
    assert_eq!(shown(&world, &order).await.undone_by, None);
    world.store.undo(&world.caller(), order.id, Terms::default(), "after all".into()).await.unwrap();
    assert!(!denies(&world).await);
}

pub(crate) async fn what_takes_effect_at_once_is_not_cancelled(world: World) {
    assert_eq!(cancelled(&world, OrderId::random()).await, Err(SubmitError::UnknownOrder));
    let block = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let refused = cancelled(&world, block.order).await.unwrap_err();
    assert!(refused.to_string().contains("undo it instead"), "{refused}");
}
