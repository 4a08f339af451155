//! One sweep: who runs what a rule denies, and the end of those who must not.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::facts::Facts;
use model::rule::Effect;
use model::{Digests, RuleId, Sha256, Time};
use parking_lot::Mutex;
use sys::state::State;

use super::hunt::{Hunted, hunt};
use super::judging::{Denied, Judged, Judging};
use super::known::Known;
use super::late::Late;
use super::look::{Depth, Look, Piece};
use super::reach::Reach;
use crate::acts::Grounds;
use crate::inventory::Inventory;
use crate::ruleset::RuleSet;

/// How often files are looked for that nobody knew at the last look. Who ends before one can take hold of its program
/// is not always as fast.
const TURNS: u32 = 20;
/// For so long files are read in one sweep; who runs large ones in great number keeps the next sweep waiting no longer.
const READING: Duration = Duration::from_secs(60);

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

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended => f.write_str("stopped"),
            Self::Runs => f.write_str("runs on: its rule only denies"),
            Self::Left(why) => write!(f, "not stopped: {why}"),
        }
    }
}

/// Sweeps, and remembers what it has read.
pub struct Sweeper {
    known: Known,
    late: Vec<Late>,
}

impl Default for Sweeper {
    fn default() -> Self {
        Self { known: Known::new(None), late: Vec::new() }
    }
}

impl Sweeper {
    pub(crate) fn new(inventory: Arc<Inventory>) -> Self {
        Self { known: Known::new(Some(inventory)), late: Vec::new() }
    }

    /// The next sweep ends also those who run something only because nobody knew it in time, whatever the rule's effect.
    pub(crate) fn stop_also(&mut self, late: Vec<Late>) {
        self.late = late;
    }

    /// Finds every process that runs or maps what `rules` deny, and ends those whose rule says so. Files that are
    /// known go first; then others are read, one at a time, until `is_halted`.
    ///
    /// Call [`sys::lease::ignore_break_signals`] first: files are leased while they are read.
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
        let look = Look::new(Some(HashSet::new()))?;
        let reach = Reach::new(grounds, &look);
        let judging = Judging::new(&reach, rules, now, &mut self.known);
        let late = std::mem::take(&mut self.late);
        let sweep =
            Sweep { reach: &reach, judging, late, ended: Mutex::default(), running: Mutex::default() };
        let begun = Instant::now();
        let is_over = || is_halted() || begun.elapsed() > READING;
        // Again for what was started meanwhile, and for files whose process had ended before they were read.
        for _ in 0..TURNS {
            sweep.hunt()?;
            let (unread, is_elusive) = sweep.judging.unread();
            if (unread.is_empty() && !is_elusive) || is_over() {
                break;
            }
            for piece in unread.into_iter().take_while(|_| !is_over()) {
                if sweep.judging.read(&piece) == Some(Effect::DenyAndStop) {
                    sweep.hunt()?;
                }
            }
        }
        if begun.elapsed() > READING {
            tracing::warn!("not all files that run could be read in time; the next search goes on");
        }
        let (mut hits, running) = (sweep.ended.into_inner(), sweep.running.into_inner());
        hits.extend(running.into_values());
        Ok(found(hits))
    }
}

/// A process that runs something denied, while the sweep goes on.
#[derive(Debug)]
struct Hit {
    pid: i32,
    path: PathBuf,
    denied: Arc<Denied>,
    /// What became of the process, or is to.
    fate: Fate,
    state: State,
    link: Option<String>,
}

struct Sweep<'a> {
    reach: &'a Reach<'a>,
    judging: Judging<'a>,
    late: Vec<Late>,
    ended: Mutex<Vec<Hit>>,
    /// Who ran something denied at the last look, and was not ended.
    running: Mutex<HashMap<i32, Hit>>,
}

impl Sweep<'_> {
    fn hunt(&self) -> io::Result<()> {
        let begins = || self.running.lock().clear();
        let Hunted { ended, left, is_complete } =
            hunt(self.reach.look, &begins, &|pid, depth| self.to_end(pid, depth))?;
        self.ended.lock().extend(ended.into_iter().map(|(_, hit)| hit));
        let mut running = self.running.lock();
        for (pid, hit, why) in left {
            running.insert(pid, Hit { fate: Fate::Left(why), ..hit });
        }
        if !is_complete {
            tracing::error!(
                "processes that must not run were still being started when the search was given up"
            );
        }
        Ok(())
    }

    /// The process, if it is to be ended. When it runs something denied and is not, that is noted.
    fn to_end(&self, pid: i32, depth: Depth) -> Option<(Piece, Hit)> {
        let mut worst: Option<(Piece, Hit)> = None;
        self.reach.look.pieces(pid, depth, &mut |piece| {
            if let Some(hit) = self.hit(&piece)
                && worst.as_ref().is_none_or(|(_, worst)| worst.fate == Fate::Runs || hit.fate == Fate::Ended)
            {
                worst = Some((piece, hit));
            }
            worst.as_ref().is_none_or(|(_, worst)| worst.fate != Fate::Ended)
        });
        let (piece, hit) = worst?;
        if hit.fate == Fate::Ended {
            return Some((piece, hit));
        }
        self.running.lock().insert(pid, hit);
        None
    }

    /// What a rule has against this. The fate is what is to become of the process.
    fn hit(&self, piece: &Piece) -> Option<Hit> {
        let Judged::Denied(denied) = self.judging.judged(piece) else { return None };
        let path = piece.path(self.reach.look);
        let is_late = || self.late.iter().any(|late| late.covers(piece.pid, &denied.sha256()));
        let fate = if denied.effect != Effect::DenyAndStop && !is_late() {
            Fate::Runs
        } else if let Some(by) = self.reach.spared_by(piece, &path, &denied.sha256()) {
            Fate::Left(format!("spared: it is what {by} recorded"))
        } else if !self.reach.is_guarded(piece) {
            Fate::Left("not guarded".to_owned())
        } else if !self.reach.may_end(piece.pid) {
            Fate::Left("never stopped: init or a process of ours".to_owned())
        } else {
            Fate::Ended
        };
        let link = piece.link().map(str::to_owned);
        Some(Hit { pid: piece.pid, path, denied, fate, state: piece.state, link })
    }
}

/// Computes what nobody had to wait for.
fn found(hits: Vec<Hit>) -> Vec<Found> {
    let mut files: HashMap<Sha256, Option<(Digests, Facts)>> = HashMap::new();
    let found = hits.into_iter().filter_map(|hit| {
        let Hit { pid, path, denied, fate, state, link } = hit;
        let file = files.entry(denied.sha256()).or_insert_with(|| denied.described());
        let Some((digests, facts)) = file.clone() else {
            let (path, sha256, rule) = (path.display(), denied.sha256(), denied.rule);
            tracing::warn!(pid, %path, %sha256, %rule, ?fate, "a process ran a denied file that can't be read");
            return None;
        };
        let (rule, effect) = (denied.rule, denied.effect);
        Some(Found { pid, path, digests, facts, rule, effect, fate, state, link })
    });
    found.collect()
}
