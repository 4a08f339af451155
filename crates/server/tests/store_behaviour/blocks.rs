use std::time::Duration;

use model::order::{State, Want};
use model::spared::{Record, Spared};
use server::store::{Caller, Page, SubmitError};

use crate::world::{World, file, sha1, sha256};

pub(crate) async fn a_block_is_one_rule_however_often_it_is_asked_for(world: World) {
    let first = world.store.block(&world.caller(), sha1(1), "why".into()).await.unwrap();
    let again_at = world.later(Duration::from_secs(5));
    let again = world.store.block(&world.caller(), sha1(1), "because".into()).await.unwrap();
    assert_eq!((again.rule, again.created), (first.rule, first.created));
    assert_eq!((again.comment.as_str(), again.updated), ("because", again_at));
    assert_ne!(again.order, first.order, "each request is an order of its own");
    assert_eq!(world.head().await, world.at(1), "asking again changes nobody's rules");
    assert_eq!(world.store.blocks(world.home.organization, Page::ALL).await.unwrap(), [again]);
    assert_eq!(
        world.store.orders(world.home.organization, Page { skip: 0, top: 10 }).await.unwrap().len(),
        2
    );
}

pub(crate) async fn names_of_different_kinds_are_different_blocks(world: World) {
    let short = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let long = world.store.block(&world.caller(), sha256(1), "b".into()).await.unwrap();
    assert_ne!(short.rule, long.rule);
    let all = world.store.blocks(world.home.organization, Page::ALL).await.unwrap();
    assert_eq!(all, [long.clone(), short], "newest first");

    world.saw(1, vec![crate::world::sighting(1, "/a", model::sighting::Seen::AtRest)]).await;
    let known = world.store.file(world.home.organization, sha1(1)).await.unwrap().unwrap();
    assert_eq!(known.blocked.len(), 2);
    world.store.unblock(&world.caller(), sha1(1), "c".into()).await.unwrap();
    let known = world.store.file(world.home.organization, sha1(1)).await.unwrap().unwrap();
    assert_eq!(known.blocked, [long.rule]);
}

pub(crate) async fn unblock_ends_what_was_blocked_and_nothing_else(world: World) {
    let refused = world.store.unblock(&world.caller(), sha1(1), "no".into()).await;
    assert_eq!(refused, Err(SubmitError::NotBlocked));
    let block = world.store.block(&world.caller(), sha1(1), "why".into()).await.unwrap();
    let at = world.later(Duration::from_secs(1));
    let ended = world.store.unblock(&world.caller(), sha1(1), "sorry".into()).await.unwrap();
    assert_eq!((ended.rule, ended.created, ended.comment.as_str()), (block.rule, block.created, "why"));
    let cancellation = ended.cancellation.unwrap();
    assert_eq!((cancellation.at, cancellation.comment.as_str()), (at, "sorry"));
    let order = world.store.order(world.home.organization, ended.order).await.unwrap().unwrap();
    assert_eq!((order.want, order.generation.0), (Want::Unblock(sha1(1)), 2));
    assert!(world.store.blocks(world.home.organization, Page::ALL).await.unwrap().is_empty());

    let anew = world.store.block(&world.caller(), sha1(1), "again".into()).await.unwrap();
    assert_ne!(anew.rule, block.rule, "a rule that has ended never comes back");
    assert_eq!(anew.cancellation, None);
}

pub(crate) async fn a_block_is_done_when_every_machine_has_adopted_it(world: World) {
    let organization = world.home.organization;
    let other = world.neighbour(1).await;
    let block = world.store.block(&world.caller(), sha1(1), "why".into()).await.unwrap();
    let state = async || world.store.order(organization, block.order).await.unwrap().unwrap().state;
    assert_eq!(state().await, State::InProgress);
    world.store.adopted(organization, world.home.machine, world.at(0)).await.unwrap();
    assert_eq!(state().await, State::InProgress);
    world.store.adopted(organization, world.home.machine, world.at(1)).await.unwrap();
    assert_eq!(state().await, State::InProgress, "one machine has not");
    world.store.adopted(organization, other, world.at(1)).await.unwrap();
    assert_eq!(state().await, State::Succeeded);
    let again = world.store.block(&world.caller(), sha1(1), "why".into()).await.unwrap();
    let again = world.store.order(organization, again.order).await.unwrap().unwrap();
    assert_eq!(again.state, State::Succeeded, "it is in force everywhere already");
}

