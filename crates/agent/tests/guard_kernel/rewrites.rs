//! Content that changed is never taken for what it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;

use crate::arena::{Arena, EPERM, ETXTBSY, Kind, SETTLED, deny, digests, run};

/// The program that rewrites and executes at once; none, with a line that says so, without a C compiler.
fn rewriter(arena: &Arena) -> Option<PathBuf> {
    let (source, program) = (arena.data_dir().join("rewrite.c"), arena.data_dir().join("rewrite"));
    fs::write(&source, include_str!("rewrite.c")).unwrap();
    match Command::new("cc").arg("-O1").arg("-o").arg(&program).arg(&source).status() {
        Ok(status) if status.success() => Some(program),
        outcome => {
            eprintln!("not run: no C compiler here: {outcome:?}");
            None
        }
    }
}

fn rewrite(program: &Path, kind: &str, target: &Path, source: &Path, delay_us: u32) -> i32 {
    let mut command = Command::new(program);
    command.arg(kind).arg(target).arg(source).arg(delay_us.to_string()).stdin(Stdio::null());
    command.status().unwrap().code().unwrap()
}

#[test]
fn denied_content_in_a_known_file_on_tmpfs() {
    in_a_known_file(Kind::Tmpfs);
}

#[test]
fn denied_content_in_a_known_file_on_ext4() {
    in_a_known_file(Kind::Ext4);
}

fn in_a_known_file(kind: Kind) {
    let Some(arena) = Arena::enter(kind) else { return };
    let Some(rewriter) = rewriter(&arena) else { return };
    let (clean, bad) = same_size(&arena, 0);
    let target = arena.path("target");
    let guarded = arena.guarded();
    guarded.adopt([deny(1, &digests(&bad))]);
    let mut kept = 0;
    for way in ["write", "truncate", "map", "map-read-first"] {
        for round in 0..25 {
            fs::write(&target, fs::read(&clean).unwrap()).unwrap();
            fs::set_permissions(&target, fs::metadata(&clean).unwrap().permissions()).unwrap();
            sleep(SETTLED);
            // The second is answered from what the first has taught.
            let before = guarded.client.status().counters.from_cache;
            assert_eq!((run(&target), run(&target)), (Ok(0), Ok(0)), "{way} {round}");
            kept = kept.max(before);
            let status = rewrite(&rewriter, way, &target, &bad, 0);
            assert_eq!(status, 100 + EPERM, "{way} {round}");
        }
    }
    let counters = guarded.status(|status| status.counters.denied == 100).counters;
    assert_eq!(counters.from_cache, 100, "each second exec is known: {counters:?}");
    assert_eq!((counters.timed_out, counters.busy), (0, 0));
}

#[test]
fn denied_content_that_comes_while_the_file_is_hashed_on_tmpfs() {
    while_it_is_hashed(Kind::Tmpfs);
}

#[test]
fn denied_content_that_comes_while_the_file_is_hashed_on_ext4() {
    while_it_is_hashed(Kind::Ext4);
}

fn while_it_is_hashed(kind: Kind) {
    let Some(arena) = Arena::enter(kind) else { return };
    let Some(rewriter) = rewriter(&arena) else { return };
    // So that a hash takes some ten milliseconds, however this was built.
    let more = if cfg!(debug_assertions) { 256 << 10 } else { 8 << 20 };
    let (clean, bad) = same_size(&arena, more);
    let target = arena.path("target");
    let guarded = arena.guarded();
    guarded.adopt([deny(1, &digests(&bad))]);
    for way in ["stays", "comes"] {
        let mut statuses = std::collections::BTreeMap::new();
        for round in 0..96 {
            fs::write(&target, fs::read(&clean).unwrap()).unwrap();
            fs::set_permissions(&target, fs::metadata(&clean).unwrap().permissions()).unwrap();
            let status = rewrite(&rewriter, way, &target, &bad, round * 250);
            *statuses.entry(status).or_insert(0) += 1;
        }
        let counters = guarded.status(|status| status.counters.questions > 0).counters;
        assert_eq!(counters.timed_out, 0, "{statuses:?}, {counters:?}");
        let expected = [0, 100 + EPERM, 100 + ETXTBSY];
        assert!(statuses.keys().all(|status| expected.contains(status)), "{way}: {statuses:?}, {counters:?}");
        println!("{kind:?}: a writer that {way}: {statuses:?}");
    }
}

/// Two programs that differ only in what they end with, and are found by their first 64 KiB to do so.
fn same_size(arena: &Arena, more: usize) -> (PathBuf, PathBuf) {
    let read = |program| fs::read(program).unwrap();
    let (clean, bad) = (read("/bin/true"), read("/bin/false"));
    let size = clean.len().max(bad.len()) + more;
    let write = |name: &str, program: &str, mut bytes: Vec<u8>| {
        bytes.resize(size, 0);
        let path = arena.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::metadata(program).unwrap().permissions()).unwrap();
        path
    };
    (write("clean", "/bin/true", clean), write("bad", "/bin/false", bad))
}
