use model::MachineId;
use model::facts::{Facts, FileType};
use model::inspection::{Carrier, Inspection, Outcome, Signature, VERSION};
use model::sighting::Seen;
use server::store::{KnownInspection, StoreError};

use crate::world::{World, file, sha1, sighting};

fn record(publisher: &str) -> Inspection {
    Inspection {
        facts: Facts { size: 42, file_type: FileType::Elf, subtype: Some("Program".to_owned()) },
        publisher: Some(publisher.to_owned()),
        ..Inspection::default()
    }
}

impl World {
    async fn inspected(&self, machine: MachineId, version: u32, record: &Inspection) {
        let organization = self.home.organization;
        let done = self.store.inspected(organization, machine, file(1).sha256, version, record.clone());
        done.await.unwrap();
    }

    async fn known(&self) -> KnownInspection {
        let known = self.store.file(self.home.organization, sha1(1)).await.unwrap().unwrap();
        known.inspection.unwrap()
    }

    /// The numbers of the files about which a machine is to be asked.
    async fn due(&self, machine: MachineId, version: u32) -> Vec<u8> {
        let organization = self.home.organization;
        let mut due = Vec::new();
        let mut after = 0;
        // One at a time, so that the order is tried as well.
        loop {
            let page = self.store.uninspected(organization, machine, version, after, 1).await.unwrap();
            let Some((place, sha256)) = page.first() else { return due };
            after = *place;
            due.extend(sha256.map(|sha256| sha256.0[0]));
        }
    }

    async fn sees(&self, machine: MachineId, seen: Seen) {
        let sightings = vec![sighting(1, "/a", seen)];
        self.store.record_sightings(self.home.organization, machine, 1, sightings).await.unwrap();
    }
}

pub(crate) async fn what_a_machine_says_is_known_from_then_on(world: World) {
    let machine = world.home.machine;
    world.saw(1, vec![sighting(1, "/a", Seen::AtRest), sighting(2, "/b", Seen::Running)]).await;
    assert_eq!(world.due(machine, VERSION).await, [1, 2]);
    let signature = Signature {
        signer: Some("me".to_owned()),
        issuer: None,
        signer_hash: Some(model::Sha1([3; 20])),
        is_valid: true,
        flaw: None,
        carrier: Carrier::Embedded,
        digest: None,
        stamped_at: None,
        stamp: None,
        chain: Vec::new(),
        uncovered_bytes: 0,
    };
    let told = Inspection { signature: Some(signature), ..record("me") };
    world.inspected(machine, VERSION, &told).await;
    let known = world.known().await;
    assert_eq!((&known.record, known.version, known.told_by.as_str()), (&told, VERSION, "alpha"));
    assert_eq!((known.agreed, known.disagreed), (0, 0));
    assert_eq!(world.due(machine, VERSION).await, [2]);

    // Told twice it changes nothing, and it outlives a restart.
    world.inspected(machine, VERSION, &told).await;
    let world = world.restarted();
    assert_eq!(world.known().await, known);
    assert_eq!(world.due(machine, VERSION).await, [2]);
}

pub(crate) async fn what_is_gone_is_due_again_when_it_is_back(world: World) {
    let (organization, machine) = (world.home.organization, world.home.machine);
    let gone = async || world.store.not_to_inspect(organization, machine, file(1).sha256).await.unwrap();
    world.saw(1, vec![sighting(1, "/a", Seen::AtRest)]).await;
    gone().await;
    assert_eq!(world.due(machine, VERSION).await, [1], "by its own word it lies there");
    world.saw(2, vec![sighting(1, "/a", Seen::Gone)]).await;
    assert_eq!(world.due(machine, VERSION).await, [1], "it may lie in the vault");
    gone().await;
    assert_eq!(world.due(machine, VERSION).await, [0; 0]);
    world.saw(3, vec![sighting(1, "/a", Seen::AtRest)]).await;
    assert_eq!(world.due(machine, VERSION).await, [1], "back at its place");
    world.saw(4, vec![sighting(1, "/a", Seen::Gone)]).await;
    gone().await;
    world.saw(5, vec![sighting(1, "/b", Seen::AtRest)]).await;
    assert_eq!(world.due(machine, VERSION).await, [1], "at another place");
    world.inspected(machine, VERSION, &record("me")).await;
    world.saw(6, vec![sighting(1, "/b", Seen::Gone)]).await;
    world.saw(7, vec![sighting(1, "/b", Seen::AtRest), sighting(1, "/c", Seen::AtRest)]).await;
    assert_eq!(world.due(machine, VERSION).await, [0; 0], "its word is known");
}

pub(crate) async fn the_first_word_stays_and_another_one_is_counted_and_audited(world: World) {
    let [second, third] = [world.neighbour(2).await, world.neighbour(3).await];
    for machine in [world.home.machine, second, third] {
        world.sees(machine, Seen::AtRest).await;
    }
    world.inspected(world.home.machine, VERSION, &record("me")).await;
    world.inspected(second, VERSION, &record("Micro\nsoft")).await;
    world.inspected(second, VERSION, &record("Micro\nsoft")).await;
    world.inspected(third, VERSION, &record("me")).await;
    let known = world.known().await;
    assert_eq!(known.record, record("me"));
    assert_eq!((known.agreed, known.disagreed), (1, 1));
    let audit = world.store.audit(world.home.organization, 0, 100).await.unwrap();
    let lines: Vec<_> = audit.iter().filter(|line| line.what == "inspection.disagree").collect();
    assert!(
        lines.iter().all(|line| line.who == "agent on beta-2" && line.subject == file(1).sha256.to_string())
    );
    assert!(
        lines[0].comment.contains("publisher") && !lines[0].comment.contains('\n'),
        "{}",
        lines[0].comment
    );
    assert_eq!(lines.len(), 1, "once, however often it is said");
}

