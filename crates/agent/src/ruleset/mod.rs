//! The rules in force on this machine, found by any of a file's digests.
//!
//! A million of them must fit into little memory, which guard and agent share, and each change must cost what it
//! is large. So a set is a large *base* that is never changed, packed in a sealed file that both map, and beside
//! it the *recent* rules and the ids of those of the base that have *ended*. When these grow, a new base is made.

mod gathering;
mod layout;
mod pack;
mod packed;
mod sum;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use model::log::Change;
use model::rule::{Identifier, Rule};
use model::{Kinds, Names, RuleId};
use wire::link::v1;

pub(crate) use gathering::Gathering;
use pack::merged;
pub(crate) use packed::Packed;
use sum::Sum;

/// A base is made anew when what is beside it has grown to this many, or this part of it.
const BESIDE: usize = 4096;
const PART: usize = 64;

/// A set of rules. Never changed, only followed by another; clones share what they hold.
///
/// Whether a rule still holds is a question of the moment, so it is asked when a verdict is made and not here:
/// a rule whose time is over matches like any other.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    base: Packed,
    recent: Packed,
    /// Rules of the base that are no more. Sorted.
    ended: Arc<[RuleId]>,
    sum: Sum,
}

impl RuleSet {
    /// The set of these rules; of two with the same id, the later.
    ///
    /// # Errors
    /// `InvalidInput` for more rules than a set may hold; ENOMEM, EMFILE.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> io::Result<Self> {
        Self::default().changed(rules.into_iter().map(Change::Begin))
    }

    /// The set that follows by these changes, one after the other. A rule that begins takes the place of one with
    /// its id; the end of one that is not there is no error.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn changed(&self, changes: impl IntoIterator<Item = Change>) -> io::Result<Self> {
        let mut last = BTreeMap::new();
        for change in changes {
            match change {
                Change::Begin(rule) => last.insert(rule.id, Some(rule)),
                Change::End(id) => last.insert(id, None),
            };
        }
        let touched: Vec<RuleId> = last.keys().copied().collect();
        let mut sum = self.sum;
        let mut ended: BTreeSet<RuleId> = self.ended.iter().copied().collect();
        for rule in self.base.find(&touched) {
            if ended.insert(rule.id) {
                sum.take(&rule);
            }
        }
        let mut recent: Vec<Rule> = last.into_values().flatten().collect();
        recent.iter().for_each(|rule| sum.add(rule));
        for rule in self.recent.rules() {
            if touched.binary_search(&rule.id).is_ok() {
                sum.take(&rule);
            } else {
                recent.push(rule);
            }
        }
        recent.sort_unstable_by_key(|rule| (rule.identifier, rule.id));
        let ended: Arc<[RuleId]> = ended.into_iter().collect();
        if recent.len() + ended.len() > BESIDE.max(self.base.len() / PART) {
            let lasting = self.base.rules().filter(|rule| ended.binary_search(&rule.id).is_err());
            let base = Packed::shared(merged(lasting, recent.iter().copied()))?;
            return Ok(Self { base, sum, ..Self::default() });
        }
        Ok(Self { base: self.base.clone(), recent: Packed::own(recent.iter().copied())?, ended, sum })
    }

    /// The set that another process has, by what it sent: the file of the base, if it has one, and what is beside
    /// it. A base that is the one of `before` has been looked at already.
    ///
    /// # Errors
    /// `InvalidData` when anything in it is malformed: a rule left out would be a file that runs. `InvalidInput`
    /// when the file could still be changed.
    pub(crate) fn received(base: Option<OwnedFd>, beside: v1::Beside, before: &Self) -> io::Result<Self> {
        use std::os::fd::AsFd;
        let base = match base {
            Some(file) if before.base.is(file.as_fd()) => before.base.clone(),
            Some(file) => Packed::received(file)?,
            None => Packed::default(),
        };
        let malformed = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        if base.checksum() != beside.base {
            return Err(malformed("another base was meant"));
        }
        let ended: Arc<[RuleId]> = beside.ended.into_iter().map(RuleId).collect();
        if !ended.is_sorted() {
            return Err(malformed("ended rules out of order"));
        }
        // The sum is of no use to who only looks rules up.
        Ok(Self { base, recent: Packed::read(beside.recent)?, ended, sum: Sum::default() })
    }

    /// What another process needs to have this set, beside the file of the base.
    pub(crate) fn beside(&self) -> v1::Beside {
        v1::Beside {
            base: self.base.checksum(),
            recent: self.recent.to_vec(),
            ended: self.ended.iter().map(|id| id.0).collect(),
        }
    }

    /// The largest part of the set; it has a file unless it is empty.
    pub(crate) fn base(&self) -> &Packed {
        &self.base
    }

    /// All rules, in no order that means anything.
    pub fn rules(&self) -> impl Iterator<Item = Rule> + use<'_> {
        self.base.rules().filter(|rule| !self.has_ended(rule)).chain(self.recent.rules())
    }

    /// The rule of that id, by a look at every one.
    pub fn get(&self, id: RuleId) -> Option<Rule> {
        let in_base = || self.base.find(&[id]).into_iter().find(|rule| !self.has_ended(rule));
        self.recent.find(&[id]).pop().or_else(in_base)
    }

    /// Which digests besides SHA-256 its rules name, or named not long ago.
    pub fn kinds(&self) -> Kinds {
        self.base.kinds().union(self.recent.kinds())
    }

    /// The rules that name a file by one of these names. Nothing is allocated: the guard asks this while the
    /// kernel waits.
    pub fn matching<'s>(&'s self, names: &Names) -> impl Iterator<Item = Rule> + use<'s> {
        let identifiers = [
            Some(Identifier::Sha256(names.sha256)),
            names.sha1.map(Identifier::Sha1),
            names.md5.map(Identifier::Md5),
        ];
        identifiers.into_iter().flatten().flat_map(|identifier| {
            let lasting = self.base.named(&identifier).filter(|rule| !self.has_ended(rule));
            lasting.chain(self.recent.named(&identifier))
        })
    }

    fn has_ended(&self, rule: &Rule) -> bool {
        self.ended.binary_search(&rule.id).is_ok()
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        (self.base.len() + self.recent.len()).saturating_sub(self.ended.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the rules take, here and about as many as records.
    pub(crate) fn size(&self) -> usize {
        self.base.size() + self.recent.size()
    }

    /// Equal for equal sets, whatever the order in which they came about.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.sum.bytes()
    }
}
