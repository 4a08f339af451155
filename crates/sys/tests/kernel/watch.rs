//! Changes and executions that are told.

use std::fs;
use std::os::fd::AsFd;

use crate::arena::{Arena, run};
use sys::OFlags;
use sys::fanotify::EventBuffer;
use sys::fanotify::watch::{Changes, WatchEvent, WatchGroup, WatchMask};
use sys::handle::{FileHandle, fsid};

const ALL: WatchMask = WatchMask { changes: true, executions: true };

fn watched(arena: &Arena, mask: WatchMask) -> WatchGroup {
    let group = WatchGroup::new().unwrap();
    group.mark_filesystem(arena.root().as_fd(), mask).unwrap();
    group
}

/// What was told since the last call, each as "name: changes", the root's handle and id checked.
fn told(arena: &Arena, group: &WatchGroup) -> Vec<String> {
    let root = arena.root();
    let expected = (fsid(root.as_fd()).unwrap(), FileHandle::of(root.as_fd()).unwrap());
    let mut buffer = EventBuffer::default();
    let events = group.read(&mut buffer).unwrap();
    events
        .map(|event| {
            let WatchEvent::Change { what, fsid, dir, name, pid } = event else { panic!("overflow") };
            assert!(pid > 0);
            assert_eq!((fsid, dir), expected, "{name:?}");
            format!("{}: {}", name.to_str().unwrap(), words(what))
        })
        .collect()
}

fn words(what: Changes) -> String {
    let words = [
        (what.created(), "created"),
        (what.closed_write(), "written"),
        (what.moved_from(), "from"),
        (what.moved_to(), "to"),
        (what.deleted(), "deleted"),
        (what.executed(), "executed"),
        (what.is_dir(), "dir"),
    ];
    words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

#[test]
fn each_change_is_told_by_its_name() {
    let Some(arena) = Arena::enter() else { return };
    let group = watched(&arena, ALL);
    assert_eq!(told(&arena, &group), [""; 0]);
    fs::write(arena.path("one"), b"bytes").unwrap();
    assert_eq!(told(&arena, &group), ["one: created written"]);
    fs::rename(arena.path("one"), arena.path("two")).unwrap();
    assert_eq!(told(&arena, &group), ["one: from", "two: to"]);
    fs::hard_link(arena.path("two"), arena.path("three")).unwrap();
    assert_eq!(told(&arena, &group), ["three: created"]);
    fs::remove_file(arena.path("two")).unwrap();
    assert_eq!(told(&arena, &group), ["two: deleted"]);
    fs::create_dir(arena.path("dir")).unwrap();
    fs::rename(arena.path("dir"), arena.path("moved")).unwrap();
    assert_eq!(told(&arena, &group), ["dir: created from dir", "moved: to dir"]);
    let program = arena.program("tool");
    told(&arena, &group);
    run(&program).unwrap();
    assert_eq!(told(&arena, &group), ["tool: executed"]);
}

#[test]
fn only_what_was_asked_for_is_told() {
    let Some(arena) = Arena::enter() else { return };
    let group = watched(&arena, WatchMask { changes: false, executions: true });
    let program = arena.program("tool");
    run(&program).unwrap();
    assert_eq!(told(&arena, &group), ["tool: executed"]);
    let changes_only = WatchMask { changes: true, executions: false };
    group.mark_filesystem(arena.root().as_fd(), changes_only).unwrap();
    run(&program).unwrap();
    fs::write(arena.path("note"), b"").unwrap();
    assert_eq!(told(&arena, &group), ["note: created written"]);
    let nothing = WatchMask { changes: false, executions: false };
    group.mark_filesystem(arena.root().as_fd(), nothing).unwrap();
    group.mark_filesystem(arena.root().as_fd(), nothing).unwrap();
    fs::write(arena.path("note"), b"").unwrap();
    run(&program).unwrap();
    assert_eq!(told(&arena, &group), [""; 0]);
}

#[test]
fn the_directory_told_can_be_opened() {
    let Some(arena) = Arena::enter() else { return };
    let group = watched(&arena, ALL);
    fs::create_dir_all(arena.path("a/b")).unwrap();
    fs::write(arena.path("a/b/note"), b"").unwrap();
    fs::rename(arena.path("a"), arena.path("z")).unwrap();
    let mut buffer = EventBuffer::default();
    let event = group.read(&mut buffer).unwrap().find_map(|event| match event {
        WatchEvent::Change { dir, name, .. } if name == "note" => Some(dir),
        _ => None,
    });
    let dir = event.unwrap().open(arena.root().as_fd(), OFlags::RDONLY | OFlags::DIRECTORY).unwrap();
    assert_eq!(sys::place::path_of(dir.as_fd()).unwrap(), arena.path("z/b"));
}

#[test]
fn what_is_not_read_in_time_is_told_as_lost() {
    let Some(arena) = Arena::enter() else { return };
    let group = watched(&arena, ALL);
    let limit: usize =
        fs::read_to_string("/proc/sys/fs/fanotify/max_queued_events").unwrap().trim().parse().unwrap();
    if limit > 100_000 {
        eprintln!("not run: the queue is set to {limit} events");
        return;
    }
    for number in 0..=limit {
        fs::write(arena.path(&format!("file {number}")), b"").unwrap();
    }
    let mut buffer = EventBuffer::new(1 << 20);
    let mut last = None;
    loop {
        let seen: Vec<bool> =
            group.read(&mut buffer).unwrap().map(|event| event == WatchEvent::Overflow).collect();
        if seen.is_empty() {
            break;
        }
        last = seen.last().copied().or(last);
    }
    assert_eq!(last, Some(true));
}
