//! One sweep: who runs what a rule denies, and the end of those who must not.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use model::facts::Facts;
use model::rule::Effect;
use model::verdict::{Because, judge};
use model::{Digests, RuleId, Time};
use parking_lot::Mutex;
use sys::state::State;

use super::hunt::{Hunted, hunt};
use super::known::{Described, Known};
use super::look::{Depth, Look, Piece};
use super::reach::Reach;
use crate::acts::Grounds;
use crate::inventory::Inventory;
use crate::ruleset::RuleSet;

/// How often files are read that nobody knew at the last look.
const TURNS: u32 = 4;

/// A process that runs what a rule denies.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its id.
    pub pid: i32,
    /// Where the file is, as the process sees it; " (deleted)" stands behind it when it has no name any more.
    pub path: PathBuf,
    /// Which file.
    pub digests: Digests,
    /// What its bytes say.
    pub facts: Facts,
    /// The strongest rule against it.
    pub rule: RuleId,
    /// What the rule does.
    pub effect: Effect,
    /// What became of the process.
    pub fate: Fate,
    /// The file's state.
    pub(super) state: State,
    /// Where in /proc it can be looked at again.
    pub(super) link: Option<String>,
}

/// What became of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was ended.
    Ended,
    /// It runs on: its rule only denies.
    Runs,
    /// It runs on, though its rule says otherwise, and why.
    Left(String),
}

/// What a rule says of a file, wherever it lies.
#[derive(Clone, Debug)]
struct Denied {
    file: Described,
    rule: RuleId,
    effect: Effect,
}

/// What is known of a file that somebody runs.
#[derive(Clone)]
enum Judged {
    /// It may run, or it can't be read.
    Clear,
    /// It was not read yet.
    Unread,
    Denied(Arc<Denied>),
}

/// Sweeps, and remembers what it has read.
pub struct Sweeper {
    known: Known,
}

impl Default for Sweeper {
    fn default() -> Self {
        Self { known: Known::new(None) }
    }
}

impl Sweeper {
    pub(crate) fn new(inventory: Arc<Inventory>) -> Self {
        Self { known: Known::new(Some(inventory)) }
    }

    /// Finds every process that runs or maps what `rules` deny, and ends those whose rule says so. Files that are
    /// known go first; then others are read, one at a time, until `is_halted`.
    ///
    /// # Errors
    /// Those of reading /proc.
    pub fn sweep(
        &mut self,
        grounds: &Grounds,
        rules: &RuleSet,
        now: Time,
        is_halted: &dyn Fn() -> bool,
    ) -> io::Result<Vec<Found>> {
        self.known.begin();
        let look = Look::new(Some(std::collections::HashSet::new()))?;
        let files =
            Mutex::new(Files { known: &mut self.known, judged: HashMap::new(), unread: HashMap::new() });
        let sweep =
            Sweep { reach: Reach { grounds, look: &look }, rules, now, files, running: Mutex::default() };
        let mut ended = Vec::new();
        // Again for what was started meanwhile, and for files whose process had ended before they were read.
        for _ in 0..TURNS {
            sweep.hunt(&mut ended)?;
            let unread = sweep.unread();
            if unread.is_empty() {
                break;
            }
            for (state, piece) in unread {
                if is_halted() {
                    break;
                }
                if sweep.read(state, &piece) == Some(Effect::DenyAndStop) {
                    sweep.hunt(&mut ended)?;
                }
            }
        }
        ended.extend(sweep.running.into_inner().into_values());
        Ok(ended)
    }
}

struct Sweep<'a> {
    reach: Reach<'a>,
    rules: &'a RuleSet,
    now: Time,
    files: Mutex<Files<'a>>,
    /// Who ran something denied at the last look, and was not ended.
    running: Mutex<HashMap<i32, Found>>,
}

struct Files<'a> {
    known: &'a mut Known,
    judged: HashMap<State, Judged>,
    /// One of those who run each file that is still to be read.
    unread: HashMap<State, Piece>,
}

