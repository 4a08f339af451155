//! The ledger's part of the brake: rules are prepared, weighed by others, and adopted with what was said of them.

use std::io;

use model::act::{Act, Do};
use model::hold::{Held, Hold};
use model::rule::{Identifier, Scope};
use model::{ActId, HoldId, MachineId, OrganizationId, Sha256};
use wire::link::v1::{self, ledger_record::Record};

use super::adoption::Adoption;
use super::standing::Next;
use super::state::record;
use super::{Braked, Ledger, Refused};
use crate::brake::Key;
use crate::clock::Moment;
use crate::ruleset::RuleSet;

/// The server's rules, understood and not adopted yet.
pub(crate) struct Prepared<'a> {
    rules: &'a v1::Rules,
    /// None when they are here already.
    next: Option<Next>,
}

impl Prepared<'_> {
    /// What is to be in force, if that may deny what is not denied now.
    pub(crate) fn to_be_weighed(&self) -> Option<&RuleSet> {
        match &self.next {
            Some(Next::Set(set)) if set.may_deny_more => Some(&set.in_force),
            _ => None,
        }
    }
}

impl Ledger {
    /// Looks whether the server's rules continue what is here. Nothing is durable yet.
    ///
    /// # Errors
    /// When they don't; nothing has changed then.
    pub(crate) fn prepare<'a>(&mut self, rules: &'a v1::Rules) -> Result<Prepared<'a>, Refused> {
        let adoption = Adoption::read(rules)?;
        let standing = &mut self.state.standing;
        adoption.follows(standing.position, standing.chain)?;
        if adoption.to == standing.position && !rules.whole {
            return Ok(Prepared { rules, next: None });
        }
        if rules.whole && rules.part == 0 {
            // Parts of a set that never came to its end don't pile up.
            standing.abandon();
            self.shorten();
        }
        Ok(Prepared { rules, next: Some(self.state.standing.next(adoption)?) })
    }

    /// Takes rules that were prepared last, without those that the brake holds: durable when it returns. Nothing is in
    /// force yet; the guard is told next. False for a part of a set of which more must come before it is one.
    ///
    /// # Errors
    /// When the disk fails, or there is no memory; nothing has changed then.
    pub(crate) fn adopt(&mut self, prepared: Prepared<'_>, braked: Braked) -> Result<bool, Refused> {
        let Some(mut next) = prepared.next else { return Ok(true) };
        self.state.standing.hold_back(&mut next, &braked.holds).map_err(Refused::NoSet)?;
        // In one record: no crash or full disk lets a rule go into force that was to wait, or leaves a hold behind of
        // rules that are weighed anew when they come again.
        let weighed = (!braked.is_nothing()).then(|| braked.shape());
        let adopted = v1::LedgerRecord { weighed, ..record(Record::Adopted(prepared.rules.clone())) };
        self.journal.append(&adopted).map_err(Refused::Disk)?;
        let is_whole = !matches!(next, Next::Part(_));
        self.state.standing.take(next);
        self.state.brake(braked);
        self.turn += u64::from(is_whole);
        Ok(is_whole)
    }

    /// Notes what the brake says of rules that are here, or of an act: durable when it returns.
    ///
    /// # Errors
    /// When the disk fails, or there is no memory; nothing has changed then.
    pub(crate) fn brake(&mut self, mut braked: Braked) -> io::Result<()> {
        // Rules may have ended, or say something else, since they were weighed.
        braked.holds.retain(|hold| hold.what.rule().is_none() || self.state.standing.has(&hold.what));
        if braked.is_nothing() {
            return Ok(());
        }
        let in_force = self.state.standing.held_back(&braked.holds)?;
        self.journal.append(&record(Record::Braked(braked.shape())))?;
        self.state.brake(braked);
        self.state.standing.set_in_force(Some(in_force));
        self.turn += 1;
        Ok(())
    }

    /// Lets go on what waits: durable when it returns. None when nothing waits under that name.
    ///
    /// # Errors
    /// When the disk fails, or there is no memory; it waits then as before.
    pub(crate) fn approve(
        &mut self,
        id: HoldId,
        by: &str,
        comment: &str,
        at: &Moment,
    ) -> io::Result<Option<Hold>> {
        let Some(hold) = self.holds().into_iter().find(|hold| hold.id == id) else { return Ok(None) };
        let rule = hold.what.rule();
        let in_force = rule.map(|rule| self.state.standing.without_hold(rule)).transpose()?;
        let told = v1::Approved {
            hold: Some((&hold).into()),
            by: by.to_owned(),
            comment: comment.to_owned(),
            at: Some(at.into()),
        };
        self.journal.append(&record(Record::Approved(told.clone())))?;
        self.state.braking.approve(&hold, told, at);
        if let Some(rule) = rule {
            self.state.standing.go_on(rule, in_force);
            self.turn += 1;
        }
        Ok(Some(hold))
    }

    /// All that waits, oldest first.
    pub(crate) fn holds(&self) -> Vec<Hold> {
        let denials = self.state.standing.held();
        let mut all: Vec<_> = denials.chain(self.state.braking.quarantines.values()).cloned().collect();
        all.sort_by_key(|hold| (hold.since, hold.id));
        all
    }

    /// Whether an act waits, or the rule by which it denies first.
    pub(crate) fn waits(&self, act: &Act) -> bool {
        let Do::Quarantine(file) = act.what else { return false };
        let identifier = Identifier::from(file);
        let own = Scope::Machine(self.state.machine);
        let is_its = |hold: &Hold| matches!(hold.what, Held::Denial(rule) if rule.scope == own && rule.identifier == identifier);
        self.state.braking.quarantines.contains_key(&act.id) || self.state.standing.held().any(is_its)
    }

    /// Whether an act may begin, however many have.
    pub(crate) fn is_approved(&self, act: ActId) -> bool {
        self.state.braking.is_approved(act)
    }

    /// How many quarantines have begun within the hour.
    pub(crate) fn quarantines_begun(&self, now: &Moment) -> usize {
        self.state.braking.begun.used(now)
    }

    /// The files that run widely and were denied within the hour, and how many of them count.
    pub(crate) fn widely_denied(&self, now: &Moment) -> (Vec<Sha256>, usize) {
        let denied = &self.state.braking.denied;
        (denied.recent(now).map(|mark| mark.what).collect(), denied.used(now))
    }

    /// Whether rules were adopted when not all that ran could be read, and that was not made up for.
    pub(crate) fn is_unweighed(&self) -> bool {
        self.state.braking.unweighed
    }

    /// Approvals that the server does not know of.
    pub(crate) fn untold_approvals(&self) -> Vec<v1::Approved> {
        self.state.braking.untold.clone()
    }

    /// Notes that the server knows of an approval.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn approved_stored(&mut self, hold: Vec<u8>) -> io::Result<()> {
        self.journal.append(&record(Record::ApprovedStored(hold.clone())))?;
        self.state.braking.note_told(&hold);
        Ok(())
    }

    /// The public half of the operator key, once this machine has it.
    pub(crate) fn operator_key(&self) -> Option<Key> {
        self.state.braking.operator_key
    }

    /// Keeps the public half of the operator key: durable when it returns.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn pin_operator_key(&mut self, key: Key) -> io::Result<()> {
        self.journal.append(&record(Record::OperatorKey(key.to_vec())))?;
        self.state.braking.operator_key = Some(key);
        Ok(())
    }

    /// Whose ledger this is.
    pub(crate) fn whose(&self) -> (OrganizationId, MachineId) {
        (self.state.organization, self.state.machine)
    }
}
