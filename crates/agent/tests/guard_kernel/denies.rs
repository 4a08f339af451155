//! What is denied does not run, and nothing else is denied.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::thread::sleep;

use agent::guard::SparedInode;
use agent::guard::client::{Event, Level, Meeting};
use model::rule::{Identifier, Rule};
use model::{RuleId, Time};

use crate::arena::{Arena, EPERM, ETXTBSY, Kind, SETTLED, deny, deny_by, digests, run};

#[test]
fn by_each_digest_on_tmpfs() {
    by_each_digest(Kind::Tmpfs);
}

#[test]
fn by_each_digest_on_ext4() {
    by_each_digest(Kind::Ext4);
}

fn by_each_digest(kind: Kind) {
    let Some(arena) = Arena::enter(kind) else { return };
    let bad = arena.program("bad", "bad");
    let good = arena.program("good", "good");
    let file = digests(&bad);
    let guarded = arena.guarded();
    assert_eq!((run(&bad), run(&good)), (Ok(0), Ok(0)));
    let identifiers = [
        (7, Identifier::Sha256(file.sha256)),
        (8, Identifier::Sha1(file.sha1)),
        (9, Identifier::Md5(file.md5)),
    ];
    for (id, identifier) in identifiers {
        guarded.adopt([deny_by(id, identifier)]);
        assert_eq!((run(&bad), run(&good)), (Err(EPERM), Ok(0)), "{identifier:?}");
        let denied = guarded.event(|event| match event {
            Event::Met(Meeting { names, size, path, rule, late: false, spared: false, pid, .. }) => {
                assert!(identifier.matches(&names));
                Some((names.sha256, size, path, rule, pid > 0))
            }
            _ => None,
        });
        assert_eq!(denied, (file.sha256, bad.metadata().unwrap().len(), bad.clone(), RuleId(id), true));
        guarded.adopt([]);
        assert_eq!(run(&bad), Ok(0));
    }
    let ended = Rule { until: Some(Time::from_seconds(1)), ..deny(1, &file) };
    guarded.adopt([ended]);
    assert_eq!(run(&bad), Ok(0), "a rule that is over denies nothing");
    let status = guarded.status(|status| status.counters.denied == 3);
    assert_eq!(status.level, Level::Deny);
    assert_eq!(status.guarded, [arena.ground()]);
    assert_eq!((status.counters.timed_out, status.counters.busy, status.counters.failed), (0, 0, 0));
}

#[test]
fn by_whatever_name_on_tmpfs() {
    by_whatever_name(Kind::Tmpfs);
}

#[test]
fn by_whatever_name_on_ext4() {
    by_whatever_name(Kind::Ext4);
}

fn by_whatever_name(kind: Kind) {
    let Some(arena) = Arena::enter(kind) else { return };
    let bad = arena.program("bad", "bad");
    let guarded = arena.guarded();
    let rule = deny(1, &digests(&bad));
    guarded.adopt([rule]);
    fs::hard_link(&bad, arena.path("link")).unwrap();
    symlink(&bad, arena.path("symlink")).unwrap();
    fs::copy(&bad, arena.path("copy")).unwrap();
    fs::rename(&bad, arena.path("renamed")).unwrap();
    symlink(arena.path("renamed"), arena.path("symlink too")).unwrap();
    let names = ["link", "copy", "renamed", "symlink too"];
    for name in names {
        assert_eq!(run(&arena.path(name)), Err(EPERM), "{name}");
    }
    guarded.adopt([]);
    for name in names {
        assert_eq!(run(&arena.path(name)), Ok(0), "{name}");
    }
}

#[test]
fn known_as_clean_and_denied_from_the_next_moment_on() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let file = arena.program("file", "file");
    let rule = deny(1, &digests(&file));
    sleep(SETTLED);
    let guarded = arena.guarded();
    for _ in 0..3 {
        assert_eq!(run(&file), Ok(0));
    }
    for round in 0..200 {
        guarded.adopt([rule]);
        assert_eq!(run(&file), Err(EPERM), "round {round}");
        guarded.adopt([]);
        assert_eq!(run(&file), Ok(0), "round {round}");
    }
    let counters = guarded.status(|status| status.counters.questions == 403).counters;
    assert_eq!((counters.hashed, counters.from_cache, counters.denied), (1, 402, 200));
}

#[test]
fn a_file_that_is_being_written_is_busy_and_not_denied() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let file = arena.program("file", "file");
    let guarded = arena.guarded();
    let writer = File::options().write(true).open(&file).unwrap();
    let refused = if guarded.status(|_| true).refuses_busy { ETXTBSY } else { EPERM };
    assert_eq!(run(&file), Err(refused));
    drop(writer);
    assert_eq!(run(&file), Ok(0));
    let counters = guarded.status(|status| status.counters.questions == 2).counters;
    assert_eq!((counters.busy, counters.denied), (1, 0));
}

#[test]
fn a_spared_copy_runs_and_others_of_its_file_do_not() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let needed = arena.program("needed", "needed");
    let copy = arena.program("copy", "needed");
    let file = digests(&needed);
    let inode = needed.metadata().unwrap();
    let spared = SparedInode { device: inode.dev(), inode: inode.ino(), sha256: file.sha256 };
    let guarded = arena.guarded();
    guarded.adopt_sparing([deny(4, &file)], vec![spared]);
    assert_eq!((run(&needed), run(&copy)), (Ok(0), Err(EPERM)));
    let told = guarded.event(|event| match event {
        Event::Met(Meeting { path, spared: true, rule, .. }) => Some((path, rule)),
        _ => None,
    });
    assert_eq!(told, (needed.clone(), RuleId(4)));
    // The same inode with other content is not what the machine needs.
    arena.program("needed", "trojan");
    let trojan = digests(&needed);
    guarded.adopt_sparing([deny(4, &file), deny(5, &trojan)], vec![spared]);
    assert_eq!(run(&needed), Err(EPERM));
}

#[test]
fn what_runs_becomes_known_to_the_agent() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let file = arena.program("file", "file");
    let guarded = arena.guarded();
    assert_eq!(run(&file), Ok(0));
    let known = guarded.event(|event| match event {
        Event::Hashed { path, hashed } => Some((path, hashed.digests)),
        _ => None,
    });
    assert_eq!(known, (file.clone(), digests(&file)));
}
