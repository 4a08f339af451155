//! Denied content that comes while the file is hashed.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::arena::{Arena, EPERM, ETXTBSY, Kind, deny, digests};
use crate::contents::write_program;
use crate::hand::{Became, Hand, Tools};

/// So that a hash takes some ten milliseconds.
const PAGES: usize = 256;
const TRIES: u32 = 192;
/// As many at least must run, and as many be refused: else the writer never met the hash.
const EACH: usize = 30;

/// How much later the next writer comes when one was first, and earlier when it was not.
const STEP_US: i64 = 50;

const DENIED: u8 = 42;
const INNOCENT: u8 = 43;

#[test]
fn on_tmpfs() {
    on(Kind::Tmpfs);
}

#[test]
fn on_ext4() {
    on(Kind::Ext4);
}

fn on(kind: Kind) {
    let Some(arena) = Arena::enter(kind) else { return };
    let Some(tools) = Tools::build() else { return };
    let source = arena.data_dir().join("source");
    write_program(&source, &tools.payload("payload", DENIED, PAGES));
    let innocent = tools.payload("payload", INNOCENT, PAGES);
    let target = arena.path("target");
    let mut hand = Hand::start(&tools);
    let guarded = arena.guarded();
    guarded.adopt([deny(1, &digests(&source))]);
    write_program(&target, &innocent);
    let start = Instant::now();
    assert_eq!(hand.run_path(&target), Became::Exit(i32::from(INNOCENT)));
    let hash = i64::try_from(start.elapsed().as_micros()).unwrap();
    // Those who stay are there before the exec and keep it from running; so fewer of them.
    for (writer, tries) in [("comes", TRIES), ("stays", TRIES / 4)] {
        let mut counts = BTreeMap::<_, usize>::new();
        let mut edge = 0;
        for n in 0..tries {
            write_program(&target, &innocent);
            // One after the other: anywhere in the hash, and about where it is open who is first.
            let spread = hash * i64::from(n) / i64::from(tries);
            let delay = if n % 2 == 0 { spread } else { edge };
            let became = match hand.race(writer, &target, &source, delay) {
                Became::Exit(status) if status == i32::from(DENIED) => "ran, denied",
                Became::Exit(status) if status == i32::from(INNOCENT) => "ran, innocent",
                Became::Refused(EPERM) => "refused",
                Became::Refused(ETXTBSY) => "busy",
                other => panic!("{other:?}"),
            };
            if n % 2 == 1 {
                edge += if became == "ran, innocent" { -STEP_US } else { STEP_US };
            }
            *counts.entry(became).or_default() += 1;
        }
        let counters = guarded.status(|status| status.counters.questions > 0).counters;
        println!(
            "{kind:?}, a writer that {writer} ({hash} µs for a hash): {counts:?} of {tries}; {} by the timer",
            counters.timed_out
        );
        assert_eq!(counts.get("ran, denied"), None, "{counts:?}, {counters:?}");
        if writer == "comes" {
            let both = ["ran, innocent", "refused"].map(|outcome| counts.get(outcome).copied().unwrap_or(0));
            assert!(both.iter().all(|count| *count >= EACH), "{counts:?}");
        }
    }
}
