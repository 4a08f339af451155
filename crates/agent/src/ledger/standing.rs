//! The rules of the log that stand here, how far in the log that is, and what root has lifted of them.

use std::collections::BTreeMap;
use std::io;

use model::RuleId;
use model::hold::{Held, Hold};
use model::log::{Change, Position};
use model::rule::{Effect, Rule};
use wire::link::{Malformed, v1};

use super::adoption::{Adoption, Content, Refused};
use crate::ruleset::{Gathering, RuleSet};

/// Rules in a part of a whole set, as it is written here.
const PART: usize = 8192;
/// Changes that are read from the disk before a set is made of them.
const AT_A_TIME: usize = 16_384;

/// A rule that root on this machine has lifted, until the log's own entry ends it.
#[derive(Clone, Debug)]
struct Lifted {
    comment: String,
    /// Whether the server knows.
    stored: bool,
}

#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) position: Position,
    pub(super) chain: [u8; 32],
    rules: RuleSet,
    /// The rules without those that are lifted or wait.
    in_force: RuleSet,
    lifted: BTreeMap<RuleId, Lifted>,
    /// Rules that wait for approval.
    held: BTreeMap<RuleId, Hold>,
    gathering: Option<Whole>,
    /// Read from the disk, and not in the rules yet.
    changes: Vec<Change>,
}

/// The parts of a whole set, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Whole {
    to: Position,
    next: u32,
    rules: Gathering,
}

/// What is to stand when it is durable.
pub(super) enum Next {
    /// As before, with more parts of a set.
    Part(Whole),
    Set(Box<Set>),
}

pub(super) struct Set {
    position: Position,
    chain: Option<[u8; 32]>,
    rules: RuleSet,
    /// What is to be in force, unless the brake holds some of it.
    pub(super) in_force: RuleSet,
    /// What was lifted and stands no more.
    gone: Vec<RuleId>,
    /// What waited and stands no more, or says something else.
    no_longer_held: Vec<RuleId>,
    /// Whether it may deny what was not denied before.
    pub(super) may_deny_more: bool,
}

impl Standing {
    pub(super) fn in_force(&self) -> &RuleSet {
        &self.in_force
    }

    pub(super) const fn is_gathering(&self) -> bool {
        self.gathering.is_some()
    }

    /// Forgets the parts of a set that has not come to its end.
    pub(super) fn abandon(&mut self) {
        self.gathering = None;
    }

    /// What stands after an adoption. Parts gathered so far are in it, or lost with an error.
    pub(super) fn next(&mut self, adoption: Adoption) -> Result<Next, Refused> {
        let gathering = self.gathering.take();
        let Adoption { to, chain, content } = adoption;
        let (rules, gone, no_longer_held, may_deny_more) = match content {
            Content::Whole { rules, part, more } => {
                let mut whole = match gathering {
                    _ if part == 0 => Whole { to, ..Whole::default() },
                    Some(whole) if (whole.to, whole.next) == (to, part) => whole,
                    _ => return Err(Malformed("part").into()),
                };
                whole.next += 1;
                whole.rules.add(rules).map_err(Refused::NoSet)?;
                if more {
                    return Ok(Next::Part(whole));
                }
                let rules = whole.rules.finish().map_err(Refused::NoSet)?;
                let gone = self.lifted.keys().copied().filter(|id| rules.get(*id).is_none()).collect();
                let other = |id: &RuleId| rules.get(*id) != self.held_rule(*id);
                let no_longer_held = self.held.keys().copied().filter(other).collect();
                (rules, gone, no_longer_held, true)
            }
            Content::Entries { entries, .. } => {
                let changes = entries.iter().map(|entry| entry.change);
                let rules = self.rules.changed(changes.clone()).map_err(Refused::NoSet)?;
                let no_longer_held = self.no_longer_held(changes.clone());
                let more = self.may_deny_more(changes.clone());
                (rules, ended(changes).collect::<Vec<_>>(), no_longer_held, more)
            }
        };
        let still_lifted = self.lifted.keys().copied().filter(|id| !gone.contains(id));
        let still_held = self.held.keys().copied().filter(|id| !no_longer_held.contains(id));
        let in_force = without(&rules, still_lifted.chain(still_held)).map_err(Refused::NoSet)?;
        let position = to;
        Ok(Next::Set(Box::new(Set { position, chain, rules, in_force, gone, no_longer_held, may_deny_more })))
    }

