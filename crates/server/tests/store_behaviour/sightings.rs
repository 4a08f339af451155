use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::act::{CopyState, Terms};
use model::facts::FileType;
use model::origin::{Database, Origin};
use model::sighting::{Seen, Sighting};
use model::{Clock, MachineId, RuleId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::quarantines::{copy, ended, ordered, outcome};
use crate::world::{World, sha1, sha256, sighting};

pub(crate) async fn a_new_pair_raises_prevalence_and_a_replay_nothing(world: World) {
    let organization = world.home.organization;
    let batch = vec![sighting(1, "/a", Seen::AtRest), sighting(1, "/b", Seen::Denied(RuleId(1)))];
    world.saw(1, batch.clone()).await;
    let known = world.store.file(organization, sha1(1)).await.unwrap().unwrap();
    assert_eq!((known.prevalence, known.denials, known.facts.file_type), (1, 1, FileType::Elf));
    assert_eq!(world.store.file(organization, sha256(1)).await.unwrap(), Some(known.clone()));
    let copies = world.store.copies(organization, sha1(1)).await.unwrap();

    world.later(Duration::from_secs(9));
    world.saw(1, batch.clone()).await;
    assert_eq!(world.store.file(organization, sha1(1)).await.unwrap(), Some(known));
    assert_eq!(world.store.copies(organization, sha1(1)).await.unwrap(), copies);

    world.saw(2, batch).await;
    let known = world.store.file(organization, sha1(1)).await.unwrap().unwrap();
    assert_eq!((known.prevalence, known.denials), (1, 2), "the same machine again");
    assert_eq!(known.last_observed, world.clock.now());
    let machines = world.store.machines_with(organization, sha1(1)).await.unwrap();
    assert_eq!(machines.iter().map(|machine| machine.id).collect::<Vec<_>>(), [world.home.machine]);
    assert_eq!(world.store.file(organization, sha1(2)).await.unwrap(), None);
}

pub(crate) async fn ages_become_server_time_and_are_clamped(world: World) {
    let organization = world.home.organization;
    let now = world.clock.now();
    let aged = |age| Sighting { age, ..sighting(1, "/a", Seen::AtRest) };
    world.saw(1, vec![aged(Duration::from_secs(60)), aged(Duration::MAX)]).await;
    let known = world.store.file(organization, sha1(1)).await.unwrap().unwrap();
    assert_eq!(known.last_observed, now.before(Duration::from_secs(60)));
    assert_eq!(known.first_observed, now.before(Duration::from_secs(30 * 24 * 3600)));
}

pub(crate) async fn a_copy_comes_runs_is_denied_and_goes(world: World) {
    let copy = async || {
        let copies = world.store.copies(world.home.organization, sha1(1)).await.unwrap();
        assert_eq!(copies.len(), 1);
        (copies[0].present, copies[0].running, copies[0].denials)
    };
    world.saw(1, vec![sighting(1, "/a", Seen::Gone)]).await;
    assert_eq!(world.store.file(world.home.organization, sha1(1)).await.unwrap(), None);
    world.saw(2, vec![sighting(1, "/a", Seen::AtRest)]).await;
    assert_eq!(copy().await, (true, false, 0));
    world.saw(3, vec![sighting(1, "/a", Seen::Running)]).await;
    assert_eq!(copy().await, (true, true, 0));
    world.saw(4, vec![sighting(1, "/a", Seen::Denied(RuleId(1)))]).await;
    assert_eq!(copy().await, (true, true, 1), "a refusal says nothing of what already runs");
    world.saw(5, vec![sighting(1, "/a", Seen::DeniedLate(RuleId(1)))]).await;
    assert_eq!(copy().await, (true, false, 2));
    world.saw(6, vec![sighting(1, "/a", Seen::Gone)]).await;
    assert_eq!(copy().await, (false, false, 2));
    let old = Sighting { age: Duration::from_secs(5), ..sighting(1, "/a", Seen::Running) };
    world.saw(7, vec![old]).await;
    assert_eq!(copy().await, (false, false, 2), "older news does not bring it back");
}

pub(crate) async fn where_a_file_comes_from_is_counted_by_machine(world: World) {
    let organization = world.home.organization;
    let origin = |version: &str, vendor: Option<&str>, matches| Origin {
        database: Database::Rpm,
        package: "bash".to_owned(),
        version: version.to_owned(),
        vendor: vendor.map(str::to_owned),
        matches,
    };
    let from = |path: &str, seen, origin| Sighting { origin: Some(origin), ..sighting(1, path, seen) };
    let told = async || {
        let known = world.store.file(organization, sha1(1)).await.unwrap().unwrap();
        known.origins.into_iter().map(|known| (known.origin, known.machines)).collect::<Vec<_>>()
    };
    let (whole, unknown, differs) =
        (origin("1", None, Some(true)), origin("1", None, None), origin("1", None, Some(false)));
    world.saw(1, ["/a", "/b"].map(|path| from(path, Seen::Running, whole.clone())).to_vec()).await;
    assert_eq!(told().await, [(whole.clone(), 1)], "two copies on one machine");
    let neighbour = world.neighbour(7).await;
    let there = vec![from("/a", Seen::AtRest, whole.clone())];
    world.store.record_sightings(organization, neighbour, 1, there).await.unwrap();
    assert_eq!(told().await, [(whole.clone(), 2)]);

    world.saw(2, vec![from("/a", Seen::AtRest, unknown.clone()), sighting(1, "/a", Seen::AtRest)]).await;
    assert_eq!(told().await, [(whole.clone(), 2)], "what nobody knows any more stays as it was");
    world.saw(3, vec![from("/b", Seen::Traced, differs.clone())]).await;
    assert_eq!(told().await, [(whole.clone(), 2), (differs.clone(), 1)]);
    let copies = world.store.copies(organization, sha1(1)).await.unwrap();
    let copy = copies.iter().find(|copy| copy.path == Path::new("/b")).unwrap();
    assert_eq!(
        (copy.origin.as_ref(), copy.present, copy.running),
        (Some(&differs), true, true),
        "it still runs"
    );

    // What is older than what was said last says nothing.
    world.later(Duration::from_secs(60));
    world.saw(4, vec![sighting(1, "/b", Seen::AtRest)]).await;
    world
        .saw(5, vec![Sighting { age: Duration::from_secs(9), ..from("/b", Seen::Traced, whole.clone()) }])
        .await;
    assert_eq!(told().await, [(whole.clone(), 2), (differs, 1)]);
    // Another version of the package, of which nobody knows.
    let newer = origin("2", Some("Example Works"), None);
    let copies = ["/a", "/b"].map(|path| from(path, Seen::Traced, newer.clone()));
    world.saw(6, copies.to_vec()).await;
    assert_eq!(told().await, [(whole.clone(), 1), (newer.clone(), 1)]);
    assert_eq!(world.store.file(organization, sha1(1)).await.unwrap().unwrap().denials, 0);

    // It neither brings back what is gone, nor buries what lies there now, nor makes a copy known.
    let other = sighting(2, "/b", Seen::AtRest);
    world.saw(7, vec![sighting(1, "/a", Seen::Gone), other]).await;
    let copies = ["/a", "/b", "/c"].map(|path| from(path, Seen::Traced, newer.clone()));
    world.saw(8, copies.to_vec()).await;
    let present = async |sha1| {
        let copies = world.store.copies(organization, sha1).await.unwrap();
        let own = copies.into_iter().filter(|copy| copy.machine == world.home.machine);
        own.map(|copy| (copy.path, copy.present)).collect::<Vec<_>>()
    };
    let mut gone = present(sha1(1)).await;
    gone.sort();
    assert_eq!(gone, [(PathBuf::from("/a"), false), (PathBuf::from("/b"), false)]);
    assert_eq!(present(sha1(2)).await, [(PathBuf::from("/b"), true)]);
}

pub(crate) async fn places_that_make_room_are_not_counted(world: World) {
    let organization = world.home.organization;
    let origin = Origin {
        database: Database::Dpkg,
        package: "bash".to_owned(),
        version: "1".to_owned(),
        vendor: None,
        matches: Some(true),
    };
    let first = Sighting { origin: Some(origin), ..sighting(1, "/0", Seen::AtRest) };
    let gone = sighting(1, "/0", Seen::Gone);
    let rest = (1..=100).map(|number| sighting(1, &format!("/{number}"), Seen::AtRest));
    world.saw(1, [first, gone].into_iter().chain(rest.take(99)).collect()).await;
    assert_eq!(world.store.file(organization, sha1(1)).await.unwrap().unwrap().origins.len(), 1);
    world.saw(2, vec![sighting(1, "/100", Seen::AtRest)]).await;
    assert_eq!(world.store.file(organization, sha1(1)).await.unwrap().unwrap().origins, []);
}

pub(crate) async fn another_file_at_the_path_takes_its_place(world: World) {
    let organization = world.home.organization;
    world.saw(1, vec![sighting(1, "/a", Seen::Running), sighting(1, "/b", Seen::AtRest)]).await;
    world.saw(2, vec![sighting(2, "/a", Seen::AtRest)]).await;
    let copies = world.store.copies(organization, sha1(1)).await.unwrap();
    let there: Vec<_> = copies.iter().map(|copy| (copy.path.to_str().unwrap(), copy.present)).collect();
    assert_eq!(there, [("/b", true), ("/a", false)]);
    assert!(world.store.copies(organization, sha1(2)).await.unwrap()[0].present);
}

pub(crate) async fn where_a_file_is_now_follows_each_removal(world: World) {
    world.guarding().await;
    let organization = world.home.organization;
    let counts = async || {
        let known = world.store.file(organization, sha1(1)).await.unwrap().unwrap();
        let copies = world.store.copies(organization, sha1(1)).await.unwrap();
        (known.prevalence, known.present_on, copies.iter().filter(|copy| copy.present).count())
    };
    let neighbour = world.neighbour(9).await;
    world.saw(1, vec![sighting(1, "/demo/a", Seen::AtRest), sighting(1, "/demo/b", Seen::AtRest)]).await;
    let there = vec![sighting(1, "/x", Seen::AtRest)];
    world.store.record_sightings(organization, neighbour, 1, there).await.unwrap();
    assert_eq!(counts().await, (2, 2, 3));
    // Its owner removes one, a quarantine takes the other.
    world.saw(2, vec![sighting(1, "/demo/b", Seen::Gone)]).await;
    assert_eq!(counts().await, (2, 2, 2));
    let (order, act) = ordered(&world, sha1(1)).await;
    ended(&world, outcome(&act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    assert_eq!(counts().await, (2, 1, 1), "it was seen on two machines, and lies on one");
    // What the machine tells of the same move changes nothing.
    world.saw(3, vec![sighting(1, "/demo/a", Seen::Gone)]).await;
    assert_eq!(counts().await, (2, 1, 1));
    let terms = Terms::default();
    world.store.undo(&world.caller(), order.id, terms, "sorry".into()).await.unwrap();
    let acts = world.store.acts_for(organization, world.home.machine).await.unwrap();
    ended(&world, outcome(&acts[0].act, vec![copy("/demo/a", CopyState::Succeeded)])).await;
    assert_eq!(counts().await, (2, 2, 2));
    // A filesystem that is unmounted, and mounted elsewhere.
    world.saw(4, vec![sighting(1, "/demo/a", Seen::Gone)]).await;
    assert_eq!(counts().await, (2, 1, 1));
    world.saw(5, vec![sighting(1, "/mnt/a", Seen::AtRest)]).await;
    assert_eq!(counts().await, (2, 2, 2));
}

pub(crate) async fn paths_beyond_the_cap_are_not_kept(world: World) {
    let organization = world.home.organization;
    let many = (0..150).map(|n| sighting(1, &format!("/{n:03}"), Seen::AtRest)).collect();
    world.saw(1, many).await;
    assert_eq!(world.store.copies(organization, sha1(1)).await.unwrap().len(), 100);
    world.saw(2, vec![sighting(1, "/000", Seen::Gone), sighting(1, "/new", Seen::AtRest)]).await;
    let copies = world.store.copies(organization, sha1(1)).await.unwrap();
    assert_eq!(copies.len(), 100);
    let here = |path: &str| copies.iter().any(|copy| copy.path.as_os_str() == path);
    assert!(here("/new") && !here("/000"), "what has gone makes room");
}

/// One step of a random history: a machine sends a new batch, or an earlier batch once more.
#[derive(Clone, Debug)]
enum Sent {
    New(u8, Vec<(u8, u8, u8)>),
    Again(usize),
}

fn history() -> impl Strategy<Value = Vec<Sent>> {
    let one = (0_u8..8, 0_u8..4, 0_u8..5);
    let new = (0_u8..4, vec(one, 0..12)).prop_map(|(machine, batch)| Sent::New(machine, batch));
    vec(prop_oneof![3 => new, 1 => (0_usize..256).prop_map(Sent::Again)], 1..20)
}

fn seen(kind: u8) -> Seen {
    match kind {
        0 => Seen::AtRest,
        1 => Seen::Running,
        2 => Seen::Denied(RuleId(1)),
        3 => Seen::DeniedLate(RuleId(1)),
        _ => Seen::Gone,
    }
}

/// What a history must come to, kept the simple way.
#[derive(Default)]
struct Expected {
    pairs: HashSet<(u8, MachineId)>,
    denials: HashMap<u8, u64>,
}

impl Expected {
    fn saw(&mut self, machine: MachineId, batch: &[(u8, u8, u8)]) {
        for (file, _, kind) in batch {
            if seen(*kind) != Seen::Gone {
                self.pairs.insert((*file, machine));
            }
            *self.denials.entry(*file).or_default() += u64::from(matches!(kind, 2 | 3));
        }
    }

    async fn is_in(&self, world: &World) {
        for number in 0..8 {
            let known = world.store.file(world.home.organization, sha256(number)).await.unwrap();
            let with = world.store.machines_with(world.home.organization, sha256(number)).await.unwrap();
            let prevalence = known.as_ref().map_or(0, |file| file.prevalence);
            assert_eq!(prevalence, with.len() as u64);
            assert!(with.iter().all(|machine| self.pairs.contains(&(number, machine.id))));
            assert_eq!(with.len(), self.pairs.iter().filter(|pair| pair.0 == number).count());
            let denied = self.denials.get(&number).copied().unwrap_or_default();
            assert_eq!(known.map_or(0, |file| file.denials), denied);
        }
    }
}

pub(crate) async fn prevalence_is_the_number_of_pairs_whatever_is_replayed(world: World) {
    let organization = world.home.organization;
    let mut machines = vec![world.home.machine];
    for number in 1..4 {
        machines.push(world.neighbour(number).await);
    }
    let mut runner = TestRunner::deterministic();
    let mut sequence = 0;
    let mut sent: Vec<(MachineId, u64, Vec<Sighting>)> = Vec::new();
    let mut expected = Expected::default();
    for _ in 0..24 {
        for step in history().new_tree(&mut runner).unwrap().current() {
            let (machine, sequence, batch) = match step {
                Sent::New(machine, files) => {
                    sequence += 1;
                    let machine = machines[usize::from(machine)];
                    expected.saw(machine, &files);
                    let batch = files.iter().map(|(f, p, kind)| sighting(*f, &format!("/{p}"), seen(*kind)));
                    sent.push((machine, sequence, batch.collect()));
                    sent[sent.len() - 1].clone()
                }
                Sent::Again(which) if !sent.is_empty() => sent[which % sent.len()].clone(),
                Sent::Again(_) => continue,
            };
            world.store.record_sightings(organization, machine, sequence, batch).await.unwrap();
        }
        expected.is_in(&world).await;
    }
}