impl Sweep<'_> {
    fn hunt(&self, ended: &mut Vec<Found>) -> io::Result<()> {
        let begins = || self.running.lock().clear();
        let Hunted { ended: killed, left, is_complete } =
            hunt(self.reach.look, &begins, &|pid, depth| self.to_end(pid, depth))?;
        ended.extend(killed.into_iter().map(|(_, found)| found));
        let mut running = self.running.lock();
        for (pid, found, why) in left {
            running.insert(pid, Found { fate: Fate::Left(why), ..found });
        }
        if !is_complete {
            tracing::error!(
                "processes that must not run were still being started when the search was given up"
            );
        }
        Ok(())
    }

    /// The process, if it is to be ended. When it runs something denied and is not, that is noted.
    fn to_end(&self, pid: i32, depth: Depth) -> Option<Found> {
        let mut worst: Option<Found> = None;
        self.reach.look.pieces(pid, depth, &mut |piece| {
            if let Some(found) = self.found(piece)
                && worst.as_ref().is_none_or(|worst| worst.fate == Fate::Runs || found.fate == Fate::Ended)
            {
                worst = Some(found);
            }
            !worst.as_ref().is_some_and(|worst| worst.fate == Fate::Ended)
        });
        let found = worst?;
        if found.fate == Fate::Ended {
            return Some(found);
        }
        self.running.lock().insert(pid, found);
        None
    }

    /// What a rule has against this. The fate is what is to become of the process.
    fn found(&self, piece: Piece) -> Option<Found> {
        let Judged::Denied(denied) = self.judged(&piece) else { return None };
        let path = piece.path(self.reach.look);
        let (digests, facts) = denied.file.clone();
        let fate = if denied.effect != Effect::DenyAndStop {
            Fate::Runs
        } else if let Some(by) = self.reach.spared_by(&piece, &path, &digests) {
            Fate::Left(format!("spared: it is what {by} recorded"))
        } else if !self.reach.is_guarded(&piece) {
            Fate::Left("not guarded".to_owned())
        } else if !self.reach.may_end(piece.pid) {
            Fate::Left("never stopped: init or a process of ours".to_owned())
        } else {
            Fate::Ended
        };
        Some(Found {
            pid: piece.pid,
            path,
            digests,
            facts,
            rule: denied.rule,
            effect: denied.effect,
            fate,
            state: piece.state,
            link: piece.link().map(str::to_owned),
        })
    }

    fn judged(&self, piece: &Piece) -> Judged {
        if let Some(judged) = self.files.lock().judged.get(&piece.state) {
            return judged.clone();
        }
        let device = self.reach.look.device(piece);
        if !self.reach.is_local(device, piece.pid) {
            self.files.lock().judged.insert(piece.state, Judged::Clear);
            return Judged::Clear;
        }
        // Gone in this moment, or somebody else by now: whoever else runs it is asked.
        let Ok(held) = piece.hold(self.reach.look) else { return Judged::Unread };
        let mut files = self.files.lock();
        let known = if self.hides_writes(device, piece.pid) { None } else { files.known.recall(&held) };
        let judged = known.map_or(Judged::Unread, |file| self.judge(file));
        if let Judged::Unread = judged {
            let Ok(again) = piece.try_clone() else { return Judged::Unread };
            files.unread.insert(piece.state, again);
        }
        files.judged.insert(piece.state, judged.clone());
        judged
    }

    fn hides_writes(&self, device: u64, pid: i32) -> bool {
        self.reach.look.filesystem(device, pid).is_none_or(|filesystem| filesystem.hides_writes)
    }

    fn judge(&self, file: Described) -> Judged {
        let verdict = judge(self.rules.matching(&file.0), self.now, || false);
        match verdict.because {
            Because::Rule(rule, effect) if !verdict.permits => {
                Judged::Denied(Arc::new(Denied { file, rule, effect }))
            }
            _ => Judged::Clear,
        }
    }

    /// Files that are known by nothing yet, small ones first.
    fn unread(&self) -> Vec<(State, Piece)> {
        let mut unread: Vec<_> = self.files.lock().unread.drain().collect();
        unread.sort_by_key(|(state, _)| state.size);
        unread
    }

    /// Reads a file, and says what is to happen to those who run it.
    fn read(&self, state: State, piece: &Piece) -> Option<Effect> {
        let hides_writes = self.hides_writes(self.reach.look.device(piece), piece.pid);
        let Ok(held) = piece.hold(self.reach.look) else {
            self.files.lock().judged.remove(&state);
            return None;
        };
        // Nobody else looks at processes meanwhile.
        let read = self.files.lock().known.read(&held, state, hides_writes, self.now);
        let judged = match read {
            Ok(file) => self.judge(file),
            Err(error) => {
                tracing::debug!(pid = piece.pid, %error, "what a process runs can't be read");
                Judged::Clear
            }
        };
        self.files.lock().judged.insert(state, judged.clone());
        match judged {
            Judged::Denied(denied) => Some(denied.effect),
            Judged::Clear | Judged::Unread => None,
        }
    }
}
