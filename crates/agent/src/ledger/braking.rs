//! What the brake has counted and holds, beside the rules that it keeps out of force.

use std::collections::BTreeMap;

use model::hold::{Held, Hold};
use model::{ActId, Sha256};
use wire::link::v1::{self, ledger_record::Record};

use crate::brake::{Key, Window};
use crate::clock::Moment;

/// What the brake says of rules that are about to be adopted, or of an act.
#[derive(Clone, Debug)]
pub(crate) struct Braked {
    /// What waits.
    pub(crate) holds: Vec<Hold>,
    /// Files that run widely and are denied from now on.
    pub(crate) denied: Vec<Sha256>,
    pub(crate) at: Moment,
    /// Whether that is not the last word, where it changes.
    pub(crate) unweighed: Option<bool>,
}

impl Braked {
    pub(crate) fn nothing(at: Moment) -> Self {
        Self { holds: Vec::new(), denied: Vec::new(), at, unweighed: None }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.holds.is_empty() && self.denied.is_empty() && self.unweighed.is_none()
    }

    pub(super) fn shape(&self) -> v1::Braked {
        v1::Braked {
            holds: self.holds.iter().map(Into::into).collect(),
            denied: self.denied.iter().map(|sha256| sha256.0.to_vec()).collect(),
            at: Some((&self.at).into()),
            unweighed: self.unweighed,
            approved: false,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Braking {
    /// Acts that wait.
    pub(super) quarantines: BTreeMap<ActId, Hold>,
    /// Acts that may begin, however many have, and by whose word.
    approved: BTreeMap<ActId, v1::Approved>,
    /// Files that run widely and were denied.
    pub(super) denied: Window<Sha256>,
    /// Quarantines that have begun.
    pub(super) begun: Window<ActId>,
    /// Approvals that the server does not know of.
    pub(super) untold: Vec<v1::Approved>,
    /// Not all that ran when rules were adopted could be read.
    pub(super) unweighed: bool,
    pub(super) operator_key: Option<Key>,
}

impl Braking {
    /// Takes in all but the denials that wait, which come back: they belong to the rules.
    pub(super) fn note(&mut self, braked: Braked, counts: bool) -> Vec<Hold> {
        for sha256 in braked.denied {
            self.denied.note(sha256, braked.at.clone(), counts);
        }
        self.unweighed = braked.unweighed.unwrap_or(self.unweighed);
        let (quarantines, denials): (Vec<_>, _) =
            braked.holds.into_iter().partition(|hold| hold.what.act().is_some());
        self.quarantines.extend(quarantines.into_iter().filter_map(|hold| Some((hold.what.act()?, hold))));
        denials
    }

    /// Takes in an approval, all but the rule that is in force now.
    pub(super) fn approve(&mut self, hold: &Hold, told: v1::Approved, at: &Moment) {
        match hold.what {
            Held::Denial(_) => {
                for crowd in &hold.crowds {
                    self.denied.note(crowd.sha256, at.clone(), false);
                }
            }
            Held::Quarantine { act, .. } => {
                self.quarantines.remove(&act);
                self.approved.insert(act, told.clone());
            }
        }
        self.untold.push(told);
    }

    /// Whether an act may begin, however many have.
    pub(super) fn is_approved(&self, act: ActId) -> bool {
        self.approved.contains_key(&act)
    }

    /// An act has ended, whether it waited or not.
    pub(super) fn end(&mut self, act: ActId) {
        self.quarantines.remove(&act);
        self.approved.remove(&act);
    }

    pub(super) fn note_told(&mut self, hold: &[u8]) {
        self.untold.retain(|told| told.hold.as_ref().is_none_or(|told| told.id != hold));
    }

    /// When an act began, if that still counts.
    pub(super) fn begun_at(&self, act: ActId) -> Option<v1::Moment> {
        self.begun.marks().iter().find(|mark| mark.what == act).map(|mark| (&mark.at).into())
    }

    /// As records; `denials` are the rules that wait.
    pub(super) fn records(&self, denials: impl Iterator<Item = Hold>) -> Vec<Record> {
        let mut all: Vec<_> = self.operator_key.iter().map(|key| Record::OperatorKey(key.to_vec())).collect();
        all.extend(self.untold.iter().cloned().map(Record::Approved));
        for told in self.approved.values().filter(|told| !self.untold.contains(told)) {
            let id = told.hold.as_ref().map(|hold| hold.id.clone()).unwrap_or_default();
            all.extend([Record::Approved(told.clone()), Record::ApprovedStored(id)]);
        }
        all.extend(self.denied.marks().iter().map(|mark| {
            Record::Braked(v1::Braked {
                denied: vec![mark.what.0.to_vec()],
                at: Some((&mark.at).into()),
                approved: !mark.counts,
                ..Default::default()
            })
        }));
        let holds: Vec<_> = self.quarantines.values().cloned().chain(denials).collect();
        let unweighed = self.unweighed.then_some(true);
        let last = Braked { holds, unweighed, ..Braked::nothing(Moment::now()) };
        all.extend((!last.is_nothing()).then(|| Record::Braked(last.shape())));
        all
    }
}

impl TryFrom<&v1::Braked> for Braked {
    type Error = anyhow::Error;

    fn try_from(braked: &v1::Braked) -> anyhow::Result<Self> {
        let sha256 = |bytes: &Vec<u8>| Ok(Sha256(bytes.as_slice().try_into()?));
        Ok(Self {
            holds: braked.holds.iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            denied: braked.denied.iter().map(sha256).collect::<anyhow::Result<_>>()?,
            at: braked.at.as_ref().map(Moment::from).ok_or_else(|| anyhow::anyhow!("a moment is missing"))?,
            unweighed: braked.unweighed,
        })
    }
}
