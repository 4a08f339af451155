use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use model::{FileId, Sha256};
use parking_lot::Mutex;
use sha2::Digest;

use super::*;
use crate::core::for_test::{Room, core, is_private};
use crate::looking::{Looker, Ours};
use crate::pace::Pace;
use crate::perform::{Search, known_copies};
use crate::sweep::Sweep;
use crate::watch::Watch;

const CONTENT: &str = "#!/bin/sh\n# wanted\n";

/// Looks around as the agent does, but nobody sweeps.
fn watch(core: &Arc<Core>, ours: &Ours) {
    let (looks, looked) = crossbeam_channel::unbounded();
    let (watch, _) = Watch::new(core.places.clone(), ours.clone(), core.pending.clone(), looks).unwrap();
    std::thread::spawn(move || watch.run());
    let own = core.clone();
    std::thread::spawn(move || own.looker.run(&looked, &own.pending, &own.errands));
}

fn sweep(core: &Arc<Core>, ours: Ours) {
    let backlog = core.spool.lock().backlog();
    let pace = Pace::new(0, backlog, core.progress.hurry.clone(), core.progress.held_up.clone());
    let sweep = Sweep {
        looker: Looker { gathered: Some(Arc::default()), ..core.looker.clone() },
        places: core.places.clone(),
        ours,
        progress: core.progress.clone(),
        pace,
        halt: core.halt.clone(),
        meter: Mutex::default(),
        told: AtomicU64::new(0),
        errands: core.errands.clone(),
    };
    std::thread::spawn(move || sweep.run(|_| {}));
}

#[test]
fn a_search_waits_for_a_directory_that_was_moved_a_moment_ago() {
    if !is_private() {
        return;
    }
    let (room, data) = (Room::new(), tempfile::tempdir().unwrap());
    let (core, _nudges) = core(data.path(), &room.path(), None);
    let at = |name: &str| room.path().join(name);
    // Before anybody looks: where it is now is known to nobody.
    std::fs::create_dir_all(at("old/deep")).unwrap();
    std::fs::write(at("old/deep/script"), CONTENT).unwrap();
    let ours = Ours::new("/nowhere".into(), &[]);
    watch(&core, &ours);
    assert!(Search::begin(&core).is_whole(&core), "nothing has happened");

    std::fs::rename(at("old"), at("new")).unwrap();
    let mut search = Search::begin(&core);
    assert!(!search.is_whole(&core), "nobody has looked there");
    // What happens later is not waited for.
    sweep(&core, ours);
    let begun = Instant::now();
    while !search.is_whole(&core) {
        assert!(begun.elapsed() < Duration::from_secs(60) && search.given_up(&core).is_none());
        for name in ["one", "other"] {
            let _ = std::fs::create_dir(at("one"));
            let _ = std::fs::rename(at("one"), at("other"));
            let _ = std::fs::remove_dir(at(name));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let file = FileId::Sha256(Sha256(sha2::Sha256::digest(CONTENT).into()));
    assert_eq!(known_copies(&core, &file).unwrap(), [at("new/deep/script")]);
    core.halt.now();
}
