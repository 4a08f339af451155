//! All that a ledger says, and its records.

use std::path::PathBuf;

use model::act::{Act, Outcome};
use model::hold::Hold;
use model::spared::Spared;
use model::{ActId, MachineId, OrganizationId, RuleId};
use wire::link::v1::{self, ledger_record::Record};
use wire::link::{acts, things};

use super::adoption::Adoption;
use super::braking::{Braked, Braking};
use super::bypasses::Bypasses;
use super::standing::Standing;
use crate::clock::Moment;

/// An act that this machine has taken.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) act: Act,
    /// How often the agent has begun it: more than once when it was cut short.
    pub(super) begun: u32,
    /// How it ended, if it has.
    pub(super) outcome: Option<Outcome>,
    /// Whether the server has that outcome.
    pub(super) stored: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) machine: MachineId,
    pub(super) organization: OrganizationId,
    pub(super) standing: Standing,
    pub(super) acts: Vec<Taken>,
    pub(super) baseline: Vec<Spared>,
    /// As it was found last; the baseline, where it never was since.
    pub(super) spared: Option<Vec<Spared>>,
    pub(super) swept: Vec<PathBuf>,
    pub(super) bypasses: Bypasses,
    pub(super) braking: Braking,
}

impl State {
    /// That of a ledger that begins.
    pub(super) fn of(machine: MachineId, organization: OrganizationId) -> Self {
        Self {
            machine,
            organization,
            standing: Standing::default(),
            acts: Vec::new(),
            baseline: Vec::new(),
            spared: None,
            swept: Vec::new(),
            bypasses: Bypasses::default(),
            braking: Braking::default(),
        }
    }

    /// That of a ledger whose first record this is.
    pub(super) fn begun_by(record: &v1::LedgerRecord) -> anyhow::Result<Self> {
        let Some(Record::Identity(identity)) = &record.record else {
            anyhow::bail!("the ledger does not say whose it is; move it away to enrol anew");
        };
        Ok(Self::of(identity.machine.as_slice().try_into()?, identity.organization.as_slice().try_into()?))
    }

    /// The first record.
    pub(super) fn identity(&self) -> v1::LedgerRecord {
        let organization = self.organization.0.as_bytes().to_vec();
        record(Record::Identity(v1::Identity { machine: self.machine.0.to_vec(), organization }))
    }

    /// Takes in a record from the disk. The rules are not complete before [`Self::settle`].
    pub(super) fn replay(&mut self, record: v1::LedgerRecord) -> anyhow::Result<()> {
        match record.record {
            None | Some(Record::Identity(_)) => {}
            Some(Record::ActStep(step)) => {
                self.note_begun(acts::act_id(&step.act)?, step.at.as_ref().map(Into::into));
            }
            Some(Record::Adopted(adopted)) => self.standing.replay(Adoption::read(&adopted)?)?,
            Some(Record::ActTaken(act)) => self.take((&act).try_into()?),
            Some(Record::ActEnded(outcome)) => self.end(outcome.try_into()?),
            Some(Record::OutcomeStored(act)) => self.store(acts::act_id(&act)?),
            Some(Record::Lifted(lifted)) => self.standing.lift(lifted, None),
            Some(Record::LiftedStored(rule)) => self.standing.note_lifted_stored(RuleId(rule)),
            Some(Record::Baseline(set)) => {
                self.baseline = set.spared.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
            }
            Some(Record::Spared(set)) => {
                self.spared = Some(set.spared.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?);
            }
            Some(Record::Bypassed(bypass)) => self.bypasses.note(bypass)?,
            Some(Record::BypassStored(id)) => self.bypasses.note_stored(&id),
            Some(Record::OperatorKey(key)) => self.braking.operator_key = Some(key.as_slice().try_into()?),
            Some(Record::Braked(braked)) => self.replay_braked(&braked)?,
            Some(Record::Approved(approved)) => self.approve(approved)?,
            Some(Record::ApprovedStored(id)) => self.braking.note_told(&id),
            Some(Record::Swept(swept)) => self.swept = swept.roots.into_iter().map(things::path_of).collect(),
        }
        record.weighed.iter().try_for_each(|braked| self.replay_braked(braked))
    }

