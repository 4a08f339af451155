//! From a question to its answer.
//!
//! The order is the point. **The lease comes first**, so that the state that is looked at next is the state that
//! exec will see: whoever could write has left, and nobody comes before exec itself shuts writers out. Then the
//! identity, the digests known of it, the verdict of this moment; **the answer before anything is counted, kept
//! or reported**. Between reading a question and answering it from what is known nothing is allocated, nothing
//! waits for a disk, and no lock is taken. Only where a rule is met /proc is asked first who the opener's user is.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::Guard;
use model::rule::Effect;
use model::{Names, Time, verdict};
use sys::fanotify::permission::{Answer, PermissionGroup, Question};
use sys::identity::{Identity, Stat};
use sys::lease::{self, Lease};
use sys::pidfd::PidFd;
use wire::link::v1;
use wire::link::v1::hashed::Result as Outcome;

use super::after::{self, Meeting, Task, Then};
use super::counters::Counters;
use super::known::Known;
use super::opens::Pulse;
use super::policy::Policy;
use super::protocol::sight;
use super::questions::{Questions, Room, WRITER_PATIENCE, Waiting};
use super::recent::{Because, Given};
use super::snapshot::Snapshot;

/// One pass of the loop: all its verdicts are made by the same rules and the same clock.
pub(super) struct Moment {
    pub(super) instant: Instant,
    /// By the clock of the rules.
    pub(super) time: Time,
    pub(super) snapshot: Guard<Arc<Snapshot>>,
}

/// Who waits to run a file.
pub(super) struct Opener {
    pub(super) file: OwnedFd,
    pub(super) pid: i32,
    /// It is to run, and not only opened.
    pub(super) executes: bool,
    /// A lease has been on the file since it was asked about.
    pub(super) leased: bool,
    /// What the timer told it, and the process if that was to run.
    pub(super) told: Option<(Answer, Option<PidFd>)>,
}

pub(super) struct Desk<'g> {
    pub(super) group: &'g PermissionGroup,
    pub(super) counters: &'g Counters,
    pub(super) after: after::Way,
    pub(super) known: Known,
    pub(super) questions: Questions<Opener>,
    /// What is said when there is nothing to judge by.
    pub(super) policy: Policy<'g>,
    /// The agent's process, while there is one: nobody asks it about what it opens itself.
    pub(super) agent: Option<i32>,
    /// What is asked after this is asked of another guard as well, which has the file hashed: nobody waits for that here.
    pub(super) relieved: Option<Instant>,
    /// After this, a file that is still being hashed is given back to its writers.
    pub(super) longest_lease: Duration,
    /// Whether the agent replies.
    pub(super) pulse: Pulse,
    /// When those were last looked at that have their answer.
    pub(super) looked_at_late: Instant,
}

/// The user who is never refused for what he asks too often: the machine is his.
const ROOT: u32 = 0;
/// How often those are looked at that have their answer.
const LOOK_EACH: Duration = Duration::from_secs(1);

