//! What is in force on this machine, and which acts were taken, begun and ended; on its disk.
//!
//! The ledger is read whole at the start, so that enforcement begins before the network. Whatever it says is
//! durable: a rule is acknowledged, an act begun, an outcome sent only after its record is on the disk.

mod adoption;
mod brake;
mod braking;
mod bypasses;
mod standing;
mod state;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use model::act::{Act, Outcome};
use model::bypass::Bypass;
use model::log::Position;
use model::order::Failure;
use model::rule::Scope;
use model::spared::Spared;
use model::{ActId, MachineId, OrganizationId, RuleId, Time};
use wire::link::v1::{self, ledger_record::Record};

use crate::clock::Moment;
use crate::journal::Journal;
use crate::ruleset::RuleSet;

pub(crate) use adoption::Refused;
pub(crate) use braking::Braked;
use state::{State, record, set_of, shape};

/// Above this length the ledger is rewritten, when that makes it much shorter.
const REWRITE_ABOVE: u64 = 4 << 20;
/// How many ended acts are remembered, so that one that is handed out again is not done again.
const ENDED_KEPT: usize = 1000;

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    journal: Journal<v1::LedgerRecord>,
    state: State,
    /// The acts that were begun since it was opened.
    begun: HashSet<ActId>,
    turn: u64,
}

impl Ledger {
    /// Opens the ledger of this machine, or begins it.
    ///
    /// # Errors
    /// When it belongs to another machine, is damaged, in use, or the disk fails.
    pub fn open(path: &Path, machine: MachineId, organization: OrganizationId) -> anyhow::Result<Self> {
        let (mut journal, state) = Self::read(path)?;
        let state = match state {
            Some(state) => state,
            None => {
                let state = State::of(machine, organization);
                journal.append(&state.identity())?;
                state
            }
        };
        anyhow::ensure!(
            state.machine == machine,
            "{} belongs to machine {}; use that machine's data directory, or move the file away to enrol anew",
            path.display(),
            state.machine
        );
        Ok(Self { journal, state, begun: HashSet::new(), turn: 0 })
    }

    /// Opens a ledger that an agent has begun, whosever it is.
    ///
    /// # Errors
    /// When it was never begun, is damaged, in use, or the disk fails.
    pub(crate) fn open_again(path: &Path) -> anyhow::Result<Self> {
        let (journal, state) = Self::read(path)?;
        let state = state.ok_or_else(|| anyhow::anyhow!("{} was never begun", path.display()))?;
        Ok(Self { journal, state, begun: HashSet::new(), turn: 0 })
    }

    fn read(path: &Path) -> anyhow::Result<(Journal<v1::LedgerRecord>, Option<State>)> {
        let mut state: Option<State> = None;
        let journal = Journal::read(path, |record: v1::LedgerRecord| match &mut state {
            Some(state) => state.replay(record),
            None => State::begun_by(&record).map(|begun| state = Some(begun)),
        })?;
        if let Some(state) = &mut state {
            state.settle()?;
        }
        sys::process::give_back_memory();
        Ok((journal, state))
    }

    /// How far in the organization's log this machine is.
    pub(crate) fn position(&self) -> Position {
        self.state.standing.position
    }

    /// The rules in force here: those of the log without what root on this machine has lifted.
    pub(crate) fn rules(&self) -> &RuleSet {
        self.state.standing.in_force()
    }

    /// Another number, and a greater one, whenever [`Self::rules`] may be others, since it was opened.
    pub(crate) fn turn(&self) -> u64 {
        self.turn
    }

