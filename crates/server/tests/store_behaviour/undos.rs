use model::act::{CopyState, Do, Outcome, Terms};
use model::log::Change;
use model::order::{Failure, State, Want};
use model::sighting::Seen;
use model::{Generation, OrderId};
use server::store::{Page, SubmitError};

use crate::quarantines::{copy, ended, ordered, outcome, shown};
use crate::world::{World, sha1, sighting};

async fn undone(world: &World, order: OrderId) -> Result<model::order::Order, SubmitError> {
    world.store.undo(&world.caller(), order, Terms::default(), "sorry".into()).await
}

pub(crate) async fn the_undo_of_a_quarantine_restores(world: World) {
    world.guarding().await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::AtRest)]).await;
    let (order, act) = ordered(&world, sha1(1)).await;
    let refused = undone(&world, order.id).await.unwrap_err();
    assert!(refused.to_string().contains("wait"), "{refused}");
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;

    let restore = undone(&world, order.id).await.unwrap();
    assert_eq!(restore.want, Want::Restore(world.home.machine, sha1(1)));
    assert_eq!((restore.undoes, restore.state), (Some(order.id), State::Pending));
    assert_eq!(restore.copies[0].state, CopyState::InProgress);
    assert!(restore.copies[0].vault.is_some());
    let log = world.store.log(world.home.organization, Generation(1), 10).await.unwrap();
    assert_eq!(log[0].change, Change::End(order.rule.unwrap()));
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    assert_eq!(
        (&acts[0].act.what, acts[0].act.after),
        (&Do::Restore(order.id, Terms::default()), world.at(2))
    );
    let twice = undone(&world, order.id).await.unwrap_err();
    assert!(matches!(twice, SubmitError::NotUndoable(_)), "{twice}");
    let again = world.store.quarantine(&world.caller(), world.home.machine, sha1(1), "x".into()).await;
    assert_eq!(again, Err(SubmitError::AlreadyOpen));

    ended(&world, outcome(&acts[0].act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    assert_eq!(shown(&world, &restore).await.state, State::Succeeded);
    assert!(world.store.copies(world.home.organization, sha1(1)).await.unwrap()[0].present);
    let twice = undone(&world, order.id).await.unwrap_err();
    assert!(twice.to_string().contains("already"), "{twice}");
    assert!(matches!(undone(&world, restore.id).await, Err(SubmitError::NotUndoable(_))));
    assert_eq!(world.head().await, world.at(2));
}

pub(crate) async fn the_terms_of_a_restore_reach_the_machine(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    let terms = Terms { beside: true, keep_privileges: true };
    world.store.undo(&world.caller(), order.id, terms, "sorry".into()).await.unwrap();
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    assert_eq!(acts[0].act.what, Do::Restore(order.id, terms));
    let audit = world.store.audit(world.home.organization, 0, 1000).await.unwrap();
    assert!(audit.iter().any(|row| row.what == "order.restore.privileges"));
}

pub(crate) async fn a_failed_restore_may_be_tried_again(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    let first = undone(&world, order.id).await.unwrap();
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    let taken = Failure::because("something else lies there now");
    ended(&world, Outcome { failure: Some(taken), ..outcome(&acts[0].act, Vec::new()) }).await;
    let second = undone(&world, order.id).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(world.head().await, world.at(2), "the machine's own deny ended with the first try");
}

pub(crate) async fn a_restore_that_its_machine_did_not_begin_in_time_leaves_the_deny(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    let restore = undone(&world, order.id).await.unwrap();
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    let late = Failure::timed_out("the deadline is over by this machine's clock");
    ended(&world, Outcome { failure: Some(late), ..outcome(&acts[0].act, Vec::new()) }).await;
    assert_eq!(shown(&world, &restore).await.state, State::TimeOut);
    let log = world.store.log(world.home.organization, Generation(2), 10).await.unwrap();
    assert!(matches!(log[..], [ref entry] if matches!(entry.change, Change::Begin(_))), "{log:?}");
    assert!(undone(&world, order.id).await.is_ok(), "and it may be tried again");
}

pub(crate) async fn the_undo_of_an_unblock_asks_what_a_block_asks(world: World) {
    world.guarding().await;
    world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let block = world.store.unblock(&world.caller(), sha1(1), "b".into()).await.unwrap();
    // Since then the machine has found that it lies where a spared file belongs.
    world.strange(1, "/usr/bin/ssh").await;
    let refused = undone(&world, block.order).await;
    assert!(matches!(refused, Err(SubmitError::Unconfirmed { .. })), "{refused:?}");
    assert!(world.store.blocks(world.home.organization, Page::ALL).await.unwrap().is_empty());
    let sure = server::store::Caller { confirms: true, ..world.caller() };
    let again = world.store.undo(&sure, block.order, Terms::default(), "c".into()).await.unwrap();
    assert_eq!((again.want, again.undoes), (Want::Block(sha1(1)), Some(block.order)));
}

pub(crate) async fn two_who_undo_one_order_are_told_apart(world: World) {
    let block = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let (one, other) = tokio::join!(undone(&world, block.order), undone(&world, block.order));
    let told = [one, other];
    assert_eq!(told.iter().filter(|done| done.is_ok()).count(), 1, "{told:?}");
    let refused = told.iter().find_map(|done| done.as_ref().err()).unwrap().to_string();
    assert!(refused.contains("undone"), "{refused}");
}

pub(crate) async fn the_undo_of_a_block_is_an_unblock(world: World) {
    let block = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let unblock = undone(&world, block.order).await.unwrap();
    assert_eq!((unblock.want, unblock.undoes), (Want::Unblock(sha1(1)), Some(block.order)));
    assert!(world.store.blocks(world.home.organization, Page::ALL).await.unwrap().is_empty());
    assert!(matches!(undone(&world, block.order).await, Err(SubmitError::NotUndoable(_))));
    let refused = undone(&world, unblock.id).await.unwrap_err().to_string();
    assert!(refused.contains("itself an undo") && refused.contains("block the file anew"), "{refused}");

    // An unblock that somebody asked for is an order as any other.
    world.store.block(&world.caller(), sha1(1), "b".into()).await.unwrap();
    let unblock = world.store.unblock(&world.caller(), sha1(1), "c".into()).await.unwrap();
    let anew = undone(&world, unblock.order).await.unwrap();
    assert_eq!((anew.want, anew.undoes), (Want::Block(sha1(1)), Some(unblock.order)));
    assert_eq!(world.store.blocks(world.home.organization, Page::ALL).await.unwrap().len(), 1);
    assert!(matches!(undone(&world, anew.id).await, Err(SubmitError::NotUndoable(_))));
}

/// Rules in force on the machine.
async fn rules(world: &World) -> usize {
    match world.since(Default::default()).await {
        server::store::RuleDelta::Whole { rules, .. } => rules.len(),
        delta => panic!("a machine without a log gets all: {delta:?}"),
    }
}

pub(crate) async fn a_deny_ends_with_the_last_order_that_wants_it(world: World) {
    world.guarding().await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::AtRest)]).await;
    let (first, act) = ordered(&world, sha1(1)).await;
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    // By another of the file's names: still the same deny.
    let (second, act) = ordered(&world, crate::world::sha256(1)).await;
    ended(&world, outcome(&act, vec![copy("/demo/b", CopyState::Succeeded)])).await;
    assert_eq!((second.rule, rules(&world).await), (first.rule, 1));

    let shown = world.store.inverse(world.home.organization, first.id).await.unwrap();
    assert_eq!((shown.copies, shown.ends, &*shown.kept_by), (1, None, &[second.id][..]));
    let restore = undone(&world, first.id).await.unwrap();
    assert_eq!(rules(&world).await, 1, "the other order wants it");
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    let home = vec![copy("/demo/a", CopyState::Succeeded)];
    ended(&world, outcome(&acts[0].act, home)).await;
    assert_eq!(crate::quarantines::shown(&world, &restore).await.state, State::Succeeded);

    let shown = world.store.inverse(world.home.organization, second.id).await.unwrap();
    assert_eq!((shown.ends, shown.kept_by.len()), (second.rule, 0));
    undone(&world, second.id).await.unwrap();
    assert_eq!(rules(&world).await, 0, "that was the last");
}

