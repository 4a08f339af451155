//! What is in force on this machine, and which acts were taken, begun and ended; on its disk.
//!
//! The ledger is read whole at the start, so that enforcement begins before the network. Whatever it says is
//! durable: a rule is acknowledged, an act begun, an outcome sent only after its record is on the disk.

mod adoption;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use model::act::{Act, Outcome};
use model::log::{Change, Position};
use model::rule::{Rule, Scope};
use model::spared::Spared;
use model::{ActId, MachineId, OrganizationId, RuleId};
use wire::link::v1::{self, ledger_record::Record};
use wire::link::{acts, things};

use crate::journal::Journal;

pub(crate) use adoption::Refused;
use adoption::{Adoption, Content};

/// Above this length the ledger is rewritten, when that makes it much shorter.
const REWRITE_ABOVE: u64 = 4 << 20;
/// How many ended acts are remembered, so that one that is handed out again is not done again.
const ENDED_KEPT: usize = 1000;

/// An act that this machine has taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// The act.
    pub(crate) act: Act,
    /// Whether it has begun.
    pub(crate) begun: bool,
    /// How it ended, if it has.
    pub(crate) outcome: Option<Outcome>,
    /// Whether the server has that outcome.
    pub(crate) stored: bool,
}

/// A rule that root on this machine has lifted, until the log's own entry ends it.
#[derive(Debug)]
struct Lifted {
    comment: String,
    /// Whether the server knows.
    stored: bool,
}

/// The open ledger.
#[derive(Debug)]
pub(crate) struct Ledger {
    journal: Journal<v1::LedgerRecord>,
    machine: MachineId,
    organization: OrganizationId,
    position: Position,
    chain: [u8; 32],
    rules: BTreeMap<RuleId, Rule>,
    acts: Vec<Taken>,
    lifted: BTreeMap<RuleId, Lifted>,
    baseline: Vec<Spared>,
    swept: Vec<PathBuf>,
}

impl Ledger {
    /// Opens the ledger of this machine, or begins it.
    ///
    /// # Errors
    /// When it belongs to another machine, is damaged, in use, or the disk fails.
    pub(crate) fn open(
        path: &Path,
        machine: MachineId,
        organization: OrganizationId,
    ) -> anyhow::Result<Self> {
        let (mut journal, mut records) = Journal::open(path)?;
        if records.is_empty() {
            let machine = machine.0.to_vec();
            let identity = v1::Identity { machine, organization: organization.0.as_bytes().to_vec() };
            records.push(record(Record::Identity(identity)));
            journal.append(&records[0])?;
        }
        let ledger = Self::read(journal, records)?;
        anyhow::ensure!(
            ledger.machine == machine,
            "{} belongs to machine {}; use that machine's data directory, or move the file away to enrol anew",
            path.display(),
            ledger.machine
        );
        Ok(ledger)
    }

    /// Opens a ledger that an agent has begun, whosever it is.
    ///
    /// # Errors
    /// When it was never begun, is damaged, in use, or the disk fails.
    pub(crate) fn open_again(path: &Path) -> anyhow::Result<Self> {
        let (journal, records) = Journal::open(path)?;
        Self::read(journal, records)
    }

    fn read(journal: Journal<v1::LedgerRecord>, records: Vec<v1::LedgerRecord>) -> anyhow::Result<Self> {
        let Some(Record::Identity(identity)) = records.first().and_then(|record| record.record.as_ref())
        else {
            anyhow::bail!("the ledger does not say whose it is; move it away to enrol anew");
        };
        let mut ledger = Self {
            journal,
            machine: identity.machine.as_slice().try_into()?,
            organization: identity.organization.as_slice().try_into()?,
            position: Position::default(),
            chain: [0; 32],
            rules: BTreeMap::new(),
            acts: Vec::new(),
            lifted: BTreeMap::new(),
            baseline: Vec::new(),
            swept: Vec::new(),
        };
        records.into_iter().try_for_each(|record| ledger.replay(record))?;
        Ok(ledger)
    }

    fn replay(&mut self, record: v1::LedgerRecord) -> anyhow::Result<()> {
        match record.record {
            None | Some(Record::Identity(_)) => {}
            Some(Record::ActStep(step)) => self.note_begun(acts::act_id(&step.act)?),
            Some(Record::Adopted(adopted)) => self.apply(&Adoption::read(&adopted)?),
            Some(Record::ActTaken(act)) => {
                self.acts.push(Taken { act: (&act).try_into()?, begun: false, outcome: None, stored: false });
            }
            Some(Record::ActEnded(outcome)) => self.end(outcome.try_into()?),
            Some(Record::OutcomeStored(act)) => self.store(acts::act_id(&act)?),
            Some(Record::Lifted(lifted)) => {
                self.lifted.insert(RuleId(lifted.rule), Lifted { comment: lifted.comment, stored: false });
            }
            Some(Record::LiftedStored(rule)) => self.note_lifted_stored(RuleId(rule)),
            Some(Record::Baseline(set)) => {
                self.baseline = set.spared.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
            }
            Some(Record::Swept(swept)) => self.swept = swept.roots.into_iter().map(things::path_of).collect(),
        }
        Ok(())
    }

