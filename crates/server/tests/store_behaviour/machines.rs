use model::log::Position;
use model::order::State;
use model::{Epoch, Generation, MachineId};
use server::store::{Application, StoreError};
use uuid::Uuid;

use crate::world::{World, sha1};

pub(crate) async fn the_home_is_made_once(world: World) {
    assert_eq!(world.store.home("renamed").await.unwrap(), world.home);
    assert_ne!(world.home.epoch, Epoch(0), "zero is the ledger's \"no log yet\"");
    let machines = world.store.machines(world.home.organization).await.unwrap();
    assert_eq!(machines.len(), 1);
    assert_eq!((machines[0].id, machines[0].name.as_str()), (world.home.machine, "alpha"));
    let none = world.store.machine(world.home.organization, MachineId([1; 20])).await.unwrap();
    assert_eq!(none, None);
}

pub(crate) async fn applications_come_back_as_they_went(world: World) {
    let mut application = Application {
        client: Uuid::new_v4(),
        organization: world.home.organization,
        name: "playbook".to_owned(),
        secret_sha256: [7; 32],
        roles: vec!["File.Read.All".to_owned(), "Ti.ReadWrite".to_owned()],
    };
    assert_eq!(world.store.application(application.client).await.unwrap(), None);
    world.store.put_application(application.clone()).await.unwrap();
    assert_eq!(world.store.application(application.client).await.unwrap().as_ref(), Some(&application));
    application.roles.clear();
    world.store.put_application(application.clone()).await.unwrap();
    assert_eq!(world.store.application(application.client).await.unwrap(), Some(application.clone()));
    assert!(!format!("{application:?}").contains("secret"));
}

pub(crate) async fn a_machine_says_of_itself_what_it_likes_but_not_what_it_adopted(world: World) {
    let block = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let attached = world.store.attach(world.hello(world.at(1))).await.unwrap();
    assert_eq!(attached.machine.os_version, "Debian 13");
    assert_eq!(attached.machine.addresses, ["10.0.0.1", "::1"]);
    // What its ledger holds is not in force before it says so.
    let state =
        async || world.store.order(world.home.organization, block.order).await.unwrap().unwrap().state;
    assert_eq!(state().await, State::InProgress);
    world.adopt().await;
    assert_eq!(state().await, State::Succeeded);

    let hello = server::store::Attach { machine: MachineId([1; 20]), ..world.hello(world.at(0)) };
    assert_eq!(world.store.attach(hello).await, Err(StoreError::UnknownMachine));
}

pub(crate) async fn a_ledger_that_lost_rules_counts_as_such(world: World) {
    world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    world.adopt().await;
    let attached = world.store.attach(world.hello(Position::default())).await.unwrap();
    assert_eq!(attached.machine.position, Position::default());
    let again = world.store.block(&world.caller(), sha1(1), "a".into()).await.unwrap();
    let again = world.store.order(world.home.organization, again.order).await.unwrap().unwrap();
    assert_eq!(again.state, State::InProgress, "it is not in force there any more");
}

pub(crate) async fn a_place_the_log_does_not_have_is_refused(world: World) {
    let (organization, machine) = (world.home.organization, world.home.machine);
    let elsewhere = Position { epoch: Epoch(3), generation: Generation(0) };
    for place in [world.at(1), elsewhere] {
        let refused = world.store.adopted(organization, machine, place).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    world.store.adopted(organization, machine, world.at(0)).await.unwrap();
}
