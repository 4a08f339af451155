//! The thread that changes rules, and at once tries whether they are in force.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::guard::client::Guard;

use crate::arena::EPERM;
use crate::chance::Chance;
use crate::contents::{CONTENTS, Contents, write_program};
use crate::hand::{Became, Hand, Tools};
use crate::rules::Rules;
use crate::tally::Tally;

pub(crate) struct Ruler<'w> {
    hand: Hand,
    guard: &'w Guard,
    contents: &'w Contents,
    rules: &'w Rules,
    tally: &'w Tally,
    chance: Chance,
    /// For each filesystem a file of each content. Nobody touches them.
    still: Vec<Vec<PathBuf>>,
}

impl<'w> Ruler<'w> {
    pub(crate) fn new(
        tools: &Tools,
        guard: &'w Guard,
        contents: &'w Contents,
        rules: &'w Rules,
        tally: &'w Tally,
        chance: Chance,
        grounds: &[PathBuf],
    ) -> Self {
        let still = grounds.iter().map(|ground| still(ground, contents)).collect();
        Self { hand: Hand::start(tools), guard, contents, rules, tally, chance, still }
    }

    pub(crate) fn step(&mut self) {
        let (number, is_denied) = self.rules.change(self.guard, self.contents, &mut self.chance);
        let file = &self.still[self.chance.index(self.still.len())][number];
        let began = Instant::now();
        match self.hand.run_path(file) {
            Became::Exit(_) if is_denied => {
                let what = format!("{number}, which is denied since a moment ago");
                self.tally.note_permit(&what, began.elapsed());
            }
            Became::Refused(EPERM) if !is_denied => {
                self.tally.step("wrong denials, of what was denied until a moment ago");
            }
            Became::Exit(_) | Became::Refused(EPERM) => self.tally.step("changes of rules, in force"),
            Became::Signal(9) => self.tally.step("killed, by a late verdict"),
            other => self.tally.note_wrong(format!("{}: {other:?}", file.display())),
        }
        std::thread::sleep(Duration::from_micros(self.chance.below(4000)));
    }
}

fn still(ground: &Path, contents: &Contents) -> Vec<PathBuf> {
    let dir = ground.join("still");
    fs::create_dir(&dir).unwrap();
    let files = (0..CONTENTS).map(|number| {
        let file = dir.join(number.to_string());
        write_program(&file, &fs::read(contents.source(number)).unwrap());
        file
    });
    files.collect()
}