pub(crate) async fn a_record_of_a_newer_version_and_one_that_was_cut_short_are_replaced(world: World) {
    let (first, second) = (world.home.machine, world.neighbour(2).await);
    world.sees(first, Seen::AtRest).await;
    world.sees(second, Seen::AtRest).await;
    let cut = Inspection { outcome: Outcome::TimedOut, ..Inspection::default() };
    world.inspected(first, VERSION - 1, &cut).await;
    assert_eq!(world.due(first, VERSION).await, [1], "an older version is not enough");
    assert_eq!(world.due(first, VERSION - 1).await, [0; 0], "and this machine can't say more");
    world.inspected(first, VERSION, &cut).await;
    assert_eq!(world.known().await.version, VERSION);
    world.inspected(second, VERSION, &record("me")).await;
    let known = world.known().await;
    assert_eq!((known.record, known.told_by.as_str(), known.disagreed), (record("me"), "beta-2", 0));
    // A version that is not there yet is none to outlast this one.
    let liar = world.neighbour(3).await;
    world.sees(liar, Seen::AtRest).await;
    world.inspected(liar, u32::MAX, &record("liar")).await;
    assert_eq!(world.known().await.record, record("me"));
    world.inspected(liar, VERSION, &cut).await;
    assert_eq!(world.known().await.record, record("me"));
}

pub(crate) async fn what_a_newer_version_says_is_no_disagreement(world: World) {
    let (first, second) = (world.home.machine, world.neighbour(2).await);
    world.sees(first, Seen::AtRest).await;
    world.sees(second, Seen::AtRest).await;
    for (machine, version, says) in [
        (first, VERSION - 1, "old"),
        (first, VERSION, "new"),
        (second, VERSION - 1, "old"),
        (second, VERSION, "new"),
    ] {
        world.inspected(machine, version, &record(says)).await;
    }
    let known = world.known().await;
    assert_eq!((&known.record, known.agreed, known.disagreed), (&record("new"), 1, 0));
    let audit = world.store.audit(world.home.organization, 0, 100).await.unwrap();
    assert!(audit.iter().all(|line| line.what != "inspection.disagree"));
}

pub(crate) async fn a_record_that_claims_to_be_cut_short_is_no_cover_for_a_lie(world: World) {
    let [second, third] = [world.neighbour(2).await, world.neighbour(3).await];
    for machine in [world.home.machine, second, third] {
        world.sees(machine, Seen::AtRest).await;
    }
    let facts = record("me").facts;
    world.inspected(world.home.machine, VERSION, &Inspection::unread(facts, Outcome::TooBig)).await;
    world.inspected(second, VERSION, &Inspection { outcome: Outcome::TooBig, ..record("liar") }).await;
    let known = world.known().await;
    assert_eq!(
        (known.told_by.as_str(), known.disagreed),
        ("beta-2", 0),
        "who says something beats who says nothing"
    );
    world.inspected(third, VERSION, &record("me")).await;
    assert_eq!(world.known().await.disagreed, 1);
}

pub(crate) async fn two_machines_are_asked_and_no_third(world: World) {
    let machines = [world.home.machine, world.neighbour(2).await, world.neighbour(3).await];
    for machine in machines {
        world.sees(machine, Seen::AtRest).await;
    }
    world.inspected(machines[0], VERSION, &record("me")).await;
    assert_eq!(world.due(machines[0], VERSION).await, [0; 0]);
    assert_eq!(world.due(machines[2], VERSION).await, [1]);
    world.inspected(machines[1], VERSION, &record("me")).await;
    assert_eq!(world.due(machines[2], VERSION).await, [0; 0]);
    let late = world.neighbour(4).await;
    world.sees(late, Seen::AtRest).await;
    assert_eq!(world.due(late, VERSION).await, [0; 0]);
    // What comes back has not become unknown.
    let [gone, back] = [Seen::Gone, Seen::AtRest].map(|seen| vec![sighting(1, "/a", seen)]);
    for (sequence, sightings) in [(2, gone), (3, back)] {
        world.store.record_sightings(world.home.organization, late, sequence, sightings).await.unwrap();
    }
    assert_eq!(world.due(late, VERSION).await, [0; 0]);
}

pub(crate) async fn only_who_has_a_file_is_asked_and_heard(world: World) {
    let stranger = world.neighbour(2).await;
    world.sees(world.home.machine, Seen::AtRest).await;
    assert_eq!(world.due(stranger, VERSION).await, [0; 0]);
    let told =
        world.store.inspected(world.home.organization, stranger, file(1).sha256, VERSION, record("liar"));
    assert!(matches!(told.await, Err(StoreError::Refused(_))));
    let known = world.store.file(world.home.organization, sha1(1)).await.unwrap().unwrap();
    assert_eq!(known.inspection, None);
}