    /// How far in the organization's log this machine is.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The rules in force here: those of the log without what root on this machine has lifted.
    pub(crate) fn rules(&self) -> impl Iterator<Item = Rule> {
        self.rules.values().filter(|rule| !self.lifted.contains_key(&rule.id)).copied()
    }

    /// Takes the server's rules: durable when it returns. Nothing is in force yet; the guard is told next.
    ///
    /// # Errors
    /// When they don't continue what is here, or the disk fails; nothing has changed then.
    pub(crate) fn adopt(&mut self, rules: &v1::Rules) -> Result<(), Refused> {
        let adoption = Adoption::read(rules)?;
        adoption.follows(self.position, self.chain)?;
        if adoption.to != self.position || rules.whole {
            self.journal.append(&record(Record::Adopted(rules.clone())))?;
            self.apply(&adoption);
            // What was adopted is durable and in the ledger, whether or not its history can be dropped.
            if let Err(error) = self.shorten() {
                tracing::warn!(%error, "the ledger can't be rewritten");
            }
        }
        Ok(())
    }

    fn apply(&mut self, adoption: &Adoption) {
        match &adoption.content {
            Content::Whole(rules) => self.rules = rules.iter().map(|rule| (rule.id, *rule)).collect(),
            Content::Entries { entries, .. } => {
                for entry in entries {
                    match entry.change {
                        Change::Begin(rule) => {
                            self.rules.insert(rule.id, rule);
                        }
                        Change::End(rule) => {
                            self.rules.remove(&rule);
                        }
                    }
                }
            }
        }
        self.lifted.retain(|rule, _| self.rules.contains_key(rule));
        self.position = adoption.to;
        self.chain = adoption.chain.unwrap_or(self.chain);
    }

