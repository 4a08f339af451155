//! From a question to its answer.
//!
//! The order is the point. **The lease comes first**, so that the state that is looked at next is the state that
//! exec will see: whoever could write has left, and nobody comes before exec itself shuts writers out. Then the
//! identity, the digests known of it, the verdict of this moment; **the answer before anything is counted, kept
//! or reported**. Between reading a question and answering it from what is known nothing is allocated, nothing
//! waits for a disk, and no lock is taken.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::Guard;
use crossbeam_channel::Sender;
use model::verdict::Because;
use model::{Digests, Time};
use sys::fanotify::permission::{Answer, PermissionGroup, Question};
use sys::identity::{Identity, Stat};
use sys::lease::{self, Lease};
use sys::pidfd::PidFd;
use wire::link::v1;
use wire::link::v1::hashed::Result as Outcome;

use super::after::{Denial, Task, Then};
use super::counters::{Counter, Counters};
use super::known::Known;
use super::protocol::sight;
use super::questions::{Questions, WRITER_PATIENCE, Waiting};
use super::snapshot::Snapshot;

/// One pass of the loop: all its verdicts are made by the same rules and the same clock.
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) time: Time,
    pub(super) snapshot: Guard<Arc<Snapshot>>,
}

/// Who waits to run a file.
pub(super) struct Opener {
    pub(super) file: OwnedFd,
    pub(super) pid: i32,
    /// A lease has been on the file since it was asked about.
    leased: bool,
    /// What the timer told it, and the process if that was to run.
    told: Option<(Answer, Option<PidFd>)>,
}

pub(super) struct Desk<'g> {
    pub(super) group: &'g PermissionGroup,
    pub(super) counters: &'g Counters,
    pub(super) after: Sender<Task>,
    pub(super) known: Known,
    pub(super) questions: Questions<Opener>,
    /// What is said when there is nothing to judge by.
    pub(super) policy: Answer,
    /// After this, a file that is still being hashed is given back to its writers.
    pub(super) longest_lease: Duration,
}

/// Why a hashing has brought no digests.
#[derive(Clone, Copy)]
enum Unknown {
    Busy,
    Unreadable,
}

