use model::determination::{Determination, DeterminationType, KnownBy, Source, decide};
use model::sighting::Seen;
use model::{FileId, Time};
use server::store::{Judgement, KnownList};
use uuid::Uuid;

use crate::world::{World, sha1, sha256, sighting};

fn judgement(kind: DeterminationType) -> Judgement {
    Judgement { kind, value: Some("X".to_owned()) }
}

async fn kinds(world: &World, name: FileId) -> Vec<(DeterminationType, KnownBy)> {
    let judged = world.store.judged(world.home.organization, name).await.unwrap();
    judged.words.iter().map(|word| (word.kind, word.known_by)).collect()
}

pub(crate) async fn a_word_is_kept_by_the_name_it_was_given_and_found_by_all(world: World) {
    let (clean, malware) = (DeterminationType::Clean, DeterminationType::Malware);
    world.store.judge(&world.caller(), sha1(1), judgement(malware), "a".into()).await.unwrap();
    assert_eq!(kinds(&world, sha1(1)).await, [(malware, KnownBy::Sha1)]);
    assert_eq!(kinds(&world, sha256(1)).await, [], "nobody knows yet that it is the same file");
    world.saw(1, vec![sighting(1, "/a", Seen::AtRest)]).await;
    assert_eq!(kinds(&world, sha256(1)).await, [(malware, KnownBy::Sha1)]);
    let later = world.later(std::time::Duration::from_secs(5));
    world.store.judge(&world.caller(), sha1(1), judgement(clean), "b".into()).await.unwrap();
    let known = world.store.file(world.home.organization, sha256(1)).await.unwrap().unwrap();
    let word = decide(&known.judged.words).unwrap();
    assert_eq!((known.judged.words.len(), word.kind, word.at, &*word.evidence), (1, clean, later, "b"));
    assert_eq!((&*word.by, word.source), ("tests", Source::Analyst));
}

pub(crate) async fn a_withdrawal_concerns_every_name_and_no_engine(world: World) {
    world.saw(1, vec![sighting(1, "/a", Seen::AtRest)]).await;
    for name in [sha1(1), sha256(1), sha1(2)] {
        world
            .store
            .judge(&world.caller(), name, judgement(DeterminationType::Pua), "a".into())
            .await
            .unwrap();
    }
    let said = Determination {
        kind: DeterminationType::Malware,
        value: None,
        source: Source::YaraX,
        engine: "yara-x".to_owned(),
        version: "rules 7".to_owned(),
        at: Time::from_seconds(5),
        by: String::new(),
        evidence: "rule evil".to_owned(),
        known_by: KnownBy::Sha256,
    };
    let organization = world.home.organization;
    world.store.judged_by_engine(organization, sha256(1), said.clone()).await.unwrap();
    let withdrawn = world.store.withdraw_judgement(&world.caller(), sha1(1), "b".into()).await.unwrap();
    assert_eq!(withdrawn, 2);
    let left = world.store.judged(organization, sha1(1)).await.unwrap();
    assert_eq!(left.words, [said]);
    assert_eq!(kinds(&world, sha1(2)).await.len(), 1, "another file");
    assert_eq!(world.store.withdraw_judgement(&world.caller(), sha1(1), "b".into()).await.unwrap(), 0);
}

fn list(name: &str, kind: DeterminationType) -> KnownList {
    KnownList {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        kind,
        value: None,
        counts: [1, 2, 3],
        format: "csv".to_owned(),
        version: [7; 32],
        bytes: 100,
        skipped: 4,
        refused: 5,
        imported: Time::default(),
        requestor: String::new(),
        comment: "c".to_owned(),
    }
}

pub(crate) async fn a_list_takes_the_place_of_the_one_of_its_name(world: World) {
    let organization = world.home.organization;
    let first = list("feed", DeterminationType::Malware);
    let kept = world.store.put_list(&world.caller(), first.clone(), None).await.unwrap();
    assert_eq!((&*kept.requestor, kept.id), ("tests", first.id));
    let second =
        world.store.put_list(&world.caller(), list("feed", DeterminationType::Clean), None).await.unwrap();
    let other = world.store.put_list(&world.caller(), list("a", DeterminationType::Pua), None).await.unwrap();
    assert_eq!(world.store.lists(organization).await.unwrap(), [other.clone(), second.clone()]);
    assert_eq!(world.store.list(organization, "feed").await.unwrap(), Some(second.clone()));
    assert_eq!(world.store.kept_lists().await.unwrap(), [other.id, second.id].into());
    let world = world.restarted();
    assert_eq!(world.store.lists(organization).await.unwrap(), [other, second]);
    assert!(world.store.remove_list(&world.caller(), "feed", "old".into()).await.unwrap());
    assert!(!world.store.remove_list(&world.caller(), "feed", "old".into()).await.unwrap());
    let audit = world.store.audit(organization, 0, 100).await.unwrap();
    let what: Vec<_> =
        audit.iter().map(|line| line.what.as_str()).filter(|what| what.starts_with("list.")).collect();
    assert_eq!(what, ["list.import", "list.import", "list.import", "list.remove"]);
}
