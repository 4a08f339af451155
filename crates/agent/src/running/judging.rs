//! What the rules say of the files that processes run.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use model::facts::Facts;
use model::rule::Effect;
use model::verdict::{Because, judge};
use model::{Digests, Kinds, RuleId, Time};
use parking_lot::Mutex;
use sys::state::State;

use super::known::{Described, Known, names, reopen};
use super::look::Piece;
use super::reach::Reach;
use crate::ruleset::RuleSet;

/// Unread files that are held, and so can be read when the process has ended; others are looked for again.
const MOST_HELD: usize = 256;

/// A file that a rule denies, wherever it lies.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) rule: RuleId,
    pub(super) effect: Effect,
    file: Described,
    /// Its last name may be gone once those who ran it have ended.
    held: OwnedFd,
}

impl Denied {
    /// All its names and what its bytes say; names that no rule asked for are computed now. `None` when it can't be
    /// read any more.
    pub(super) fn described(&self) -> Option<(Digests, Facts)> {
        let (known, facts) = &self.file;
        if let Some(digests) = known.all() {
            return Some((digests, facts.clone()));
        }
        let (read, facts) = names(&reopen(&self.held).ok()?, Kinds::ALL).ok()?;
        read.all().filter(|_| read.sha256 == known.sha256).map(|digests| (digests, facts))
    }

    pub(super) fn sha256(&self) -> model::Sha256 {
        self.file.0.sha256
    }
}

/// What is known of a file that somebody runs.
#[derive(Clone, Debug)]
pub(super) enum Judged {
    /// It may run, or it can't be read.
    Clear,
    /// It was not read yet.
    Unread,
    Denied(Arc<Denied>),
}

/// Judges each file once in each of its states.
pub(super) struct Judging<'a> {
    reach: &'a Reach<'a>,
    rules: &'a RuleSet,
    kinds: Kinds,
    now: Time,
    files: Mutex<Files<'a>>,
}

struct Files<'a> {
    known: &'a mut Known,
    judged: HashMap<State, Judged>,
    /// One of those who run each file that is still to be read.
    unread: HashMap<State, Piece>,
    /// A file was met of which nobody could take hold before its process had ended.
    is_elusive: bool,
}

impl<'a> Judging<'a> {
    pub(super) fn new(reach: &'a Reach<'a>, rules: &'a RuleSet, now: Time, known: &'a mut Known) -> Self {
        let files =
            Mutex::new(Files { known, judged: HashMap::new(), unread: HashMap::new(), is_elusive: false });
        Self { reach, rules, kinds: rules.kinds(), now, files }
    }

    /// What is known of a piece without reading it. What is not is read by [`Self::read`].
    pub(super) fn judged(&self, piece: &Piece) -> Judged {
        if let Some(judged) = self.files.lock().judged.get(&piece.state) {
            return judged.clone();
        }
        let device = self.reach.look.device(piece);
        if !self.reach.is_local(device, piece.pid) {
            self.files.lock().judged.insert(piece.state, Judged::Clear);
            return Judged::Clear;
        }
        let Ok(held) = piece.hold(self.reach.look) else {
            // Gone in this moment, or something else by now. Somebody else may run it.
            self.files.lock().is_elusive = true;
            return Judged::Unread;
        };
        let hides_writes = self.hides_writes(device, piece.pid);
        let mut files = self.files.lock();
        let known = if hides_writes { None } else { files.known.recall(&held, self.kinds) };
        let judged = match known {
            Some(file) => self.judge(file, held),
            None => {
                let place = if files.unread.len() < MOST_HELD { piece.holding(held) } else { piece.again() };
                files.unread.insert(piece.state, place);
                Judged::Unread
            }
        };
        files.judged.insert(piece.state, judged.clone());
        judged
    }

    /// The files that were met since the last call and are not known, small ones first; and whether there were others
    /// that nobody could take hold of.
    pub(super) fn unread(&self) -> (Vec<Piece>, bool) {
        let mut files = self.files.lock();
        let mut unread: Vec<Piece> = files.unread.drain().map(|(_, piece)| piece).collect();
        unread.sort_by_key(|piece| piece.state.size);
        (unread, std::mem::take(&mut files.is_elusive))
    }

    /// Reads a file, and says what is to happen to those who run it.
    pub(super) fn read(&self, piece: &Piece) -> Option<Effect> {
        let Ok(held) = piece.hold(self.reach.look) else {
            // Somebody else may run it.
            let mut files = self.files.lock();
            files.judged.remove(&piece.state);
            files.is_elusive = true;
            return None;
        };
        let hides_writes = self.hides_writes(self.reach.look.device(piece), piece.pid);
        // Nobody looks at processes meanwhile.
        let mut files = self.files.lock();
        let judged = match files.known.read(&held, piece.state, self.kinds, hides_writes, self.now) {
            Ok(file) => self.judge(file, held),
            Err(error) => {
                tracing::debug!(pid = piece.pid, %error, "what a process runs can't be read");
                Judged::Clear
            }
        };
        files.judged.insert(piece.state, judged.clone());
        match judged {
            Judged::Denied(denied) => Some(denied.effect),
            Judged::Clear | Judged::Unread => None,
        }
    }

    fn hides_writes(&self, device: u64, pid: i32) -> bool {
        self.reach.look.filesystem(device, pid).is_none_or(|filesystem| filesystem.hides_writes)
    }

    fn judge(&self, file: Described, held: OwnedFd) -> Judged {
        let verdict = judge(self.rules.matching(&file.0), self.now, || false);
        match verdict.because {
            Because::Rule(rule, effect) if !verdict.permits => {
                Judged::Denied(Arc::new(Denied { rule, effect, file, held }))
            }
            _ => Judged::Clear,
        }
    }
}
