use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use model::log::Position;
use model::{ActId, OrderId, Sha256, Time};
use sha2::Digest;

use super::*;
use crate::core::for_test::{MACHINE, Room, core, is_private};
use crate::perform::MOST_BEGUN;

const CONTENT: &str = "#!/bin/sh\n# wanted\n";

fn collect() -> Act {
    Act {
        id: ActId::random(),
        order: OrderId::random(),
        machine: MACHINE,
        what: Do::Collect(FileId::Sha256(Sha256(sha2::Sha256::digest(CONTENT).into()))),
        after: Position::default(),
        deadline: Time::from_seconds(i64::from(u32::MAX)),
    }
}

/// A copy that the inventory knows.
fn copy(core: &Core, directory: &Path) {
    let path = directory.canonicalize().unwrap().join("wanted");
    std::fs::write(&path, CONTENT).unwrap();
    assert!(core.looker.look(path).unwrap());
}

/// A server that takes every sample, and counts how often it is offered one; `offered` is done before it answers.
fn serve(end: LinkEnd, offers: Arc<AtomicUsize>, offered: impl Fn() + Send + 'static) -> Sender<Said> {
    let said = end.said.clone();
    std::thread::spawn(move || {
        let mut size = 0;
        for message in end.outgoing {
            let say = |word| end.said.send(word).unwrap();
            match message {
                up::Message::SampleOffer(offer) => {
                    offers.fetch_add(1, Ordering::SeqCst);
                    offered();
                    size = offer.size;
                    say(Said::Wanted(v1::SampleWanted { act: offer.act, from: 0, until: size }));
                }
                up::Message::SampleChunk(chunk) if chunk.offset + chunk.bytes.len() as u64 == size => {
                    say(Said::Stored(chunk.act));
                }
                _ => {}
            }
        }
    });
    said
}

fn wait_for(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_begins_before_the_server_is_there() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (core, _nudges) = core(data.path(), files.path(), None);
    copy(&core, files.path());
    let act = collect();
    core.ledger.lock().take(act.clone()).unwrap();
    let (collector, end) = pair();
    let offers = Arc::new(AtomicUsize::new(0));
    let said = serve(end, offers.clone(), || {});
    let own = core.clone();
    std::thread::spawn(move || collector.run(&own));
    // Whatever wakes it.
    for _ in 0..5 {
        said.send(Said::Taken).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!core.ledger.lock().has_begun(act.id), "it can still be withdrawn");
    core.attached.store(true, Ordering::Relaxed);
    said.send(Said::Attached).unwrap();
    wait_for("the outcome", || core.ledger.lock().outcome(act.id).is_some());
    assert_eq!(core.ledger.lock().outcome(act.id).unwrap().failure, None);
    assert_eq!(offers.load(Ordering::SeqCst), 1);
    core.halt.now();
}

#[test]
fn what_comes_while_another_is_sent_is_not_left_lying() {
    let (data, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (core, _nudges) = core(data.path(), files.path(), None);
    copy(&core, files.path());
    let (first, second) = (collect(), collect());
    core.ledger.lock().take(first).unwrap();
    core.attached.store(true, Ordering::Relaxed);
    let (collector, end) = pair();
    let (offers, said) = (Arc::new(AtomicUsize::new(0)), end.said.clone());
    let (own, taken) = (core.clone(), second.clone());
    serve(end, offers.clone(), move || {
        // Heard by whoever sends the first, and by nobody after it.
        own.ledger.lock().take(taken.clone()).unwrap();
        said.send(Said::Taken).unwrap();
    });
    let own = core.clone();
    std::thread::spawn(move || collector.run(&own));
    wait_for("the second outcome", || core.ledger.lock().outcome(second.id).is_some());
    assert_eq!(offers.load(Ordering::SeqCst), 2);
    core.halt.now();
}

#[test]
fn a_collect_that_ends_the_agent_again_and_again_is_given_up() {
    let data = tempfile::tempdir().unwrap();
    let act = collect();
    for _ in 0..MOST_BEGUN {
        let path = data.path().join("ledger");
        let mut ledger =
            crate::ledger::Ledger::open(&path, MACHINE, model::OrganizationId::random()).unwrap();
        ledger.take(act.clone()).unwrap();
        ledger.begin(act.id).unwrap();
    }
    let (core, _nudges) = core(data.path(), data.path(), None);
    let (collector, _end) = pair();
    let mut waiting = Waiting::default();
    let Do::Collect(file) = act.what else { panic!("a collect") };
    assert_eq!(collector.attempt(&core, &act, file, &mut waiting), Attempted::Ended);
    let failure = core.ledger.lock().outcome(act.id).unwrap().failure.clone().unwrap();
    assert!(failure.reason.contains("has ended 8 times"), "{failure:?}");
}

#[test]
fn a_deadline_that_passes_says_what_was_waited_for() {
    let data = tempfile::tempdir().unwrap();
    let (core, _nudges) = core(data.path(), data.path(), None);
    let (collector, _end) = pair();
    let because = [
        (Attempted::ServerAway, "was not connected"),
        (Attempted::NotBegun, "ledger could not be written"),
        (Attempted::RulesMissing, "did not confirm that its rules are in force"),
        (Attempted::CutShort, "before this machine could begin"),
    ];
    for (attempted, why) in because {
        let act = Act { deadline: Time::from_seconds(1), ..collect() };
        core.ledger.lock().take(act.clone()).unwrap();
        let Do::Collect(file) = act.what else { panic!("a collect") };
        let mut waiting = Waiting::default();
        waiting.note(act.id, &attempted, Instant::now());
        assert_eq!(collector.attempt(&core, &act, file, &mut waiting), Attempted::Ended);
        let failure = core.ledger.lock().outcome(act.id).unwrap().failure.clone().unwrap();
        assert!(failure.reason.contains(why), "{failure:?}");
    }
}

#[test]
fn a_full_ledger_makes_nobody_send_a_sample_twice() {
    if !is_private() {
        return;
    }
    let room = Arc::new(Room::new());
    let (data, files) = (room.path().join("data"), room.path().join("files"));
    std::fs::create_dir(&data).unwrap();
    std::fs::create_dir(&files).unwrap();
    let (core, _nudges) = core(&data, &files, None);
    copy(&core, &files);
    let act = collect();
    core.ledger.lock().take(act.clone()).unwrap();
    core.attached.store(true, Ordering::Relaxed);
    let (collector, end) = pair();
    let offers = Arc::new(AtomicUsize::new(0));
    let (filling, full) = (core.clone(), room.clone());
    let _said = serve(end, offers.clone(), move || full.fill(&filling));
    let own = core.clone();
    std::thread::spawn(move || collector.run(&own));
    wait_for("the offer", || offers.load(Ordering::SeqCst) > 0);
    std::thread::sleep(Duration::from_secs(3));
    assert!(core.ledger.lock().outcome(act.id).is_none(), "there is no room for it");
    assert_eq!(offers.load(Ordering::SeqCst), 1, "the server has it");
    room.make_room();
    wait_for("the outcome", || core.ledger.lock().outcome(act.id).is_some());
    assert_eq!(core.ledger.lock().outcome(act.id).unwrap().failure, None);
    assert_eq!((offers.load(Ordering::SeqCst), core.ledger.lock().times_begun(act.id)), (1, 1));
    core.halt.now();
}