    /// Takes an act: durable when it returns. One that was taken before is not taken again.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn take(&mut self, act: Act) -> io::Result<()> {
        if self.acts.iter().all(|taken| taken.act.id != act.id) {
            self.journal.append(&record(Record::ActTaken((&act).into())))?;
            self.acts.push(Taken { act, begun: false, outcome: None, stored: false });
        }
        Ok(())
    }

    /// Notes that an act has begun: durable when it returns. From then on its deadline no longer matters.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn begin(&mut self, act: ActId) -> io::Result<()> {
        if !self.has_begun(act) {
            let step = v1::ActStep { act: act.0.as_bytes().to_vec(), step: "begun".to_owned() };
            self.journal.append(&record(Record::ActStep(step)))?;
            self.note_begun(act);
        }
        Ok(())
    }

    /// Whether an act has begun.
    pub(crate) fn has_begun(&self, act: ActId) -> bool {
        self.acts.iter().any(|taken| taken.act.id == act && taken.begun)
    }

    fn note_begun(&mut self, act: ActId) {
        if let Some(taken) = self.acts.iter_mut().find(|taken| taken.act.id == act) {
            taken.begun = true;
        }
    }

    /// The acts that were taken and have not ended, oldest first.
    pub(crate) fn unfinished(&self) -> Vec<Act> {
        self.acts.iter().filter(|taken| taken.outcome.is_none()).map(|taken| taken.act.clone()).collect()
    }

    /// The outcomes that the server has not acknowledged.
    pub(crate) fn unsent(&self) -> Vec<Outcome> {
        self.acts.iter().filter(|taken| !taken.stored).filter_map(|taken| taken.outcome.clone()).collect()
    }

    /// Notes how an act ended: durable when it returns.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn ended(&mut self, outcome: Outcome) -> io::Result<()> {
        self.journal.append(&record(Record::ActEnded((&outcome).into())))?;
        self.end(outcome);
        Ok(())
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(taken) = self.acts.iter_mut().find(|taken| taken.act.id == outcome.act) {
            taken.outcome = Some(outcome);
        }
    }

    /// Notes that the server has an act's outcome.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn outcome_stored(&mut self, act: ActId) -> io::Result<()> {
        self.journal.append(&record(Record::OutcomeStored(act.0.as_bytes().to_vec())))?;
        self.store(act);
        let settled = self.acts.iter().filter(|taken| taken.stored).count();
        let mut surplus = settled.saturating_sub(ENDED_KEPT);
        self.acts.retain(|taken| {
            let dropped = taken.stored && surplus > 0;
            surplus -= usize::from(dropped);
            !dropped
        });
        Ok(())
    }

    fn store(&mut self, act: ActId) {
        if let Some(taken) = self.acts.iter_mut().find(|taken| taken.act.id == act) {
            taken.stored = true;
        }
    }

    /// Lifts this machine's own deny, at root's word: durable when it returns. Whether there was one.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn lift(&mut self, rule: RuleId, comment: &str) -> io::Result<bool> {
        let is_own = self.rules.get(&rule).is_some_and(|rule| rule.scope == Scope::Machine(self.machine));
        if is_own && !self.lifted.contains_key(&rule) {
            let lifted = v1::Lifted { rule: rule.0, comment: comment.to_owned() };
            self.journal.append(&record(Record::Lifted(lifted)))?;
            self.lifted.insert(rule, Lifted { comment: comment.to_owned(), stored: false });
        }
        Ok(is_own)
    }

    /// What root lifted here and the server does not know yet, with the reason.
    pub(crate) fn lifted(&self) -> Vec<(RuleId, String)> {
        let unsent = self.lifted.iter().filter(|(_, lifted)| !lifted.stored);
        unsent.map(|(rule, lifted)| (*rule, lifted.comment.clone())).collect()
    }

    /// Notes that the server knows of a lifted rule. It stays lifted until the log's own entry ends it.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn lifted_stored(&mut self, rule: RuleId) -> io::Result<()> {
        self.journal.append(&record(Record::LiftedStored(rule.0)))?;
        self.note_lifted_stored(rule);
        Ok(())
    }

    fn note_lifted_stored(&mut self, rule: RuleId) {
        if let Some(lifted) = self.lifted.get_mut(&rule) {
            lifted.stored = true;
        }
    }

    /// What was recorded at enrolment of the files that may never be denied.
    pub(crate) fn baseline(&self) -> &[Spared] {
        &self.baseline
    }

    /// Records the baseline.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn set_baseline(&mut self, baseline: Vec<Spared>) -> io::Result<()> {
        let set = v1::SparedSet { spared: baseline.iter().map(Into::into).collect() };
        self.journal.append(&record(Record::Baseline(set)))?;
        self.baseline = baseline;
        Ok(())
    }

    /// The filesystems that have been looked through once, by their roots.
    pub(crate) fn swept(&self) -> &[PathBuf] {
        &self.swept
    }

    /// Notes that these filesystems have been looked through once.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn set_swept(&mut self, roots: Vec<PathBuf>) -> io::Result<()> {
        if self.swept != roots {
            self.journal.append(&record(Record::Swept(shape(&roots))))?;
            self.swept = roots;
        }
        Ok(())
    }

    /// Rewrites the ledger as what it says now, when history has made it long.
    fn shorten(&mut self) -> io::Result<()> {
        if self.journal.length() < REWRITE_ABOVE {
            return Ok(());
        }
        let records = self.records();
        let length: u64 = records.iter().map(|record| wire::link::record::encode(record).len() as u64).sum();
        if length < self.journal.length() / 2 { self.journal.rewrite(&records) } else { Ok(()) }
    }

    fn records(&self) -> Vec<v1::LedgerRecord> {
        let machine = self.machine.0.to_vec();
        let organization = self.organization.0.as_bytes().to_vec();
        let adopted = v1::Rules {
            whole: true,
            epoch: self.position.epoch.0,
            to: self.position.generation.0,
            rules: self.rules.values().map(Into::into).collect(),
            chain: self.chain.to_vec(),
            ..Default::default()
        };
        let set = v1::SparedSet { spared: self.baseline.iter().map(Into::into).collect() };
        let mut all = vec![
            Record::Identity(v1::Identity { machine, organization }),
            Record::Adopted(adopted),
            Record::Baseline(set),
            Record::Swept(shape(&self.swept)),
        ];
        for taken in &self.acts {
            all.push(Record::ActTaken((&taken.act).into()));
            if taken.begun {
                let act = taken.act.id.0.as_bytes().to_vec();
                all.push(Record::ActStep(v1::ActStep { act, step: "begun".to_owned() }));
            }
            all.extend(taken.outcome.iter().map(|outcome| Record::ActEnded(outcome.into())));
            if taken.stored {
                all.push(Record::OutcomeStored(taken.act.id.0.as_bytes().to_vec()));
            }
        }
        for (rule, lifted) in &self.lifted {
            all.push(Record::Lifted(v1::Lifted { rule: rule.0, comment: lifted.comment.clone() }));
            if lifted.stored {
                all.push(Record::LiftedStored(rule.0));
            }
        }
        all.into_iter().map(record).collect()
    }
}

fn shape(roots: &[PathBuf]) -> v1::Swept {
    v1::Swept { roots: roots.iter().map(|root| things::bytes_of(root)).collect() }
}

fn record(record: Record) -> v1::LedgerRecord {
    v1::LedgerRecord { record: Some(record) }
}