    /// Takes an act: durable when it returns. One that was taken before is not taken again.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn take(&mut self, act: Act) -> io::Result<()> {
        if self.state.acts.iter().all(|taken| taken.act.id != act.id) {
            self.journal.append(&record(Record::ActTaken((&act).into())))?;
            self.state.take(act);
        }
        Ok(())
    }

    /// Notes that an act has begun, once for each time that the ledger is opened: durable when it returns. From the
    /// first on its deadline no longer matters, and nobody can withdraw it. False for one that has ended, as one does
    /// that was withdrawn.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin(&mut self, act: ActId) -> io::Result<bool> {
        self.begin_at(act, None)
    }

    /// The same; with a moment, it counts for the brake.
    pub(crate) fn begin_at(&mut self, act: ActId, at: Option<Moment>) -> io::Result<bool> {
        if self.outcome(act).is_some() {
            return Ok(false);
        }
        if !self.begun.contains(&act) {
            let step = "begun".to_owned();
            let step = v1::ActStep { act: act.0.as_bytes().to_vec(), step, at: at.as_ref().map(Into::into) };
            self.journal.append(&record(Record::ActStep(step)))?;
            self.state.note_begun(act, at);
            self.begun.insert(act);
        }
        Ok(true)
    }

    /// Withdraws an act that has not begun: it never begins, and that is its outcome; durable when it returns. One
    /// that has begun goes on.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn cancel(&mut self, act: ActId) -> io::Result<()> {
        if self.has_begun(act) {
            return Ok(());
        }
        let failure = Some(Failure::cancelled("cancelled before the machine began"));
        self.ended(Outcome { act, copies: Vec::new(), stopped: 0, services: Vec::new(), failure })
    }

    /// How an act ended, if it has.
    pub(crate) fn outcome(&self, act: ActId) -> Option<&Outcome> {
        self.state.acts.iter().find(|taken| taken.act.id == act)?.outcome.as_ref()
    }

    /// Whether an act has begun.
    pub fn has_begun(&self, act: ActId) -> bool {
        self.times_begun(act) > 0
    }

    /// How often an act has begun. Each time but the last, it was cut short by the end of the agent.
    pub fn times_begun(&self, act: ActId) -> u32 {
        self.state.acts.iter().find(|taken| taken.act.id == act).map_or(0, |taken| taken.begun)
    }

    /// The acts that were taken and have not ended, oldest first.
    pub fn unfinished(&self) -> Vec<Act> {
        let unfinished = self.state.acts.iter().filter(|taken| taken.outcome.is_none());
        unfinished.map(|taken| taken.act.clone()).collect()
    }

    /// The outcomes that the server has not acknowledged.
    pub fn unsent(&self) -> Vec<Outcome> {
        let unsent = self.state.acts.iter().filter(|taken| !taken.stored);
        unsent.filter_map(|taken| taken.outcome.clone()).collect()
    }

    /// Notes how an act ended: durable when it returns. An act ends once.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn ended(&mut self, outcome: Outcome) -> io::Result<()> {
        if self.outcome(outcome.act).is_some() {
            return Ok(());
        }
        self.journal.append(&record(Record::ActEnded((&outcome).into())))?;
        self.begun.remove(&outcome.act);
        self.state.end(outcome);
        Ok(())
    }

    /// Notes that the server has an act's outcome.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn outcome_stored(&mut self, act: ActId) -> io::Result<()> {
        self.journal.append(&record(Record::OutcomeStored(act.0.as_bytes().to_vec())))?;
        self.state.store(act);
        let settled = self.state.acts.iter().filter(|taken| taken.stored).count();
        let mut surplus = settled.saturating_sub(ENDED_KEPT);
        self.state.acts.retain(|taken| {
            let dropped = taken.stored && surplus > 0;
            surplus -= usize::from(dropped);
            !dropped
        });
        Ok(())
    }

    /// Lifts this machine's own deny, at root's word: durable when it returns. Whether there was one.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn lift(&mut self, rule: RuleId, comment: &str) -> io::Result<bool> {
        let State { standing, machine, .. } = &mut self.state;
        let is_own = standing.get(rule).is_some_and(|rule| rule.scope == Scope::Machine(*machine));
        if is_own && !standing.is_lifted(rule) {
            let in_force = standing.without(rule)?;
            let lifted = v1::Lifted { rule: rule.0, comment: comment.to_owned() };
            self.journal.append(&record(Record::Lifted(lifted.clone())))?;
            standing.lift(lifted, Some(in_force));
            self.turn += 1;
        }
        Ok(is_own)
    }

    /// What root lifted here and the server does not know yet, with the reason.
    pub(crate) fn lifted(&self) -> Vec<(RuleId, String)> {
        self.state.standing.lifted()
    }

    /// Notes that the server knows of a lifted rule. It stays lifted until the log's own entry ends it.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn lifted_stored(&mut self, rule: RuleId) -> io::Result<()> {
        self.journal.append(&record(Record::LiftedStored(rule.0)))?;
        self.state.standing.note_lifted_stored(rule);
        Ok(())
    }

    /// Lets a user past a rule that warns: durable when it returns.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn bypass(
        &mut self,
        bypass: &Bypass,
        rule: RuleId,
        comment: &str,
        now: Time,
    ) -> io::Result<()> {
        let told = bypasses::shape(bypass, rule, comment);
        self.journal.append(&record(Record::Bypassed(told.clone())))?;
        self.state.bypasses.forget(now);
        self.state.bypasses.note(told).map_err(io::Error::other)
    }

    /// The users' ways past warnings; some may be over.
    pub(crate) fn bypasses(&self) -> Vec<Bypass> {
        self.state.bypasses.all()
    }

    /// Those of which the server does not know yet.
    pub(crate) fn untold_bypasses(&self) -> Vec<v1::Bypass> {
        self.state.bypasses.unsent()
    }

    /// Notes that the server knows of a bypass.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn bypass_stored(&mut self, id: Vec<u8>) -> io::Result<()> {
        self.journal.append(&record(Record::BypassStored(id.clone())))?;
        self.state.bypasses.note_stored(&id);
        Ok(())
    }

    /// What was recorded at enrolment of the files that may never be denied.
    pub(crate) fn baseline(&self) -> &[Spared] {
        &self.state.baseline
    }

    /// Records the baseline.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn set_baseline(&mut self, baseline: Vec<Spared>) -> io::Result<()> {
        self.journal.append(&record(Record::Baseline(set_of(&baseline))))?;
        self.state.baseline = baseline;
        Ok(())
    }

    /// What was spared when that was found out last.
    pub(crate) fn spared(&self) -> &[Spared] {
        self.state.spared.as_deref().unwrap_or(&self.state.baseline)
    }

    /// Keeps what is spared, for the next start.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn set_spared(&mut self, spared: Vec<Spared>) -> io::Result<()> {
        if self.spared() != spared {
            self.journal.append(&record(Record::Spared(set_of(&spared))))?;
            self.state.spared = Some(spared);
        }
        Ok(())
    }

    /// The filesystems that have been looked through once, by their roots.
    pub(crate) fn swept(&self) -> &[PathBuf] {
        &self.state.swept
    }

    /// Notes that these filesystems have been looked through once.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn set_swept(&mut self, roots: Vec<PathBuf>) -> io::Result<()> {
        if self.state.swept != roots {
            self.journal.append(&record(Record::Swept(shape(&roots))))?;
            self.state.swept = roots;
        }
        Ok(())
    }

    /// Rewrites the ledger as what it says now, when history has made it long. What was adopted is durable whether or
    /// not its history can be dropped.
    pub(crate) fn shorten(&mut self) {
        let length = self.journal.length();
        if length < REWRITE_ABOVE || self.state.length() > length / 2 || self.state.standing.is_gathering() {
            return;
        }
        if let Err(error) = self.journal.rewrite(self.state.records()) {
            tracing::warn!(%error, "the ledger can't be rewritten");
        }
    }
}
