//! What the warden does when it is told that the program on the disk is another: see [`super::handover`].

use std::time::Instant;

use sys::fanotify::permission::marked_by;

use super::child::Child;
use super::handover::{Handover, LEARNS, Next, Seen};
use super::{Level, Warden, tether};

impl Warden {
    /// Starts guard and agent anew. Where a guard denies, the next one relieves it; otherwise they are ended and
    /// started in order.
    pub(super) fn renew(&mut self, now: Instant) {
        if let Some(handover) = &mut self.handover {
            handover.again = true;
            return;
        }
        if self.learns_until.is_some_and(|until| now < until) {
            self.renews_at = self.learns_until;
            return;
        }
        tracing::info!("guard and agent are started anew, by the program that lies on the disk");
        self.work.renew(now);
        let can_relieve = self.level == Some(Level::Deny) && !self.snapshots.is_empty();
        match &mut self.guard.child {
            Some(child) if can_relieve && child.in_force.is_some() => {
                self.handover = Some(Handover::begin(now));
            }
            Some(child) => child.ask_to_end(now),
            None => {}
        }
    }

    /// Does what is due of a hand-over, if there is one.
    pub(super) fn tend_handover(&mut self, now: Instant) {
        if self.renews_at.is_some_and(|due| now >= due) {
            self.renews_at = None;
            self.renew(now);
        }
        let seen = self.seen();
        let Some(handover) = &mut self.handover else { return };
        if !handover.is_seated() && self.guard.child.is_none() {
            // It fell, and the next one is by the new program anyway.
            return self.handover_is_over(now);
        }
        match handover.next(&seen, now) {
            Next::Wait => {}
            Next::Start => self.start_relief(now),
            Next::Seat => self.seat_relief(),
            Next::Relieve => self.leaving.iter().for_each(|child| child.say(tether::RELIEVED)),
            Next::End => {
                self.leaving.iter_mut().for_each(|child| child.ask_to_end(now));
                self.learns_until = Some(now + LEARNS);
                tracing::info!("the next guard denies; the one before ends");
                self.handover_is_over(now);
            }
            Next::GiveUp(why) => {
                self.dismiss_relief(now);
                tracing::error!("the guard stays as it is: {why}; send SIGHUP to try again");
                self.handover_is_over(now);
            }
        }
    }

    /// Ends whatever is on its way or leaves: no guard is wanted, or another kind of guard.
    pub(super) fn abandon_handover(&mut self, now: Instant) {
        if self.handover.take().is_some_and(|handover| handover.again) {
            self.renews_at = Some(now);
        }
        self.dismiss_relief(now);
        self.leaving.iter_mut().for_each(|child| child.ask_to_end(now));
    }

    /// The guard fell while its relief was on its way: that one has the seat at once.
    pub(super) fn step_in(&mut self, now: Instant) {
        let is_in_force = self.relief.as_ref().is_some_and(|relief| relief.in_force.is_some());
        if self.relief.is_some() {
            self.seat_relief();
            if self.handover.take().is_some_and(|handover| handover.again) {
                self.renews_at = Some(now);
            }
        }
        if is_in_force && self.fell.take().is_some() {
            self.standing.last_gap = Some(std::time::Duration::ZERO);
        }
    }

    /// Looks after the relief, and after those that leave.
    pub(super) fn tend_others(&mut self, now: Instant) {
        if let Some(ended) = self.relief.as_mut().and_then(|relief| relief.tend(&self.sentry, now)) {
            tracing::error!("the guard that was to come has ended ({})", ended.why());
            self.relief.take().into_iter().for_each(|left| self.unburied.put(left));
        }
        let mut at = 0;
        while let Some(child) = self.leaving.get_mut(at) {
            // It has nothing to say any more, and what is not read wakes us all the time.
            drop(child.hear(now));
            match child.tend(&self.sentry, now) {
                Some(_) => self.unburied.put(self.leaving.swap_remove(at)),
                None => at += 1,
            }
        }
    }

    fn seen(&self) -> Seen {
        let Some(handover) = &self.handover else { return Seen::default() };
        let begun = handover.since();
        let begun = match handover.is_seated() {
            true => Some(begun),
            false => self.work.child.as_ref().map(|work| work.since).filter(|since| *since > begun),
        };
        let has_agent = self.guard.child.as_ref().zip(begun).is_some_and(|(guard, begun)| {
            [guard.attached, guard.adopted].iter().all(|then| then.is_some_and(|then| then > begun))
        });
        let meant = if handover.is_seated() { &self.guard.child } else { &self.relief };
        let meant = meant.as_ref();
        Seen {
            has_agent,
            is_crowded: !self.leaving.is_empty(),
            has_relief: self.relief.is_some(),
            is_in_force: meant.is_some_and(|guard| guard.in_force.is_some()),
            has_marks: has_agent && handover.is_seated() && self.has_all_marks(),
        }
    }

    /// Whether the guard in the seat is asked about all that those are which leave.
    fn has_all_marks(&self) -> bool {
        // Who has ended is asked about nothing.
        let marked = |child: &Child| marked_by(child.pid()).unwrap_or_default();
        let now = self.guard.child.as_ref().map(marked).unwrap_or_default();
        self.leaving.iter().all(|child| marked(child).is_subset(&now))
    }

    fn start_relief(&mut self, now: Instant) {
        let Some(arguments) = &self.config.guard else { return };
        match self.start(arguments, &["--relieves"], true) {
            Ok(relief) => {
                self.groups.put("guard", relief.pid());
                self.relief = Some(relief);
            }
            Err(error) => {
                tracing::error!(%error, "the guard stays as it is: the next one can't be started");
                self.handover_is_over(now);
            }
        }
    }

    fn seat_relief(&mut self) {
        let Some(relief) = self.relief.take() else { return };
        relief.say(tether::SEATED);
        self.standing.number += 1;
        self.leaving.extend(self.guard.child.replace(relief));
    }

    fn dismiss_relief(&mut self, now: Instant) {
        if let Some(mut relief) = self.relief.take() {
            relief.ask_to_end(now);
            self.leaving.push(relief);
        }
    }

    fn handover_is_over(&mut self, now: Instant) {
        if self.handover.take().is_some_and(|handover| handover.again) {
            self.renew(now);
        }
    }
}
