//! One thread of the walk, with a hand of its own.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::guard::bpf::Level;

use crate::arena::{EPERM, ETXTBSY};
use crate::chance::Chance;
use crate::contents::{CONTENTS, Contents};
use crate::files::{Files, Sight};
use crate::hand::{Became, Hand, Tools};
use crate::processes::level;
use crate::rules::{Rules, States, is_denied, is_permitted};
use crate::tally::Tally;

#[derive(Clone, Copy)]
enum Step {
    Run,
    Rewrite,
    Link,
    Exchange,
}

const STEPS: [(u64, Step); 4] = [(75, Step::Run), (20, Step::Rewrite), (2, Step::Link), (3, Step::Exchange)];

/// By their names in `run.c`; those that make namespaces cost the most.
const ROADS: [(u64, &str); 9] = [
    (80, "path"),
    (4, "proc-fd"),
    (4, "descriptor"),
    (3, "o-path"),
    (3, "directory"),
    (2, "open-tree"),
    (2, "namespace"),
    (1, "user-namespace"),
    (1, "bind"),
];

/// By their names in `change.c`.
const WAYS: [(u64, &str); 18] = [
    (6, "write"),
    (6, "truncate-write"),
    (6, "pwrite"),
    (6, "pwrite-times"),
    (4, "pwrite-mode"),
    (4, "direct"),
    (4, "sendfile"),
    (4, "splice"),
    (4, "copy_file_range"),
    (6, "io_uring"),
    (6, "aio"),
    (6, "rename"),
    (4, "reuse"),
    (8, "map"),
    (4, "map-msync"),
    (8, "map-read-first"),
    (1, "map-dirty-first"),
    (3, "punch"),
];

pub(crate) struct Walker<'w> {
    hand: Hand,
    contents: &'w Contents,
    files: &'w [Files],
    rules: &'w Rules,
    tally: &'w Tally,
    chance: Chance,
    scratch: PathBuf,
}

impl<'w> Walker<'w> {
    #[expect(clippy::too_many_arguments, reason = "what all walkers share, and what each has")]
    pub(crate) fn new(
        tools: &Tools,
        contents: &'w Contents,
        files: &'w [Files],
        rules: &'w Rules,
        tally: &'w Tally,
        chance: Chance,
        outside: &Path,
        number: u64,
    ) -> Self {
        let scratch = outside.join(format!("scratch {number}"));
        fs::create_dir(&scratch).unwrap();
        Self { hand: Hand::start(tools), contents, files, rules, tally, chance, scratch }
    }

    pub(crate) fn step(&mut self) {
        let files = &self.files[self.chance.index(self.files.len())];
        let name = self.chance.index(files.len());
        match self.chance.pick(&STEPS) {
            Step::Run => self.run(files, name),
            Step::Rewrite => self.rewrite(files, name),
            step => {
                let other = self.chance.index(files.len());
                if other != name {
                    rename(files, name, other, step);
                    self.tally.step("renames and links");
                }
            }
        }
    }

    fn rewrite(&mut self, files: &Files, name: usize) {
        // Now and then by the way that takes as long as all others together.
        let way = if self.chance.below(200) == 0 { "loop" } else { self.chance.pick(&WAYS) };
        let content = if way == "punch" { 0 } else { self.chance.index(CONTENTS) };
        let mut changing = files.change(&[name]);
        let source = self.contents.source(if way == "punch" { 1 } else { content });
        let path = files.path(name);
        let became = if self.chance.below(2) == 0 {
            self.hand.change(way, path, source)
        } else {
            // As fast as it can be: run, changed and run within a tick of the clock.
            self.judged(files, name, way, |hand| hand.run_path(path));
            self.judged(files, name, way, |hand| hand.change_and_run(way, path, source))
        };
        if let Became::Impossible(_) = became {
            return self.tally.step("not rewritten: no loop device was free, or even opening it is denied");
        }
        if way == "rename" || way == "reuse" {
            changing.is_new(name);
        }
        changing.holds(name, content);
        self.tally.step("rewritings");
    }

