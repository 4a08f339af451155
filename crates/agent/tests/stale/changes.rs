//! Content that changed is never taken for what it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::arena::{Arena, EPERM, Guarded, Kind};
use crate::contents::{Turn, after, before, rules, status_after, status_before, write_program};
use crate::hand::{Became, Hand, Tools};
use crate::ways::{WAYS, Way};

/// On every filesystem, what is older can be told from what is newer.
const SETTLED: Duration = Duration::from_millis(2200);
/// How often files are changed that are not settled: the clock's ticks come in between, or don't.
const AT_ONCE: usize = 5;

#[test]
fn on_tmpfs() {
    on(Kind::Tmpfs);
}

#[test]
fn on_ext4() {
    on(Kind::Ext4);
}

#[test]
fn where_times_move_with_the_clocks_ticks() {
    on(Kind::Ext2);
}

#[test]
fn where_times_are_kept_in_seconds() {
    on(Kind::Ext4Seconds);
}

/// What became of the changes of one kind of filesystem, in one direction.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    busy: usize,
    ran: Vec<String>,
}

struct Bench {
    kind: Kind,
    arena: Arena,
    tools: Tools,
    hand: Hand,
    guarded: Guarded,
}

fn on(kind: Kind) {
    let Some(arena) = Arena::enter(kind) else { return };
    let Some(tools) = Tools::build() else { return };
    let guarded = arena.guarded();
    guarded.adopt(rules(&tools, arena.data_dir()));
    let hand = Hand::start(&tools);
    let mut bench = Bench { kind, arena, tools, hand, guarded };
    let mut at_once = [Tally::default(), Tally::default()];
    for round in 0..AT_ONCE {
        for way in bench.ways() {
            for (turn, tally) in [Turn::Bad, Turn::Good].into_iter().zip(&mut at_once) {
                let file = bench.create(way, turn, round);
                bench.change(way, turn, &file, tally);
            }
        }
    }
    let settled = bench.settled();
    let counters = bench.guarded.status(|status| status.counters.questions > 0).counters;
    for (when, [bad, good]) in [("at once", &at_once), ("after 2.2 s", &settled)] {
        println!(
            "{kind:?}, {when}: {} of {} changes to denied content ran; {} were refused as busy. To innocent content: \
             {} wrong denials. {} answers by the timer",
            bad.ran.len(),
            bad.refused + bad.busy + bad.ran.len(),
            bad.busy,
            good.refused + good.busy,
            counters.timed_out,
        );
    }
    let ran: Vec<_> = [at_once, settled].into_iter().flat_map(|[bad, _]| bad.ran).collect();
    assert!(ran.is_empty(), "{kind:?}: denied content ran: {ran:?}, {counters:?}");
}

impl Bench {
    fn ways(&self) -> Vec<&'static Way> {
        WAYS.iter().filter(|way| !way.lacking.contains(&self.kind)).collect()
    }

    /// A file that is as it is before the change, and as known as it can be.
    fn create(&mut self, way: &Way, turn: Turn, round: usize) -> PathBuf {
        let file = self.arena.path(&format!("{} {turn:?} {round}", way.name));
        write_program(&file, &before(&self.tools, turn));
        self.run_twice(turn, &file);
        file
    }

    fn run_twice(&mut self, turn: Turn, file: &Path) {
        let expected = match turn {
            Turn::Bad => Became::Exit(status_before()),
            Turn::Good => Became::Refused(EPERM),
        };
        for _ in 0..2 {
            assert_eq!(self.hand.run_path(file), expected, "{}", file.display());
        }
    }

    fn change(&mut self, way: &Way, turn: Turn, file: &Path, tally: &mut Tally) {
        let source = self.arena.data_dir().join("source");
        // Those that cut look into it for the place.
        fs::write(&source, after(&self.tools, turn, crate::contents::After::Given)).unwrap();
        let became = self.hand.change_and_run(way.name, file, &source);
        tally.count(way, file, became);
        let expected = after(&self.tools, turn, way.after);
        assert!(fs::read(file).unwrap() == expected, "{} is not changed as meant", file.display());
    }

    /// All files are made, rest, run, are changed, rest, and run.
    fn settled(&mut self) -> [Tally; 2] {
        let files: Vec<_> = self
            .ways()
            .into_iter()
            .flat_map(|way| [(way, Turn::Bad), (way, Turn::Good)])
            .map(|(way, turn)| (way, turn, self.create(way, turn, AT_ONCE)))
            .collect();
        sleep(SETTLED);
        let known = |bench: &Self| {
            sleep(Duration::from_millis(1100));
            bench.guarded.client.status().counters.from_cache
        };
        let before = known(self);
        for (_, turn, file) in &files {
            self.run_twice(*turn, file);
        }
        let from_cache = known(self) - before;
        assert!(from_cache >= files.len() as u64, "each second exec is answered from memory: {from_cache}");
        let mut tallies = [Tally::default(), Tally::default()];
        for (way, turn, file) in &files {
            self.change(way, *turn, file, &mut tallies[usize::from(*turn == Turn::Good)]);
        }
        sleep(SETTLED);
        for (way, turn, file) in &files {
            let became = self.hand.run_path(file);
            match turn {
                Turn::Bad => tallies[0].count(way, file, became),
                Turn::Good => assert_eq!(became, Became::Exit(status_after(way.after)), "{}", file.display()),
            }
        }
        tallies
    }
}

impl Tally {
    fn count(&mut self, way: &Way, file: &Path, became: Became) {
        match became {
            Became::Refused(EPERM) => self.refused += 1,
            Became::Refused(crate::arena::ETXTBSY) => self.busy += 1,
            Became::Exit(status) if status == status_after(way.after) => {
                self.ran.push(file.file_name().unwrap().to_string_lossy().into_owned());
            }
            other => panic!("{}: {other:?}", file.display()),
        }
    }
}
