//! One connection to the server.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use model::act::Act;
use model::{Sha256, Time};
use wire::link::v1::{self, down, up};
use wire::link::{Malformed, acts, frame, things};

use crate::brake;
use crate::collecting::{LinkEnd, Said};
use crate::core::{Core, Nudge};
use crate::inspector;
use crate::ledger::Refused;

/// How a connection ended.
pub(super) enum Ended {
    /// The agent stops.
    Stopped,
    /// The server went away, or said what can't be understood.
    Lost(io::Error),
    /// Its rules don't continue what is here.
    Refused(Refused),
    /// What it said can't be kept: this machine's disk is full, or fails.
    NotKept(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<Malformed> for Ended {
    fn from(error: Malformed) -> Self {
        Self::Lost(io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// How long the guard may take to confirm a set of rules before it is asked again.
const GUARD_PATIENCE: Duration = Duration::from_secs(2);
/// How often what has not been confirmed is asked again.
const TICK: Duration = Duration::from_millis(200);
/// How long one waits for news otherwise, at the most.
const REST: Duration = Duration::from_secs(30);
/// A server that takes nothing for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// What waits is told up to so many, each with so many of the files that run widely: a message has an end.
const MOST_HELD: usize = 1000;
const MOST_CROWDS: usize = 3;
/// So many batches are forgotten together, or those of so long.
const TOGETHER: usize = 8;
const TOGETHER_WITHIN: Duration = Duration::from_secs(1);

/// Rules, or changes of them, in one message from which on memory is given back afterwards.
const MANY: usize = 1000;

/// One connection's state.
struct Session<'a> {
    core: &'a Core,
    stream: UnixStream,
    taken: &'a Sender<()>,
    samples: &'a LinkEnd,
    inspections: &'a inspector::LinkEnd,
    /// Sightings sent and not yet stored: one batch at a time.
    in_flight: Option<u64>,
    sent: u64,
    /// What the server has stored and the spool still holds, and in how many batches.
    stored: Option<(u64, usize)>,
    /// When the spool was last rid of what is stored.
    rid: Instant,
    /// Rules are durable that are not in force, or not acknowledged yet.
    owes_adoption: bool,
    /// What the server knows to be held.
    held: Option<Vec<model::HoldId>>,
    /// They were so many that taking them in has left much memory behind.
    heard_many: bool,
    beat_every: Duration,
    last_beat: Option<Instant>,
}

/// Serves one connection until it ends. `whole` asks for the whole set of rules.
pub(super) fn run(
    core: &Arc<Core>,
    stream: UnixStream,
    nudges: &Receiver<Nudge>,
    taken: &Sender<()>,
    (samples, inspections): (&LinkEnd, &inspector::LinkEnd),
    whole: bool,
) -> Ended {
    // Of the connection before.
    samples.outgoing.try_iter().for_each(drop);
    inspections.outgoing.try_iter().for_each(drop);
    let mut session = Session {
        core,
        stream,
        taken,
        samples,
        inspections,
        in_flight: None,
        sent: 0,
        stored: None,
        rid: Instant::now(),
        owes_adoption: false,
        heard_many: false,
        held: None,
        beat_every: Duration::from_secs(30),
        last_beat: None,
    };
    let ended = session.serve(nudges, whole);
    // Ends the reading thread, too.
    let _ = session.stream.shutdown(std::net::Shutdown::Both);
    match ended {
        Ok(()) => Ended::Stopped,
        Err(ended) => ended,
    }
}

impl Session<'_> {
    fn serve(&mut self, nudges: &Receiver<Nudge>, whole: bool) -> Result<(), Ended> {
        self.stream.set_write_timeout(Some(WRITE_PATIENCE))?;
        let position =
            if whole { model::log::Position::default() } else { self.core.ledger.lock().position() };
        let hello = v1::Hello {
            machine: self.core.machine.0.to_vec(),
            position: Some(position.into()),
            ..crate::host::hello()
        };
        self.say(up::Message::Hello(hello))?;
        let incoming = read_in_background(self.stream.try_clone()?);
        self.tell_spared()?;
        self.tell_ended()?;
        loop {
            if self.core.halt.is_asked() {
                return Ok(());
            }
            select! {
                recv(incoming) -> message => match message {
                    Ok(message) => self.hear(message?)?,
                    Err(_) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                },
                recv(nudges) -> nudge => match nudge {
                    Ok(nudge) => self.tell(nudge)?,
                    Err(_) => return Ok(()),
                },
                recv(self.samples.outgoing) -> message => match message {
                    Ok(message) => self.say(message)?,
                    Err(_) => return Ok(()),
                },
                recv(self.inspections.outgoing) -> message => match message {
                    Ok(message) => self.say(message)?,
                    Err(_) => return Ok(()),
                },
                default(self.patience()) => {}
            }
            self.settle_adoption()?;
            self.rid_of_stored()?;
            self.tell_sightings()?;
            if self.last_beat.is_some_and(|last| last.elapsed() >= self.beat_every) {
                self.beat()?;
            }
        }
    }

    /// How long to wait for news: until the next heartbeat, unless something is owed.
    fn patience(&self) -> Duration {
        let until_beat = self.last_beat.map(|last| self.beat_every.saturating_sub(last.elapsed()));
        let longest = if self.stored.is_some() { TOGETHER_WITHIN } else { REST };
        if self.owes_adoption { TICK } else { until_beat.unwrap_or(longest).min(longest) }
    }

    fn say(&mut self, message: up::Message) -> io::Result<()> {
        frame::write(&mut self.stream, &v1::Up { message: Some(message) })
    }

    fn hear(&mut self, message: v1::Down) -> Result<(), Ended> {
        match message.message {
            Some(down::Message::Welcome(welcome)) => self.welcomed(&welcome)?,
            Some(down::Message::Rules(rules)) => self.adopt(&rules)?,
            Some(down::Message::Act(act)) => self.take(Act::try_from(&act)?, act.cancelled)?,
            Some(down::Message::SightingsStored(sequence)) => {
                self.in_flight = self.in_flight.filter(|in_flight| *in_flight > sequence);
                self.stored = Some((sequence, self.stored.map_or(1, |(_, batches)| batches + 1)));
            }
            Some(down::Message::OutcomeStored(act)) => {
                let act = acts::act_id(&act)?;
                self.core.ledger.lock().outcome_stored(act).map_err(Ended::NotKept)?;
            }
            Some(down::Message::LiftedStored(rule)) => {
                self.core.ledger.lock().lifted_stored(model::RuleId(rule)).map_err(Ended::NotKept)?;
            }
            Some(down::Message::SampleWanted(wanted)) => self.pass_on(Said::Wanted(wanted)),
            Some(down::Message::SampleRefused(refused)) => self.pass_on(Said::Refused(refused)),
            Some(down::Message::SampleStored(act)) => self.pass_on(Said::Stored(act)),
            Some(down::Message::InspectionWanted(wanted)) => {
                for file in wanted.sha256 {
                    let file = Sha256::try_from(file.as_slice()).map_err(|_| Malformed("sha256"))?;
                    let _ = self.inspections.said.send(inspector::Said::Wanted(file));
                }
            }
            Some(down::Message::Approval(signed)) => {
                if let Err((Some(hold), refused)) = brake::approve_signed(self.core, &signed) {
                    let (hold, reason) = (hold.0.as_bytes().to_vec(), refused.to_string());
                    self.say(up::Message::ApprovalRefused(v1::ApprovalRefused { hold, reason }))?;
                }
            }
            Some(down::Message::OperatorKey(told)) => {
                brake::pin(self.core, &told.key, &told.changes).map_err(Ended::NotKept)?;
            }
            Some(down::Message::ApprovedStored(id)) => {
                self.core.ledger.lock().approved_stored(id).map_err(Ended::NotKept)?;
            }
            Some(down::Message::BypassStored(id)) => {
                self.core.ledger.lock().bypass_stored(id).map_err(Ended::NotKept)?;
            }
            None => {}
        }
        Ok(())
    }

    /// Has the spool forget what the server has stored: at once when that is all, and some batches together while
    /// there are more, since for each time the inventory is made durable.
    fn rid_of_stored(&mut self) -> Result<(), Ended> {
        let Some((sequence, batches)) = self.stored else { return Ok(()) };
        let is_all = self.core.spool.lock().last() == sequence;
        if !is_all && batches < TOGETHER && self.rid.elapsed() < TOGETHER_WITHIN {
            return Ok(());
        }
        // What the server knows this machine must not forget: acts rely on it.
        self.core.inventory.settle().map_err(Ended::NotKept)?;
        // Sent once more after a restart at the worst, and the server knows a batch again.
        let kept = self.core.spool.lock().stored(sequence);
        if let Err(error) = kept {
            tracing::warn!(%error, "that sightings are stored can't be kept");
        }
        (self.stored, self.rid) = (None, Instant::now());
        Ok(())
    }

    /// To the thread that sends samples, which lives as long as the process.
    fn pass_on(&self, said: Said) {
        let _ = self.samples.said.send(said);
    }

    fn welcomed(&mut self, welcome: &v1::Welcome) -> Result<(), Ended> {
        brake::pin(self.core, &welcome.operator_key, &welcome.operator_key_changes)
            .map_err(Ended::NotKept)?;
        if self.core.set_server_clock(Time::from_ticks(welcome.server_time)) {
            // A guard that is away gets it when it is back.
            let _ = self.core.enforce(GUARD_PATIENCE);
        }
        self.core.spool.lock().agree(welcome.sightings_stored).map_err(Ended::NotKept)?;
        self.core.attached.store(true, Ordering::Relaxed);
        self.pass_on(Said::Attached);
        let _ = self.inspections.said.send(inspector::Said::Attached);
        self.beat_every = Duration::from_secs(u64::from(welcome.heartbeat_seconds.clamp(1, 3600)));
        Ok(self.beat()?)
    }

    /// Durable first; in force and acknowledged by [`Self::settle_adoption`].
    fn adopt(&mut self, rules: &v1::Rules) -> Result<(), Ended> {
        self.heard_many |= rules.rules.len() + rules.entries.len() >= MANY;
        match brake::adopt(self.core, rules) {
            Ok(is_whole) => self.owes_adoption |= is_whole,
            Err(Refused::Disk(error)) => return Err(Ended::NotKept(error)),
            Err(refused) => return Err(Ended::Refused(refused)),
        }
        Ok(())
    }

    fn settle_adoption(&mut self) -> io::Result<()> {
        if !self.owes_adoption {
            return Ok(());
        }
        match self.core.enforce(GUARD_PATIENCE) {
            Ok(position) => {
                self.owes_adoption = false;
                // First, or the server would take a rule that waits for one in force.
                self.tell_held()?;
                self.say(up::Message::Adopted(position.into()))?;
                // Nobody waits for what follows.
                self.core.ledger.lock().shorten();
                if std::mem::take(&mut self.heard_many) {
                    sys::process::give_back_memory();
                }
                Ok(())
            }
            Err(error) => {
                if self.core.warden.holds_back().is_none() {
                    tracing::warn!(%error, "new rules are not in force yet");
                }
                Ok(())
            }
        }
    }

    /// The server hands out every act that has not ended by its account, on each connection: whatever of it was
    /// lost on the way is told again.
    fn take(&mut self, act: Act, is_cancelled: bool) -> Result<(), Ended> {
        if act.machine != self.core.machine {
            tracing::error!(act = %act.id, machine = %act.machine, "an act for another machine is not taken");
            return Ok(());
        }
        let id = act.id;
        let (has_begun, outcome) = {
            let mut ledger = self.core.ledger.lock();
            ledger.take(act).map_err(Ended::NotKept)?;
            if is_cancelled {
                ledger.cancel(id).map_err(Ended::NotKept)?;
            }
            (ledger.has_begun(id), ledger.outcome(id).cloned())
        };
        match outcome {
            Some(outcome) => {
                self.say(up::Message::Outcome((&outcome).into()))?;
                // What was withdrawn waits for nobody's approval.
                return Ok(self.tell_held()?);
            }
            None if has_begun => self.say(up::Message::ActBegun(id.0.as_bytes().to_vec()))?,
            None => {}
        }
        let _ = self.taken.try_send(());
        self.pass_on(Said::Taken);
        Ok(())
    }

    fn tell(&mut self, nudge: Nudge) -> io::Result<()> {
        match nudge {
            // After each turn anyway.
            Nudge::Spooled => Ok(()),
            Nudge::Begun(act) => self.say(up::Message::ActBegun(act.0.as_bytes().to_vec())),
            Nudge::Ended => self.tell_ended(),
            Nudge::Held => self.tell_held(),
            Nudge::Spared => self.tell_spared(),
            Nudge::Changed => self.beat(),
        }
    }

    fn tell_ended(&mut self) -> io::Result<()> {
        let (outcomes, lifted, bypasses, approvals) = {
            let ledger = self.core.ledger.lock();
            (ledger.unsent(), ledger.lifted(), ledger.untold_bypasses(), ledger.untold_approvals())
        };
        for approved in approvals {
            self.say(up::Message::Approved(approved))?;
        }
        self.tell_held()?;
        for outcome in &outcomes {
            match self.say(up::Message::Outcome(outcome.into())) {
                // Whatever made it so large, it must not end this session and each that follows.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    tracing::error!(act = %outcome.act, %error, "an outcome is too large to be told");
                }
                told => told?,
            }
        }
        for (rule, comment) in lifted {
            self.say(up::Message::Lifted(v1::Lifted { rule: rule.0, comment }))?;
        }
        for bypass in bypasses {
            self.say(up::Message::Bypassed(bypass))?;
        }
        Ok(())
    }

    /// Says what the brake holds, if that is something else than was said last.
    fn tell_held(&mut self) -> io::Result<()> {
        let mut holds = self.core.ledger.lock().holds();
        let held: Vec<_> = holds.iter().map(|hold| hold.id).collect();
        if self.held.as_ref() == Some(&held) {
            return Ok(());
        }
        // Only a rule that waits keeps an order open: those first, or it would be taken for one in force.
        holds.sort_by_key(|hold| hold.what.rule().is_none());
        let left_out = holds.len().saturating_sub(MOST_HELD);
        holds.truncate(MOST_HELD);
        holds.iter_mut().for_each(|hold| hold.crowds.truncate(MOST_CROWDS));
        let holds = holds.iter().map(Into::into).collect();
        let left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
        self.say(up::Message::Holds(v1::Holds { holds, left_out }))?;
        self.held = Some(held);
        Ok(())
    }

    fn tell_spared(&mut self) -> io::Result<()> {
        let told = crate::spared::told(&self.core.spared());
        self.say(up::Message::Spared(told))
    }

    fn tell_sightings(&mut self) -> io::Result<()> {
        // Not before the server has said how far it is.
        if self.in_flight.is_some() || self.last_beat.is_none() {
            return Ok(());
        }
        let Some(batch) = self.core.spool.lock().after(self.sent) else { return Ok(()) };
        self.sent = batch.sequence;
        self.in_flight = Some(batch.sequence);
        self.say(up::Message::Sightings(batch))
    }

    fn beat(&mut self) -> io::Result<()> {
        self.last_beat = Some(Instant::now());
        let core = self.core;
        let (rules_digest, operator_key) = {
            let ledger = core.ledger.lock();
            (ledger.rules().fingerprint().to_vec(), ledger.operator_key())
        };
        let (filesystems, filesystems_left_out) = crate::filesystems::shape(&core.filesystems.load());
        let heartbeat = v1::Heartbeat {
            guard_level: core.guard_level().to_owned(),
            guarded: core.guarded().iter().map(|place| things::bytes_of(&place.mount.point)).collect(),
            watched: core.watched_roots().iter().map(|root| things::bytes_of(root)).collect(),
            first_sweep_complete: core.progress.first_complete.load(Ordering::Relaxed),
            files_known: core.inventory.len(),
            sweep_seen: core.progress.seen.load(Ordering::Relaxed),
            counters: core.guard.as_ref().map(|guard| guard.status().counters),
            rules_digest,
            filesystems,
            filesystems_left_out,
            running_denied: core.running.running_denied(),
            rivals: core.rivals.lock().clone(),
            guard_notice: core.guard_notice(),
            guard_deaths: core.warden.falls().0,
            guard_gap_ms: core.warden.falls().1,
            guard_mechanism: core.guard.as_ref().map(|guard| guard.status().mechanism).unwrap_or_default(),
            operator_key: operator_key.as_ref().map(brake::fingerprint).unwrap_or_default(),
        };
        self.say(up::Message::Heartbeat(heartbeat))
    }
}

fn read_in_background(mut stream: UnixStream) -> Receiver<io::Result<v1::Down>> {
    // Few: each may be a part of a large set of rules.
    let (sender, receiver) = crossbeam_channel::bounded(4);
    std::thread::spawn(move || {
        loop {
            let message = match frame::read(&mut stream) {
                Ok(Some(message)) => Ok(message),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let failed = message.is_err();
            if sender.send(message).is_err() || failed {
                return;
            }
        }
    });
    receiver
}
