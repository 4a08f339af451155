use model::log::Change;
use model::rule::{Identifier, Scope};
use model::{Epoch, Generation, MachineId};
use server::store::{Page, RuleDelta, StoreError};
use sha2::{Digest, Sha256};

use crate::world::{World, file, sha1, sha256};

pub(crate) async fn generations_are_gapless_and_chained(world: World) {
    for number in 0..5 {
        world.store.block(&world.caller(), sha1(number), "in".into()).await.unwrap();
        world.store.unblock(&world.caller(), sha1(number), "out".into()).await.unwrap();
    }
    world.store.quarantine(&world.caller(), world.home.machine, sha256(9), "q".into()).await.unwrap();
    let world = world.restarted();
    let entries = world.store.log(world.home.organization, Generation(0), 100).await.unwrap();
    assert_eq!(entries.len(), 11);
    let mut chain = [0; 32];
    for (entry, generation) in entries.iter().zip(1..) {
        assert_eq!(entry.generation, Generation(generation));
        let bytes = wire::link::rules::chained_bytes(entry.generation, &entry.change);
        chain = Sha256::new().chain_update(chain).chain_update(bytes).finalize().into();
        assert_eq!(entry.chain, chain, "at generation {generation}");
    }
    let RuleDelta::Delta { chain: head, .. } = world.since(world.at(11)).await else { panic!("a delta") };
    assert_eq!(head, chain);
}

pub(crate) async fn a_machine_gets_what_concerns_it_and_the_head(world: World) {
    world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    world.store.quarantine(&world.caller(), world.home.machine, sha256(2), "b".into()).await.unwrap();
    let RuleDelta::Delta { from, to, entries, .. } = world.since(world.at(0)).await else {
        panic!("a delta")
    };
    assert_eq!((from.0, to.0, entries.len()), (0, 2, 2));
    let Change::Begin(rule) = entries[1].change else { panic!("a rule begins") };
    assert_eq!(rule.identifier, Identifier::Sha256(file(2).sha256));
    assert_eq!(rule.scope, Scope::Machine(world.home.machine));
    assert!(world.since(world.at(2)).await.is_empty());
    let other = world.neighbour(1).await;
    let theirs = world.store.rules_since(world.home.organization, other, world.at(0)).await.unwrap();
    let RuleDelta::Delta { to, entries, .. } = theirs else { panic!("a delta") };
    assert_eq!((to.0, entries.len()), (2, 1), "not the other machine's own rule, but its generation");
    let theirs = world.store.rules_since(world.home.organization, other, Default::default()).await.unwrap();
    let RuleDelta::Whole { rules, .. } = theirs else { panic!("the whole set") };
    assert_eq!(rules.len(), 1);
    let unknown = world.store.rules_since(world.home.organization, MachineId([7; 20]), world.at(0)).await;
    assert_eq!(unknown, Err(StoreError::UnknownMachine));
}

pub(crate) async fn another_log_or_one_ahead_gets_the_whole_set(world: World) {
    world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    world.store.block(&world.caller(), sha1(2), "b".into()).await.unwrap();
    world.store.unblock(&world.caller(), sha1(1), "c".into()).await.unwrap();
    let elsewhere = model::log::Position { epoch: Epoch(1), generation: Generation(3) };
    for from in [elsewhere, world.at(4), model::log::Position::default()] {
        let RuleDelta::Whole { epoch, to, rules, .. } = world.since(from).await else {
            panic!("the whole set")
        };
        assert_eq!((epoch, to, rules.len()), (world.home.epoch, Generation(3), 1));
        assert_eq!(rules[0].identifier, Identifier::Sha1(file(2).sha1));
    }
}

pub(crate) async fn everything_is_there_after_a_restart(world: World) {
    let block = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let order =
        world.store.quarantine(&world.caller(), world.home.machine, sha1(2), "b".into()).await.unwrap();
    let acts = world.store.acts_for(world.home.organization, world.home.machine).await.unwrap();
    let world = world.restarted();
    let organization = world.home.organization;
    assert_eq!(world.store.home("another name").await.unwrap(), world.home);
    assert_eq!(world.store.blocks(organization, Page::ALL).await.unwrap(), [block]);
    assert_eq!(world.store.order(organization, order.id).await.unwrap(), Some(order));
    assert_eq!(world.store.acts_for(organization, world.home.machine).await.unwrap(), acts);
    world.store.block(&world.caller(), sha1(3), "c".into()).await.unwrap();
    assert_eq!(world.head().await, world.at(3));
}

pub(crate) async fn only_the_machines_own_rule_can_be_lifted(world: World) {
    let (organization, machine) = (world.home.organization, world.home.machine);
    let block = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let order = world.store.quarantine(&world.caller(), machine, sha1(2), "b".into()).await.unwrap();
    let own = order.rule.unwrap();
    for other in [block.rule, model::RuleId(99)] {
        let refused = world.store.lifted(organization, machine, other, "mine".into()).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    let other = world.neighbour(1).await;
    let refused = world.store.lifted(organization, other, own, "not mine".into()).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    for _ in 0..2 {
        world.store.lifted(organization, machine, own, "restored by hand".into()).await.unwrap();
        assert_eq!(world.head().await, world.at(3), "told twice, ended once");
    }
    let audit = world.store.audit(organization, 0, 100).await.unwrap();
    let ended: Vec<_> = audit.iter().filter(|line| line.what == "rule.end").collect();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].who.as_str(), ended[0].comment.as_str()), ("root on alpha", "restored by hand"));
}