    /// Keeps these rules of the next set out of force. Since it was made, root may have lifted some, approved some that
    /// waited, and others may wait now.
    pub(super) fn hold_back(&self, next: &mut Next, holds: &[Hold]) -> io::Result<()> {
        let Next::Set(set) = next else { return Ok(()) };
        let lifted = self.lifted.keys().copied().filter(|id| !set.gone.contains(id));
        let waiting = self.held.keys().copied().filter(|id| !set.no_longer_held.contains(id));
        let held = holds.iter().filter_map(|hold| hold.what.rule());
        set.in_force = without(&set.rules, lifted.chain(waiting).chain(held).collect::<Vec<_>>())?;
        Ok(())
    }

    fn held_rule(&self, id: RuleId) -> Option<Rule> {
        match self.held.get(&id)?.what {
            Held::Denial(rule) => Some(rule),
            Held::Quarantine { .. } => None,
        }
    }

    /// What waits and is gone after these changes, or says something else. One that ends and begins again as it was
    /// waits on.
    fn no_longer_held(&self, changes: impl Iterator<Item = Change>) -> Vec<RuleId> {
        let mut gone: BTreeMap<RuleId, bool> = BTreeMap::new();
        for change in changes {
            match change {
                Change::End(id) => gone.insert(id, true),
                Change::Begin(rule) => gone.insert(rule.id, self.held_rule(rule.id) != Some(rule)),
            };
        }
        let is_gone = |id: &RuleId| gone.get(id).copied().unwrap_or_default();
        self.held.keys().copied().filter(is_gone).collect()
    }

    /// Whether these changes may deny more: a rule that denies begins, or one that permits ends.
    fn may_deny_more(&self, changes: impl Iterator<Item = Change> + Clone) -> bool {
        let begins = |change| matches!(change, Change::Begin(rule) if rule.effect.denies());
        let ended: Vec<RuleId> = ended(changes.clone()).collect();
        // One that takes the place of another ends that.
        let replaced = changes.clone().filter_map(|change| match change {
            Change::Begin(Rule { id, effect: Effect::Watch | Effect::Allow, .. }) => Some(id),
            _ => None,
        });
        let ended: Vec<RuleId> = ended.into_iter().chain(replaced).collect();
        changes.clone().any(begins)
            || (!ended.is_empty()
                && self.rules.rules().any(|rule| !rule.effect.denies() && ended.contains(&rule.id)))
    }

    /// It is durable now.
    pub(super) fn take(&mut self, next: Next) {
        match next {
            Next::Part(whole) => self.gathering = Some(whole),
            Next::Set(set) => {
                let Set { position, chain, rules, in_force, gone, no_longer_held, .. } = *set;
                self.position = position;
                self.chain = chain.unwrap_or(self.chain);
                self.rules = rules;
                self.in_force = in_force;
                gone.iter().for_each(|id| {
                    self.lifted.remove(id);
                });
                no_longer_held.iter().for_each(|id| {
                    self.held.remove(id);
                });
            }
        }
    }

    /// Notes that rules wait. They are kept out of force by [`Self::hold_back`], [`Self::settle`] or the caller.
    pub(super) fn hold(&mut self, holds: Vec<Hold>) {
        self.held.extend(holds.into_iter().filter_map(|hold| Some((hold.what.rule()?, hold))));
    }

    /// Whether the rule of a denial stands as it was weighed.
    pub(super) fn has(&self, what: &Held) -> bool {
        matches!(what, Held::Denial(rule) if self.rules.get(rule.id) == Some(*rule))
    }

    /// What waits.
    pub(super) fn held(&self) -> impl Iterator<Item = &Hold> {
        self.held.values()
    }

    /// The rules in force when those wait, too.
    pub(super) fn held_back(&self, holds: &[Hold]) -> io::Result<RuleSet> {
        without(&self.in_force, holds.iter().filter_map(|hold| hold.what.rule()))
    }

    /// The rules in force when that one waits no longer.
    pub(super) fn without_hold(&self, id: RuleId) -> io::Result<RuleSet> {
        let held = self.held.keys().filter(|held| **held != id);
        without(&self.rules, self.lifted.keys().chain(held).copied())
    }

    /// A rule waits no longer.
    pub(super) fn go_on(&mut self, id: RuleId, in_force: Option<RuleSet>) {
        self.held.remove(&id);
        self.set_in_force(in_force);
    }