    fn replay_braked(&mut self, braked: &v1::Braked) -> anyhow::Result<()> {
        let denials = self.braking.note(braked.try_into()?, !braked.approved);
        self.standing.hold(denials);
        Ok(())
    }

    /// Ends the reading.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        Ok(self.standing.settle()?)
    }

    fn approve(&mut self, told: v1::Approved) -> anyhow::Result<()> {
        let hold = told.hold.as_ref().ok_or_else(|| anyhow::anyhow!("what was approved is missing"))?;
        let hold: Hold = hold.try_into()?;
        let at = told.at.as_ref().map_or_else(Moment::now, Moment::from);
        self.braking.approve(&hold, told, &at);
        if let Some(rule) = hold.what.rule() {
            self.standing.go_on(rule, None);
        }
        Ok(())
    }

    /// What the brake says, as it is durable.
    pub(super) fn brake(&mut self, braked: Braked) {
        let denials = self.braking.note(braked, true);
        self.standing.hold(denials);
    }

    pub(super) fn take(&mut self, act: Act) {
        self.acts.push(Taken { act, begun: 0, outcome: None, stored: false });
    }

    pub(super) fn note_begun(&mut self, act: ActId, at: Option<Moment>) {
        if let Some(at) = at {
            self.braking.begun.note(act, at, true);
        }
        if let Some(taken) = self.taken(act) {
            taken.begun += 1;
        }
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        self.braking.end(outcome.act);
        if let Some(taken) = self.taken(outcome.act) {
            taken.outcome = Some(outcome);
        }
    }

    pub(super) fn store(&mut self, act: ActId) {
        if let Some(taken) = self.taken(act) {
            taken.stored = true;
        }
    }

    fn taken(&mut self, act: ActId) -> Option<&mut Taken> {
        self.acts.iter_mut().find(|taken| taken.act.id == act)
    }

    /// About how long all records are together.
    pub(super) fn length(&self) -> u64 {
        let others: usize = self.others().map(|record| wire::link::record::encode(&record).len()).sum();
        self.standing.length() + others as u64
    }

    /// What would be written if it began now.
    pub(super) fn records(&self) -> impl Iterator<Item = v1::LedgerRecord> {
        let rules = self.standing.parts().map(|part| record(Record::Adopted(part)));
        std::iter::once(self.identity()).chain(rules).chain(self.others())
    }

    /// All but identity and rules.
    fn others(&self) -> impl Iterator<Item = v1::LedgerRecord> {
        let mut all = vec![Record::Baseline(set_of(&self.baseline)), Record::Swept(shape(&self.swept))];
        all.extend(self.spared.iter().map(|spared| Record::Spared(set_of(spared))));
        for taken in &self.acts {
            all.push(Record::ActTaken((&taken.act).into()));
            for _ in 0..taken.begun {
                let act = taken.act.id.0.as_bytes().to_vec();
                let at = self.braking.begun_at(taken.act.id);
                all.push(Record::ActStep(v1::ActStep { act, step: "begun".to_owned(), at }));
            }
            all.extend(taken.outcome.iter().map(|outcome| Record::ActEnded(outcome.into())));
            if taken.stored {
                all.push(Record::OutcomeStored(taken.act.id.0.as_bytes().to_vec()));
            }
        }
        for (lifted, stored) in self.standing.lifted_records() {
            let rule = lifted.rule;
            all.push(Record::Lifted(lifted));
            if stored {
                all.push(Record::LiftedStored(rule));
            }
        }
        for (bypass, stored) in self.bypasses.records() {
            let id = bypass.id.clone();
            all.push(Record::Bypassed(bypass));
            if stored {
                all.push(Record::BypassStored(id));
            }
        }
        all.extend(self.braking.records(self.standing.held().cloned()));
        all.into_iter().map(record)
    }
}

/// What is spared, as a record has it.
pub(super) fn set_of(spared: &[Spared]) -> v1::SparedSet {
    v1::SparedSet { spared: spared.iter().map(Into::into).collect(), strange: Vec::new() }
}

pub(super) fn shape(roots: &[PathBuf]) -> v1::Swept {
    v1::Swept { roots: roots.iter().map(|root| things::bytes_of(root)).collect() }
}

pub(super) fn record(record: Record) -> v1::LedgerRecord {
    v1::LedgerRecord { record: Some(record), weighed: None }
}