pub(crate) async fn what_is_spared_anywhere_is_not_blocked(world: World) {
    let package = Record::Package("bash".to_owned());
    let shell = Spared { path: "/bin/bash".into(), digests: file(1), recorded_by: package };
    let ours = Spared { path: "/usr/bin/quell".into(), digests: file(2), recorded_by: Record::Baseline };
    let (organization, machine) = (world.home.organization, world.home.machine);
    world.store.spared(organization, machine, vec![shell, ours.clone()], vec![]).await.unwrap();
    for name in [sha1(1), sha256(1)] {
        let refused = world.store.block(&world.caller(), name, "x".into()).await.unwrap_err();
        let text = refused.to_string();
        let told = ["/bin/bash", "bash", "alpha"].iter().all(|word| text.contains(word));
        assert!(told && matches!(refused, SubmitError::Spared { .. }), "{text}");
    }
    assert_eq!(world.head().await, world.at(0), "a refusal leaves nothing behind");
    assert!(world.store.orders(organization, Page { skip: 0, top: 10 }).await.unwrap().is_empty());
    assert!(world.store.quarantine(&world.caller(), machine, sha1(2), "x".into()).await.is_err());

    world.store.spared(organization, machine, vec![ours], vec![]).await.unwrap();
    world.store.block(&world.caller(), sha1(1), "a trojaned one".into()).await.unwrap();
}

pub(crate) async fn what_lies_where_a_spared_file_belongs_must_be_confirmed(world: World) {
    let package = Record::Package("openssh-client".to_owned());
    let trojaned = Spared { path: "/usr/bin/ssh".into(), digests: file(1), recorded_by: package };
    let (organization, machine) = (world.home.organization, world.home.machine);
    world.store.spared(organization, machine, vec![], vec![trojaned]).await.unwrap();
    for name in [sha1(1), sha256(1)] {
        let refused = world.store.block(&world.caller(), name, "x".into()).await.unwrap_err();
        assert!(matches!(refused, SubmitError::Unconfirmed { .. }), "{refused}");
    }
    let by = Caller { confirms: true, ..world.caller() };
    world.store.block(&by, sha1(1), "I saw it".into()).await.unwrap();
    let audit = world.store.audit(organization, 0, 100).await.unwrap();
    let confirmed = audit.iter().find(|line| line.what == "spared.confirm").expect("it is in the audit");
    assert_eq!(
        (confirmed.subject.as_str(), confirmed.comment.as_str()),
        ("/usr/bin/ssh on alpha", "I saw it")
    );
}

pub(crate) async fn each_step_is_in_the_audit(world: World) {
    let organization = world.home.organization;
    world.store.block(&world.caller(), sha1(1), "why".into()).await.unwrap();
    world.adopt().await;
    world.store.unblock(&world.caller(), sha1(1), "sorry".into()).await.unwrap();
    let audit = world.store.audit(organization, 0, 100).await.unwrap();
    let what: Vec<_> = audit.iter().map(|line| line.what.as_str()).collect();
    let expected = ["home.made", "rule.begin", "order.block", "order.succeeded", "rule.end", "order.unblock"];
    assert_eq!(what, expected);
    assert!(audit.iter().zip(1..).all(|(line, sequence)| line.sequence == sequence));
    let asked = &audit[2];
    assert_eq!(
        (asked.who.as_str(), asked.from.as_str(), asked.comment.as_str()),
        ("tests", "127.0.0.1", "why")
    );
    assert_eq!(audit[3].who, "agent on alpha");
}