impl Desk<'_> {
    pub(super) fn ask(&mut self, question: Question, moment: &Moment) {
        self.look(question.file, question.pid, moment.instant, moment);
    }

    fn look(&mut self, file: OwnedFd, pid: i32, asked: Instant, moment: &Moment) {
        let leased = match lease::take_read(file.as_fd()) {
            Ok(Lease::Held) => true,
            Ok(Lease::Writer) if moment.instant >= asked + WRITER_PATIENCE => return self.busy(file),
            Ok(Lease::Writer) if self.questions.is_full() => return self.by_policy(file, |c| &c.timed_out),
            Ok(Lease::Writer) => {
                let opener = Opener { file, pid, leased: false, told: None };
                return self.questions.wait_for_writer(opener, asked, moment.instant);
            }
            // A filesystem without leases: each exec has its own hash, and exec's own look at writers is all
            // that stands between that and a change.
            Err(_) => false,
        };
        let Ok(stat) = Identity::of(file.as_fd()) else { return self.by_policy(file, |c| &c.failed) };
        let opener = Opener { file, pid, leased, told: None };
        let identity = stat.identity.filter(|_| leased);
        if let Some(digests) = identity.and_then(|identity| self.known.digests(&identity)) {
            let task = self.decide(opener, &stat, &digests, moment);
            self.counters.from_cache.count();
            self.leave(task);
        } else if self.questions.is_full() {
            self.by_policy(opener.file, |counters| &counters.timed_out);
        } else {
            self.questions.wait_for_hash(opener, asked, identity);
        }
    }

    /// What a hashing has brought, to all who waited for it.
    pub(super) fn hashed(&mut self, reply: &v1::Hashed, moment: &Moment) {
        let Some(leader) = self.questions.leader(reply.id) else { return };
        let steady = leader.opener.leased;
        let learnt = match (&reply.result, Identity::of(leader.opener.file.as_fd())) {
            (Some(Outcome::Digests(digests)), Ok(stat)) => match Digests::try_from(digests) {
                Ok(digests) if sight(&stat)[..] == reply.identity => Ok((digests, stat)),
                Ok(_) if self.questions.try_again(reply.id) => return,
                Ok(_) => Err(Unknown::Busy),
                Err(_) => Err(Unknown::Unreadable),
            },
            (Some(Outcome::Busy(_)), Ok(_)) => Err(Unknown::Busy),
            _ => Err(Unknown::Unreadable),
        };
        let mut leader = None;
        let mut again = Vec::new();
        while let Some(waiting) = self.questions.take_hashed(reply.id) {
            let leads = leader.is_none();
            match &learnt {
                // Its own lease began when the hash had, and until then somebody may have written.
                Ok(_) if !leads && !steady && !waiting.late => again.push(waiting),
                Ok((digests, stat)) => {
                    let task = self.answer_hashed(waiting, digests, stat, moment);
                    if leads { leader = Some(task) } else { self.leave(task) }
                }
                Err(_) if waiting.late => {}
                Err(Unknown::Busy) => self.busy(waiting.opener.file),
                Err(Unknown::Unreadable) => self.by_policy(waiting.opener.file, |counters| &counters.failed),
            }
        }
        if let (Some(task), Ok((digests, stat))) = (leader, &learnt) {
            if steady {
                self.known.learn(task.file.as_fd(), stat, *digests, moment.time);
            }
            self.leave(task);
        }
        for waiting in again {
            self.look(waiting.opener.file, waiting.opener.pid, waiting.asked, moment);
        }
    }

    fn answer_hashed(
        &self,
        waiting: Waiting<Opener>,
        digests: &Digests,
        stat: &Stat,
        moment: &Moment,
    ) -> Task {
        let late = waiting.late;
        let task = self.decide(waiting.opener, stat, digests, moment);
        if !late {
            self.counters.hashed.count();
        }
        task
    }

    /// Those whose time is over are told what policy says; the hashing goes on.
    pub(super) fn answer_late(&mut self, moment: &Moment) {
        while let Some((waiting, being_read)) = self.questions.next_late(moment.instant) {
            let opener = &mut waiting.opener;
            // It waits for the answer below, so that its id is still its own if that reaches it.
            let process = sys::pidfd::open(opener.pid).ok().filter(|_| self.policy == Answer::Permit);
            let reached = self.group.answer(opener.file.as_fd(), self.policy).is_ok();
            self.counters.questions.count();
            self.counters.timed_out.count();
            opener.told = Some((self.policy, process.filter(|_| reached)));
            if !being_read {
                opener.give_back();
            }
        }
    }

    /// Files with a writer are looked at once more.
    pub(super) fn retry(&mut self, moment: &Moment) {
        while let Some(waiting) = self.questions.take_retry(moment.instant) {
            self.look(waiting.opener.file, waiting.opener.pid, waiting.asked, moment);
        }
    }

    /// Nobody waits any more for a late opener's file, but somebody may want to write to it.
    pub(super) fn give_back_late(&mut self, moment: &Moment) {
        let longest = self.longest_lease;
        let overdue = |waiting: &&mut Waiting<Opener>| waiting.asked + longest <= moment.instant;
        self.questions.late().filter(overdue).for_each(|waiting| waiting.opener.give_back());
    }

    /// The agent is gone, and with it who read the files.
    pub(super) fn forget_agent(&mut self) {
        self.questions.forget_sent();
        self.questions.late().for_each(|waiting| waiting.opener.give_back());
    }

    /// Judges and answers; the rest is left to be done.
    fn decide(&self, opener: Opener, stat: &Stat, digests: &Digests, moment: &Moment) -> Task {
        let verdict = moment.snapshot.judge(&digests.into(), stat, moment.time);
        let (told, process) = opener.told.unzip();
        if told.is_none() {
            self.say(&opener.file, if verdict.permits { Answer::Permit } else { Answer::Deny });
        }
        let late = told == Some(Answer::Permit);
        let (rule, spared) = match verdict.because {
            Because::Spared(rule) => (Some(rule), true),
            Because::Rule(rule, _) if !verdict.permits => (Some(rule), false),
            _ => (None, false),
        };
        match rule {
            Some(_) if spared => self.counters.spared.count(),
            Some(_) if late => self.counters.denied_late.count(),
            Some(_) => self.counters.denied.count(),
            None => {}
        }
        let denial = rule.map(|rule| {
            let late = late && !spared;
            Denial { digests: *digests, size: stat.size, rule, late, spared }
        });
        let then = match process.flatten() {
            _ if verdict.permits && told.is_none() => Then::Runs { file: *stat, answered: Instant::now() },
            Some(process) if !verdict.permits => Then::Stops { file: *stat, process },
            _ => Then::Nothing,
        };
        Task { file: opener.file, pid: opener.pid, then, denial }
    }

    fn busy(&self, file: OwnedFd) {
        self.say(&file, Answer::Busy);
        self.counters.busy.count();
        self.leave(Task { file, pid: 0, then: Then::Nothing, denial: None });
    }

    /// Without a verdict there is no content to keep as it is, so the lease ends with the answer.
    fn by_policy(&self, file: OwnedFd, counter: fn(&Counters) -> &Counter) {
        self.say(&file, self.policy);
        counter(self.counters).count();
        self.leave(Task { file, pid: 0, then: Then::Nothing, denial: None });
    }

    fn say(&self, file: &OwnedFd, answer: Answer) {
        // It fails only when the opener was killed meanwhile.
        let _ = self.group.answer(file.as_fd(), answer);
        self.counters.questions.count();
    }

    fn leave(&self, task: Task) {
        if let Err(refused) = self.after.try_send(task)
            && refused.into_inner().denial.is_some()
        {
            self.counters.reports_lost.count();
        }
    }
}

impl Opener {
    /// Lets writers come. What is read from now on proves nothing for later.
    fn give_back(&mut self) {
        if std::mem::take(&mut self.leased) {
            // It fails only when the kernel has ended the lease already, for a writer that waited too long.
            let _ = lease::release(self.file.as_fd());
        }
    }
}