impl Desk<'_> {
    pub(super) fn ask(&mut self, question: Question, moment: &Moment) {
        let Question { file, pid, executes } = question;
        if executes {
            self.look(file, pid, moment.instant, moment);
        } else {
            self.counters.opens.count();
            self.look_at_open(file, pid, moment);
        }
    }

    fn look(&mut self, file: OwnedFd, pid: i32, asked: Instant, moment: &Moment) {
        let opener = |file, leased| Opener { file, pid, executes: true, leased, told: None };
        let leased = match lease::take_read(file.as_fd()) {
            Ok(Lease::Held) => true,
            Ok(Lease::Writer) if moment.instant >= asked + WRITER_PATIENCE => {
                return self.without_verdict(opener(file, false), asked, Because::Busy, moment);
            }
            Ok(Lease::Writer) => {
                let user = user_of(pid);
                return match self.questions.room(user) {
                    Room::Free => {
                        self.questions.wait_for_writer(opener(file, false), user, asked, moment.instant);
                    }
                    room => self.without_room(opener(file, false), user, room, asked, moment),
                };
            }
            // A filesystem without leases: each exec has its own hash, and exec's own look at writers is all
            // that stands between that and a change.
            Err(_) => false,
        };
        let opener = opener(file, leased);
        let Ok(stat) = Identity::of(opener.file.as_fd()) else {
            return self.without_verdict(opener, asked, Because::Failed, moment);
        };
        let identity = stat.identity.filter(|_| leased);
        let needed = moment.snapshot.kinds();
        if let Some(names) = identity.and_then(|identity| self.known.names(&identity, needed)) {
            let task = self.decide(opener, asked, &stat, &names, true, moment);
            self.counters.from_cache.count();
            self.leave(task);
            return;
        }
        if self.is_asked_elsewhere(asked) {
            return self.without_verdict(opener, asked, Because::Relieved, moment);
        }
        let user = user_of(pid);
        match self.questions.room(user) {
            Room::Free => self.questions.wait_for_hash(opener, user, true, asked, identity),
            room => self.without_room(opener, user, room, asked, moment),
        }
    }

    /// Whether another guard judges what was asked then.
    pub(super) fn is_asked_elsewhere(&self, asked: Instant) -> bool {
        self.relieved.is_some_and(|since| asked > since)
    }

    /// Nothing more can be waited for. Whoever has taken more than a fair share is told to try again: permitting would
    /// let him run anything unread by asking for much. All others are told what policy says.
    pub(super) fn without_room(
        &self,
        opener: Opener,
        user: u32,
        room: Room,
        asked: Instant,
        moment: &Moment,
    ) {
        let is_overdrawn = room == Room::Overdrawn && user != ROOT;
        let because = if is_overdrawn { Because::Overdrawn } else { Because::TimedOut };
        self.without_verdict(opener, asked, because, moment);
    }

    /// What a hashing has brought, to all who waited for it.
    pub(super) fn hashed(&mut self, reply: &v1::Hashed, moment: &Moment) {
        self.pulse.replied(moment.instant);
        let Some(leader) = self.questions.leader(reply.id) else { return };
        let steady = leader.opener.leased;
        let learnt = match (&reply.result, Identity::of(leader.opener.file.as_fd())) {
            (Some(Outcome::Digests(digests)), Ok(stat)) => match Names::try_from(digests) {
                // Rules that came meanwhile may ask for more.
                Ok(names) if sight(&stat)[..] == reply.identity && names.has(moment.snapshot.kinds()) => {
                    Ok((names, stat))
                }
                Ok(_) if self.questions.try_again(reply.id) => return,
                Ok(_) => Err(Because::Busy),
                Err(_) => Err(Because::Failed),
            },
            (Some(Outcome::Busy(_)), Ok(_)) => Err(Because::Busy),
            (Some(Outcome::Data(_)), Ok(_)) if !leader.opener.executes => Err(Because::Data),
            _ => Err(Because::Failed),
        };
        let mut leader = None;
        let mut again = Vec::new();
        while let Some(waiting) = self.questions.take_hashed(reply.id) {
            let leads = leader.is_none();
            match &learnt {
                // Its own lease began when the hash had, and until then somebody may have written.
                Ok(_) if !leads && !steady && !waiting.late => again.push(waiting),
                Ok((names, stat)) => {
                    let task = self.answer_hashed(waiting, names, stat, moment);
                    if leads { leader = Some(task) } else { self.leave(task) }
                }
                Err(because) if waiting.late => self.close(waiting.opener, *because, moment),
                Err(because) => self.without_verdict(waiting.opener, waiting.asked, *because, moment),
            }
        }
        if let (Some(task), Ok((names, stat))) = (leader, &learnt) {
            if steady {
                self.known.learn(task.file.as_fd(), stat, *names);
            }
            self.leave(task);
        }
        for waiting in again {
            self.look(waiting.opener.file, waiting.opener.pid, waiting.asked, moment);
        }
    }

    fn answer_hashed(&self, waiting: Waiting<Opener>, names: &Names, stat: &Stat, moment: &Moment) -> Task {
        let late = waiting.late;
        let task = self.decide(waiting.opener, waiting.asked, stat, names, false, moment);
        if !late {
            self.counters.hashed.count();
        }
        task
    }

    /// Those whose time is over are told what policy says; the hashing goes on, and who runs what must not run is
    /// stopped then. There is room for that, too, and whoever has taken more than a fair share of it is refused.
    pub(super) fn answer_late(&mut self, moment: &Moment) {
        while let Some(index) = self.questions.next_late(moment.instant) {
            let Waiting { user, ref opener, .. } = *self.questions.at(index);
            let policy = self.policy(opener.executes, moment);
            let room = self.questions.late_room(user);
            if policy == Answer::Deny && room != Room::Free {
                if let Some(waiting) = self.questions.take(index) {
                    self.without_verdict(waiting.opener, waiting.asked, Because::TimedOut, moment);
                    continue;
                }
            } else if room == Room::Overdrawn && user != ROOT {
                if let Some(waiting) = self.questions.take(index) {
                    self.without_room(waiting.opener, user, room, waiting.asked, moment);
                    continue;
                }
            } else if room != Room::Free
                && let Some(least) = match room {
                    Room::Overdrawn => self.questions.oldest_late(user),
                    _ => self.questions.most_dispensable(),
                }
                && let Some(waiting) = self.questions.take(least)
            {
                self.close(waiting.opener, Because::TimedOut, moment);
                continue;
            }
            let (waiting, being_read) = self.questions.set_late(index);
            let opener = &mut waiting.opener;
            // It waits for the answer below, so that its id is still its own if that reaches it.
            // Who only read the file is not stopped for it.
            let process = if opener.executes && policy == Answer::Permit {
                sys::pidfd::open(opener.pid).ok()
            } else {
                None
            };
            let reached = self.group.answer(opener.file.as_fd(), policy).is_ok();
            count(self.counters, waiting.asked);
            self.counters.timed_out.count();
            opener.told = Some((policy, process.filter(|_| reached)));
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

    /// Lets go of files that nobody runs after a while: anybody can make one that takes for ever to read. Until then also
    /// what an interpreter or a child runs gets its verdict.
    pub(super) fn forget_over(&mut self, moment: &Moment) {
        if moment.instant < self.looked_at_late + LOOK_EACH {
            return;
        }
        self.looked_at_late = moment.instant;
        let longest = self.longest_lease;
        let is_over = |waiting: &Waiting<Opener>| {
            let age = moment.instant.saturating_duration_since(waiting.asked);
            age > longest && !waiting.opener.still_runs()
        };
        for index in self.questions.find_late(is_over).into_iter().rev() {
            if let Some(waiting) = self.questions.take(index) {
                self.close(waiting.opener, Because::TimedOut, moment);
            }
        }
    }

    /// The agent is gone, and with it who read the files.
    pub(super) fn forget_agent(&mut self) {
        self.agent = None;
        self.policy.lost(Instant::now());
        self.questions.forget_sent();
        self.questions.late().for_each(|waiting| waiting.opener.give_back());
    }

    /// Judges and answers; the rest is left to be done.
    pub(super) fn decide(
        &self,
        opener: Opener,
        asked: Instant,
        stat: &Stat,
        names: &Names,
        from_cache: bool,
        moment: &Moment,
    ) -> Task {
        let mut verdict = moment.snapshot.judge(names, stat, moment.time);
        // Only what met a rule is worth asking for, and once it has its answer it may be gone.
        let user = match verdict.because {
            verdict::Because::NoRule | verdict::Because::Rule(_, Effect::Allow) => u32::MAX,
            _ => user_of(opener.pid),
        };
        let bypassed = !verdict.permits
            && matches!(verdict.because, verdict::Because::Rule(_, Effect::Warn))
            && moment.snapshot.is_bypassed(user, &names.sha256, moment.time);
        verdict.permits |= bypassed;
        let answer = if verdict.permits { Answer::Permit } else { Answer::Deny };
        let (told, process) = opener.told.unzip();
        let answered = match told {
            None => self.say(&opener.file, answer, asked),
            Some(_) => moment.instant,
        };
        let late = told == Some(Answer::Permit);
        let (rule, spared) = match verdict.because {
            verdict::Because::NoRule => (None, false),
            verdict::Because::Rule(rule, effect) => (Some((rule, effect)), false),
            verdict::Because::Spared(rule) => (Some((rule, Effect::Deny)), true),
        };
        let meeting = rule.filter(|(_, effect)| effect.is_told()).map(|(rule, effect)| Meeting {
            names: *names,
            size: stat.size,
            rule,
            effect,
            user,
            late: late && !verdict.permits,
            spared,
            bypassed,
            ran_at: if late && opener.executes { ticks_of(asked, moment.instant) } else { 0 },
        });
        match &meeting {
            Some(Meeting { spared: true, .. }) => self.counters.spared.count(),
            Some(Meeting { late: true, .. }) => self.counters.denied_late.count(),
            Some(_) if !verdict.permits => self.counters.denied.count(),
            Some(_) => self.counters.watched.count(),
            None => {}
        }
        let then = match process.flatten() {
            _ if opener.executes && verdict.permits && told.is_none() => Then::Runs { file: *stat, answered },
            Some(process) if !verdict.permits => Then::Stops { file: *stat, process, judged: moment.instant },
            _ => Then::Nothing,
        };
        let given = Given {
            answer: told.unwrap_or(answer),
            because: Because::Judged { rule, spared, from_cache },
            file: Some(*stat),
            names: Some(*names),
            waited: answered.saturating_duration_since(asked),
            at: moment.time,
        };
        Task { file: opener.file, pid: opener.pid, then, meeting, given }
    }

    /// Without a verdict there is no content to keep as it is, so the lease ends with the answer.
    pub(super) fn without_verdict(&self, opener: Opener, asked: Instant, because: Because, moment: &Moment) {
        let answer = match because {
            Because::Overdrawn => Answer::Busy,
            Because::Busy if opener.executes => Answer::Busy,
            // What is read while somebody writes to it is mostly a log.
            Because::Busy | Because::Data | Because::Relieved => Answer::Permit,
            _ => self.policy(opener.executes, moment),
        };
        let answered = self.say(&opener.file, answer, asked);
        match because {
            Because::Busy | Because::Overdrawn => self.counters.busy.count(),
            Because::Data | Because::Relieved => {}
            Because::TimedOut => self.counters.timed_out.count(),
            Because::Failed | Because::Judged { .. } => self.counters.failed.count(),
        }
        let given = Given {
            answer,
            because,
            file: None,
            names: None,
            waited: answered.saturating_duration_since(asked),
            at: moment.time,
        };
        self.leave(Task { file: opener.file, pid: opener.pid, then: Then::Nothing, meeting: None, given });
    }

    fn policy(&self, executes: bool, moment: &Moment) -> Answer {
        self.policy.answer(executes, !moment.snapshot.rules().is_empty(), moment.instant)
    }

    /// Answers, and says when that was.
    fn say(&self, file: &OwnedFd, answer: Answer, asked: Instant) -> Instant {
        // It fails only when the opener was killed meanwhile.
        let _ = self.group.answer(file.as_fd(), answer);
        count(self.counters, asked)
    }

    /// Has a file closed whose opener has its answer, without a verdict.
    fn close(&self, opener: Opener, because: Because, moment: &Moment) {
        let answer = opener.told.map_or_else(|| self.policy(opener.executes, moment), |(answer, _)| answer);
        let given =
            Given { answer, because, file: None, names: None, waited: Duration::ZERO, at: moment.time };
        let Opener { file, pid, .. } = opener;
        self.leave(Task { file, pid, then: Then::Nothing, meeting: None, given });
    }

    pub(super) fn leave(&self, task: Task) {
        if let Err(refused) = self.after.take(task)
            && refused.meeting.is_some()
        {
            self.counters.reports_lost.count();
        }
    }
}

/// Counts an answer, and says when it was given.
fn count(counters: &Counters, asked: Instant) -> Instant {
    let now = Instant::now();
    let waited = now.saturating_duration_since(asked);
    counters.questions.count();
    counters.waits.count(waited);
    counters.waited_ns.add(u64::try_from(waited.as_nanos()).unwrap_or(0));
    now
}

/// When that was, in clock ticks since boot.
fn ticks_of(then: Instant, now: Instant) -> u64 {
    const TICK: Duration = Duration::from_millis(10);
    let ago = now.saturating_duration_since(then).as_millis() / TICK.as_millis();
    sys::processes::now().saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX))
}

/// Whose share of the room a process takes. Those that are gone already share one.
pub(super) fn user_of(pid: i32) -> u32 {
    sys::owner::of(pid).unwrap_or(u32::MAX)
}

impl Opener {
    /// Whether its process was let run, and runs the file.
    fn still_runs(&self) -> bool {
        let Some((_, Some(process))) = &self.told else { return false };
        let file = Identity::of(self.file.as_fd());
        file.is_ok_and(|file| after::runs(self.pid, &file)) && !process.has_ended()
    }

    /// Lets writers come. What is read from now on proves nothing for later.
    fn give_back(&mut self) {
        if std::mem::take(&mut self.leased) {
            // It fails only when the kernel has ended the lease already, for a writer that waited too long.
            let _ = lease::release(self.file.as_fd());
        }
    }
}
