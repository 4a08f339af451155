use model::act::{CopyState, Do, Outcome, Terms};
use model::log::Change;
use model::order::{Failure, State, Want};
use model::sighting::Seen;
use model::{Generation, OrderId};
use server::store::SubmitError;

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
    assert_eq!((&acts[0].what, acts[0].after), (&Do::Restore(order.id, Terms::default()), world.at(2)));
    let twice = undone(&world, order.id).await.unwrap_err();
    assert!(matches!(twice, SubmitError::NotUndoable(_)), "{twice}");
    let again = world.store.quarantine(&world.caller(), world.home.machine, sha1(1), "x".into()).await;
    assert_eq!(again, Err(SubmitError::AlreadyOpen));

    ended(&world, outcome(&acts[0], vec![copy("/demo/a", CopyState::Succeeded)])).await;
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
    assert_eq!(acts[0].what, Do::Restore(order.id, terms));
    let audit = world.store.audit(world.home.organization, 0, 1000).await.unwrap();
    assert!(audit.iter().any(|row| row.what == "order.restore.privileges"));
}

pub(crate) async fn a_failed_restore_may_be_tried_again(world: World) {
    let (order, act) = ordered(&world, sha1(1)).await;
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    let first = undone(&world, order.id).await.unwrap();
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    let taken = Failure::because("something else lies there now");
    ended(&world, Outcome { failure: Some(taken), ..outcome(&acts[0], Vec::new()) }).await;
    let second = undone(&world, order.id).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(world.head().await, world.at(2), "the machine's own deny ended with the first try");
}

pub(crate) async fn the_undo_of_a_block_is_an_unblock_and_back(world: World) {
    let block = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let unblock = undone(&world, block.order).await.unwrap();
    assert_eq!((unblock.want, unblock.undoes), (Want::Unblock(sha1(1)), Some(block.order)));
    assert!(world.store.blocks(world.home.organization).await.unwrap().is_empty());
    assert!(matches!(undone(&world, block.order).await, Err(SubmitError::NotUndoable(_))));
    let anew = undone(&world, unblock.id).await.unwrap();
    assert_eq!(anew.want, Want::Block(sha1(1)));
    assert_eq!(world.store.blocks(world.home.organization).await.unwrap().len(), 1);
}

pub(crate) async fn what_is_open_or_unknown_is_not_undone(world: World) {
    assert_eq!(undone(&world, OrderId::random()).await, Err(SubmitError::UnknownOrder));
    let block = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    world.store.unblock(&world.caller(), sha1(1), "b".into()).await.unwrap();
    world.store.block(&world.caller(), sha1(1), "c".into()).await.unwrap();
    let refused = undone(&world, block.order).await.unwrap_err();
    assert!(refused.to_string().contains("ended already"), "that block is another one: {refused}");
}