    fn run(&mut self, files: &Files, name: usize) {
        let road = self.chance.pick(&ROADS);
        let scratch = self.scratch.clone();
        self.judged(files, name, road, |hand| hand.run(road, files.path(name), &scratch, 0));
    }

    fn judged(
        &mut self,
        files: &Files,
        name: usize,
        road: &str,
        run: impl FnOnce(&mut Hand) -> Became,
    ) -> Became {
        let before = (self.rules.states(), files.look(name));
        let began = Instant::now();
        let became = run(&mut self.hand);
        let took = began.elapsed();
        let after = (self.rules.states(), files.look(name));
        let (states, sights) = ((before.0, after.0), (before.1, after.1));
        let ran = Ran { road, path: files.path(name), states, sights, took };
        ran.judge(&became, self.tally);
        became
    }
}

/// A rename that exchanges two names, or a second name for an inode.
fn rename(files: &Files, name: usize, other: usize, step: Step) {
    let mut changing = files.change(&[name, other]);
    let (path, target) = (files.path(name), files.path(other));
    if let Step::Link = step {
        fs::remove_file(target).unwrap();
        fs::hard_link(path, target).unwrap();
        changing.is_linked(other, name);
    } else {
        let dir = fs::File::open(path.parent().unwrap()).unwrap();
        let exchange = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(dir.as_fd(), path, dir.as_fd(), target, exchange).unwrap();
        changing.are_exchanged(name, other);
    }
}

/// What was known when an exec began and when it had ended.
struct Ran<'r> {
    road: &'r str,
    path: &'r Path,
    states: (States, States),
    sights: (Sight, Sight),
    /// What the timer permits takes at least as long as the timer.
    took: Duration,
}

impl Ran<'_> {
    fn judge(&self, became: &Became, tally: &Tally) {
        let content = self.sights.0.content().filter(|_| self.sights.0 == self.sights.1);
        match (became, content) {
            (Became::Exit(number), _) => self.judge_run(usize::try_from(*number).unwrap(), content, tally),
            (Became::Refused(EPERM), Some(content)) if self.all_along(is_permitted, content) => {
                tally.step("wrong denials, of what nobody denied or changed");
            }
            (Became::Refused(EPERM), _) => tally.step("refused"),
            (Became::Refused(ETXTBSY), Some(_)) => tally.step("wrong denials, as busy without a writer"),
            (Became::Refused(ETXTBSY), None) => tally.step("busy"),
            (Became::Impossible(_), None) => {}
            (Became::Signal(9), _) => tally.step("killed, by a late verdict"),
            // Where the kernel denies by itself: the rule came when the old program was gone already.
            (Became::Signal(11), content)
                if level() == Level::Bpf
                    && !content.is_some_and(|content| {
                        self.all_along(is_permitted, content) || self.all_along(is_denied, content)
                    }) =>
            {
                tally.step("refused when it was mapped");
            }
            // It was gone for a moment, or not executable, or empty.
            (Became::Refused(_), None) => tally.step("not there to run while it changed"),
            _ => tally.note_wrong(format!("{} by {}: {became:?}", self.path.display(), self.road)),
        }
    }

    fn judge_run(&self, number: usize, content: Option<usize>, tally: &Tally) {
        if number >= CONTENTS || content.is_some_and(|content| content != number) {
            let path = self.path.display();
            tally.note_wrong(format!("the walk is wrong: {path} holds {content:?} and says {number}"));
        } else if self.all_along(is_denied, number) {
            let what = format!("{} by {}: {number}, which is denied", self.path.display(), self.road);
            tally.note_permit(&what, self.took);
        } else {
            tally.step(if content.is_some() { "ran" } else { "ran while it changed" });
        }
    }

    /// Whether a content was in some state from before the exec until after it.
    fn all_along(&self, state: fn(u64) -> bool, content: usize) -> bool {
        self.states.0[content] == self.states.1[content] && state(self.states.0[content])
    }
}