    pub(super) fn set_in_force(&mut self, in_force: Option<RuleSet>) {
        self.in_force = in_force.unwrap_or_else(|| self.in_force.clone());
    }

    /// Takes in an adoption that was read from the disk.
    pub(super) fn replay(&mut self, adoption: Adoption) -> Result<(), Refused> {
        let Content::Entries { entries, .. } = &adoption.content else {
            self.settle().map_err(Refused::NoSet)?;
            let next = self.next(adoption)?;
            self.take(next);
            return Ok(());
        };
        let changes = entries.iter().map(|entry| entry.change);
        ended(changes.clone()).for_each(|id| {
            self.lifted.remove(&id);
        });
        for id in self.no_longer_held(changes.clone()) {
            self.held.remove(&id);
        }
        self.changes.extend(changes);
        self.position = adoption.to;
        self.chain = adoption.chain.unwrap_or(self.chain);
        self.gathering = None;
        if self.changes.len() < AT_A_TIME { Ok(()) } else { self.settle().map_err(Refused::NoSet) }
    }

    /// Brings in what was read from the disk.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.rules = self.rules.changed(std::mem::take(&mut self.changes))?;
        self.in_force = without(&self.rules, self.lifted.keys().chain(self.held.keys()).copied())?;
        Ok(())
    }

    /// The rule of that id, lifted or not.
    pub(super) fn get(&self, id: RuleId) -> Option<Rule> {
        self.rules.get(id)
    }

    pub(super) fn is_lifted(&self, id: RuleId) -> bool {
        self.lifted.contains_key(&id)
    }

    /// The rules in force when that one is lifted, too.
    pub(super) fn without(&self, id: RuleId) -> io::Result<RuleSet> {
        without(&self.in_force, [id])
    }

    /// Notes that a rule is lifted; the rules in force without it are given, or made by [`Self::settle`].
    pub(super) fn lift(&mut self, lifted: v1::Lifted, in_force: Option<RuleSet>) {
        self.lifted.insert(RuleId(lifted.rule), Lifted { comment: lifted.comment, stored: false });
        self.in_force = in_force.unwrap_or_else(|| self.in_force.clone());
    }

    /// What root lifted here and the server does not know yet, with the reason.
    pub(super) fn lifted(&self) -> Vec<(RuleId, String)> {
        let unsent = self.lifted.iter().filter(|(_, lifted)| !lifted.stored);
        unsent.map(|(rule, lifted)| (*rule, lifted.comment.clone())).collect()
    }

    pub(super) fn note_lifted_stored(&mut self, rule: RuleId) {
        if let Some(lifted) = self.lifted.get_mut(&rule) {
            lifted.stored = true;
        }
    }

    /// The whole set in parts, the last of which has no other behind it.
    pub(super) fn parts(&self) -> impl Iterator<Item = v1::Rules> {
        let mut rules = self.rules.rules().peekable();
        let mut part = Some(0);
        std::iter::from_fn(move || {
            let number = part?;
            let some = rules.by_ref().take(PART).map(|rule| (&rule).into()).collect();
            let more = rules.peek().is_some();
            part = more.then_some(number + 1);
            Some(v1::Rules {
                whole: true,
                epoch: self.position.epoch.0,
                to: self.position.generation.0,
                rules: some,
                chain: self.chain.to_vec(),
                part: number,
                more,
                ..Default::default()
            })
        })
    }

    /// About how long the whole set is as records.
    pub(super) fn length(&self) -> u64 {
        // Names and lengths of fields.
        const EACH: usize = 16;
        (self.rules.size() + self.rules.len() * EACH) as u64
    }

    /// What is lifted, as records.
    pub(super) fn lifted_records(&self) -> impl Iterator<Item = (v1::Lifted, bool)> {
        self.lifted.iter().map(|(rule, lifted)| {
            (v1::Lifted { rule: rule.0, comment: lifted.comment.clone() }, lifted.stored)
        })
    }
}

fn ended(changes: impl Iterator<Item = Change>) -> impl Iterator<Item = RuleId> {
    changes.filter_map(|change| if let Change::End(id) = change { Some(id) } else { None })
}

fn without(rules: &RuleSet, ids: impl IntoIterator<Item = RuleId>) -> io::Result<RuleSet> {
    let mut ends = ids.into_iter().map(Change::End).peekable();
    if ends.peek().is_none() { Ok(rules.clone()) } else { rules.changed(ends) }
}
