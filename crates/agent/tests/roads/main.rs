//! Every road on which a file can come to run, tried against a guard that denies it, at the level that
//! `QUELL_GUARD_LEVEL` names (without it at both that every kernel has). The table in `table.rs` says what must become of each, at each level; what is generated
//! from it stands in LIMITATIONS.md (`QUELL_BLESS=1` writes it there). Runs in a mount namespace of its own only:
//!
//! ```sh
//! timeout 120 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test roads
//! ```

#[path = "../guard_kernel/arena.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod arena;
#[path = "../hand/mod.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod hand;
#[path = "../guard_kernel/processes.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod processes;

mod descriptors;
mod level;
mod limitations;
mod loading;
mod mounts;
mod names;
mod rewriting;
mod scene;
mod scripts;
mod table;

use arena::{Arena, Kind};
use level::Level;
use scene::{Scene, Trial};
use table::{Expected, ROADS, Road};

#[test]
fn each_road_on_tmpfs() {
    each_road(Kind::Tmpfs);
}

#[test]
fn each_road_on_ext4() {
    each_road(Kind::Ext4);
}

fn each_road(kind: Kind) {
    for level in Level::chosen() {
        each_road_at(kind, level);
    }
}

fn each_road_at(kind: Kind, level: Level) {
    let Some(arena) = Arena::enter(kind) else { return };
    let Some(mut scene) = Scene::set(arena, level) else { return };
    let mut wrong = Vec::new();
    for road in ROADS {
        if let Some(program) = road.needs.filter(|program| !scripts::is_installed(program)) {
            println!("not run: {}: {program} is not installed", road.name);
            continue;
        }
        let outcome = travel(&mut scene, road);
        println!("{kind:?}, {level}: {}: {}", road.name, outcome.as_deref().unwrap_or("TROUBLE"));
        wrong.extend(judge(road, level, outcome));
    }
    let counters = scene.counters();
    assert!(wrong.is_empty(), "{kind:?}, {level}:\n{}\n{counters:?}", wrong.join("\n"));
}

/// Needs no privileges. With `QUELL_TEST_PROGRAMS` it leaves them there, for machines without a compiler.
#[test]
fn payloads_say_which_they_are() {
    let Some(tools) = hand::Tools::build() else { return };
    let dir = tempfile::tempdir().unwrap();
    for name in ["payload", "program"] {
        let program = dir.path().join(name);
        scene::write_program(&program, &tools.payload(name, 77, 1));
        assert_eq!(arena::run(&program), Ok(77), "{name}");
    }
}

/// What has become of the denied payload, or why the innocent one has not come through.
fn travel(scene: &mut Scene, road: &Road) -> Result<String, String> {
    let (innocent, denied) = (scene.innocent.clone(), scene.denied.clone());
    match (road.go)(scene, &innocent) {
        Trial::Ran => {}
        other => return Err(format!("what nobody denies: {other:?}")),
    }
    match (road.go)(scene, &denied) {
        Trial::Ran => Ok("ran".to_owned()),
        Trial::Refused(_) => Ok("denied".to_owned()),
        Trial::Impossible(why) => Err(why),
    }
}

/// What is wrong with it.
fn judge(road: &Road, level: Level, outcome: Result<String, String>) -> Option<String> {
    let expected = match road.expected(level) {
        Expected::Denied => "denied",
        Expected::Hole(_) => "ran",
    };
    match outcome {
        Ok(outcome) if outcome == expected => None,
        Ok(outcome) => Some(format!("{}: {outcome}, where the table has {expected}", road.name)),
        Err(why) => Some(format!("{}: {why}", road.name)),
    }
}
