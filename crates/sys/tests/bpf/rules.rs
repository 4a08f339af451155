//! What rules do, and when.

use std::fs::{self, File};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sys::bpf::{Content, Effect, Outcome, Rule, Scope, Spared};

use crate::arena::{Arena, EPERM, ETXTBSY, Kind, SETTLED, content, inode, map, run};

#[test]
fn a_change_of_rules_counts_at_once_and_hashes_nothing() {
    let Some(mut arena) = Arena::enter(Kind::Ext4) else { return };
    let file = arena.program("file", "file");
    sleep(SETTLED);
    assert_eq!(run(&file), Ok(0));
    let before = arena.hashed();
    for round in 0..50 {
        arena.deny(&[&file]);
        assert_eq!(run(&file), Err(EPERM), "round {round}");
        arena.deny(&[]);
        assert_eq!(run(&file), Ok(0), "round {round}");
    }
    assert_eq!(arena.hashed(), before);
}

#[test]
fn a_rule_ends_by_itself() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let file = arena.program("file", "file");
    sleep(SETTLED);
    let until = sys::bpf::since_boot() + 2_000_000_000;
    arena.adopt(&[(content(&file), Rule::new(1, Effect::Deny, until))]);
    assert_eq!((run(&file), run(&file)), (Err(EPERM), Err(EPERM)));
    sleep(Duration::from_millis(2100));
    assert_eq!((run(&file), run(&file)), (Ok(0), Ok(0)));
}

#[test]
fn rules_that_nobody_remembers_can_be_taken_out() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let files = ["1", "2", "3"].map(|name| arena.program(name, name));
    arena.deny(&[&files[0], &files[1], &files[2]]);
    assert_eq!(files.each_ref().map(|file| run(file)), [Err(EPERM); 3]);
    let kept = content(&files[1]);
    arena.programs().keep_rules(|content| *content == kept).unwrap();
    arena.programs().publish(1, Scope::default()).unwrap();
    assert_eq!(files.each_ref().map(|file| run(file)), [Ok(0), Err(EPERM), Ok(0)]);
}

#[test]
fn watched_spared_and_allowed_files_run() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let (watched, allowed, needed) =
        (arena.program("watched", "1"), arena.program("allowed", "2"), arena.program("needed", "3"));
    let copy = arena.program("copy", "3");
    sleep(SETTLED);
    let spared = Spared { device: arena.device(), inode: inode(&needed), sha256: content(&needed).digest };
    arena.programs().spare(&[spared]).unwrap();
    arena.adopt(&[
        (content(&watched), Rule::new(1, Effect::Watch, 0)),
        (content(&allowed), Rule::new(2, Effect::Permit, 0)),
        (content(&needed), Rule::new(3, Effect::Deny, 0)),
    ]);
    for _ in 0..2 {
        arena.events();
        assert_eq!([&watched, &allowed, &needed].map(|path| run(path)), [Ok(0); 3]);
        assert_eq!(run(&copy), Err(EPERM));
        let told: Vec<_> = arena.events().iter().map(|event| (event.outcome, event.rule)).collect();
        assert_eq!(told, [(Outcome::Watched, 1), (Outcome::Spared, 3), (Outcome::Denied, 3)]);
    }
    // The same inode with other content is not what the machine needs.
    arena.program("needed", "trojan");
    arena.deny(&[&needed]);
    assert_eq!(run(&needed), Err(EPERM));
    // On some filesystems nobody knows the device.
    let spared = Spared { device: 0, inode: inode(&needed), sha256: content(&needed).digest };
    arena.programs().spare(&[spared]).unwrap();
    arena.deny(&[&needed]);
    assert_eq!(run(&needed), Ok(0));
}

#[test]
fn a_file_that_is_being_written_is_busy_and_never_remembered() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let file = arena.program("file", "file");
    sleep(SETTLED);
    let writer = File::options().write(true).open(&file).unwrap();
    assert_eq!(run(&file), Err(ETXTBSY));
    let reader = File::open(&file).unwrap();
    let before = arena.hashed();
    assert_eq!((map(&reader), map(&reader)), (Ok(()), Ok(())));
    assert_eq!(arena.hashed(), before + 2);
    drop(writer);
    assert_eq!((map(&reader), map(&reader), run(&file)), (Ok(()), Ok(()), Ok(0)));
    assert_eq!(arena.hashed(), before + 3);
}

#[test]
fn nothing_is_judged_without_rules() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    arena.adopt(&[]);
    let before = arena.hashed();
    assert_eq!(run(&arena.program("file", "file")), Ok(0));
    assert_eq!(arena.hashed(), before);
}

#[test]
fn what_is_too_large_is_told_once() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let file = arena.program("file", "file");
    sleep(SETTLED);
    arena.stage().scope.largest = 4096;
    arena.deny(&[&file]);
    arena.events();
    assert_eq!((run(&file), run(&file)), (Ok(0), Ok(0)));
    let told: Vec<_> = arena.events().iter().map(|event| (event.outcome, event.content)).collect();
    assert_eq!(told, [(Outcome::Unjudged, None)]);
    arena.stage().scope.largest = 1 << 30;
    arena.deny(&[&file]);
    assert_eq!(run(&file), Err(EPERM));
}

#[test]
fn a_million_rules() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let bad = arena.program("bad", "bad");
    let many: Vec<_> = (1..1_000_000_u64)
        .map(|n| {
            let mut digest = [7; 32];
            digest[..8].copy_from_slice(&n.to_le_bytes());
            (Content::sha256(digest), Rule::new(n, Effect::Deny, 0))
        })
        .collect();
    let begun = Instant::now();
    arena.programs().put_rules(many.iter().copied()).unwrap();
    println!("{} rules put in {:?}", many.len(), begun.elapsed());
    arena.deny(&[&bad]);
    assert_eq!(run(&bad), Err(EPERM));
    let file = arena.path("many");
    fs::write(&file, "x").unwrap();
    let begun = Instant::now();
    arena.programs().remove_rules(many.iter().map(|(content, _)| *content)).unwrap();
    println!("and removed in {:?}", begun.elapsed());
}