pub(crate) async fn a_block_ends_with_the_last_order_or_by_an_unblock(world: World) {
    let block = async || world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let (first, second) = (block().await, block().await);
    assert_eq!(first.rule, second.rule);
    world.adopt().await;
    let undo = undone(&world, second.order).await.unwrap();
    assert_eq!((undo.state, rules(&world).await), (State::Succeeded, 1), "the first order wants it still");
    undone(&world, first.order).await.unwrap();
    assert_eq!(rules(&world).await, 0);

    let (first, second) = (block().await, block().await);
    world.store.unblock(&world.caller(), sha1(1), "whoever wanted it".into()).await.unwrap();
    assert_eq!(rules(&world).await, 0);
    for order in [first.order, second.order] {
        let refused = undone(&world, order).await.unwrap_err().to_string();
        assert!(refused.contains("ended already"), "{refused}");
    }
}

pub(crate) async fn what_root_lifted_nobody_wants(world: World) {
    world.guarding().await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::AtRest)]).await;
    let (order, act) = ordered(&world, sha1(1)).await;
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    let (organization, machine) = (world.home.organization, world.home.machine);
    world.store.lifted(organization, machine, order.rule.unwrap(), "by hand".into()).await.unwrap();
    assert_eq!(rules(&world).await, 0);
    let inverse = world.store.inverse(organization, order.id).await.unwrap();
    assert_eq!((inverse.copies, inverse.ends), (1, None), "the copy may still be brought back");
    let restore = undone(&world, order.id).await.unwrap();
    // Withdrawn, it puts no deny back that it had not ended.
    world.store.cancel(&world.caller(), restore.id, "no".into()).await.unwrap();
    assert_eq!(rules(&world).await, 0);
}

pub(crate) async fn what_is_open_or_unknown_is_not_undone(world: World) {
    assert_eq!(undone(&world, OrderId::random()).await, Err(SubmitError::UnknownOrder));
    let block = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    world.store.unblock(&world.caller(), sha1(1), "b".into()).await.unwrap();
    world.store.block(&world.caller(), sha1(1), "c".into()).await.unwrap();
    let refused = undone(&world, block.order).await.unwrap_err();
    assert!(refused.to_string().contains("ended already"), "that block is another one: {refused}");
}
