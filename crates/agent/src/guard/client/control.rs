//! Rules in, reports out, as the agent sees it.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use model::rule::Effect;
use model::{Names, RuleId};
use parking_lot::{Condvar, Mutex};
use rustix::net::Shutdown;
use wire::link::v1::guard_report::Report;
use wire::link::v1::{Costs, Explain, Explained, GuardCounters, GuardReady};
use wire::link::{frame, things, v1};

use super::socket::{Pause, connect};
use super::{Event, GuardStatus, Level, Meeting, NotInForce};
use crate::guard::{protocol, ring};
use crate::ruleset::Packed;

#[derive(Debug)]
pub(super) struct Control {
    path: PathBuf,
    events: Sender<Event>,
    state: Mutex<State>,
    changed: Condvar,
    /// Rung when a guard has rules, or is gone.
    bell: OnceLock<Arc<OwnedFd>>,
    explaining: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    questions: Option<Arc<OwnedFd>>,
    control: Option<Arc<OwnedFd>>,
    ready: Option<GuardReady>,
    counters: GuardCounters,
    costs: Costs,
    /// The answer to the last question about answers.
    explained: Option<Explained>,
    /// The last rules, as they are sent: the snapshot, and the base that goes with it.
    rules: Option<(OwnedFd, Packed)>,
    given: u64,
    /// What this guard has confirmed.
    adopted: u64,
    /// The last that it said of its marks.
    marks: Option<BTreeSet<u64>>,
    /// The last that it said of one filesystem.
    marked: Option<(u64, Result<(), String>)>,
}

pub(super) fn start(control: &Arc<Control>) {
    let control = Arc::clone(control);
    std::thread::spawn(move || control.run());
}

impl Control {
    pub(super) fn new(path: PathBuf, events: Sender<Event>) -> Self {
        Self {
            path,
            events,
            state: Mutex::default(),
            changed: Condvar::new(),
            bell: OnceLock::new(),
            explaining: Mutex::new(()),
        }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Lets go of the guard; the threads end.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for socket in state.questions.iter().chain(&state.control) {
            // It fails only when the other end has closed already.
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
        }
    }

    /// Knows the connection on which questions come, so that it can be ended.
    pub(super) fn hold_questions(&self, socket: Option<&Arc<OwnedFd>>) {
        let mut state = self.state.lock();
        state.questions = socket.cloned();
        if let Some(socket) = socket.filter(|_| state.closed) {
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
        }
    }

    /// Rings the bell whenever a guard has rules, or there is none any more, from now on.
    pub(super) fn ring_when_ready(&self, bell: Arc<OwnedFd>) {
        // A second one would ring no bell; there is one follower.
        let _ = self.bell.set(bell);
    }

    /// Tells the agent, if it listens.
    pub(super) fn tell(&self, event: Event) {
        if let (Event::Ready | Event::Lost, Some(bell)) = (&event, self.bell.get()) {
            ring(bell);
        }
        let _ = self.events.try_send(event);
    }

    /// Makes rules the last ones, and sends them if a guard is there. Returns their version.
    pub(super) fn give(&self, base: &Packed, encode: impl FnOnce(u64) -> Vec<u8>) -> u64 {
        let mut state = self.state.lock();
        state.given += 1;
        let version = state.given;
        match sys::socket::memfd_sealed("quell-rules", &encode(version)) {
            Ok(file) => {
                state.rules = Some((file, base.clone()));
                state.send_rules();
            }
            Err(error) => tracing::error!(%error, "no memory for the guard's rules"),
        }
        version
    }

    /// Asks the guard, and waits for its reply: `take` takes it out of what is known. `None` when there is none.
    pub(super) fn ask<T>(
        &self,
        packet: &[u8],
        files: &[BorrowedFd<'_>],
        patience: Duration,
        take: impl Fn(&mut Heard<'_>) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock();
        let _ = take(&mut state.heard());
        let socket = Arc::clone(state.control.as_ref()?);
        sys::socket::send(socket.as_fd(), packet, files, false).ok()?;
        loop {
            let reply = take(&mut state.heard());
            if reply.is_some() || !state.control.as_ref().is_some_and(|now| Arc::ptr_eq(now, &socket)) {
                return reply;
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return take(&mut state.heard());
            }
        }
    }

    /// Waits until rules are in force.
    pub(super) fn wait_for(&self, version: u64, deadline: Instant) -> Result<(), NotInForce> {
        let mut state = self.state.lock();
        while state.adopted < version {
            if self.changed.wait_until(&mut state, deadline).timed_out() && state.adopted < version {
                let absent = state.control.is_none();
                return Err(if absent { NotInForce::Absent } else { NotInForce::Unconfirmed });
            }
        }
        Ok(())
    }

    /// Whether the last rules are in force.
    pub(super) fn has_confirmed(&self) -> bool {
        let state = self.state.lock();
        state.adopted >= state.given
    }

    /// Asks the guard, one question at a time.
    pub(super) fn explain(&self, wanted: &Explain, deadline: Instant) -> Option<Explained> {
        let _alone = self.explaining.lock();
        let mut state = self.state.lock();
        state.explained = None;
        let packet = [protocol::EXPLAIN, &frame::body(wanted)].concat();
        sys::socket::send(state.control.as_ref()?.as_fd(), &packet, &[], true).ok()?;
        while state.explained.is_none() {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return None;
            }
        }
        state.explained.take()
    }

    pub(super) fn status(&self) -> GuardStatus {
        let state = self.state.lock();
        let ready = state.ready.clone().unwrap_or_default();
        GuardStatus {
            level: if ready.level == "deny" { Level::Deny } else { Level::Absent },
            guarded: ready.guarded.into_iter().map(things::path_of).collect(),
            counters: state.counters.clone(),
            costs: state.costs.clone(),
            refuses_busy: ready.refuses_busy,
            mechanism: ready.mechanism,
            standing_still: 0,
        }
    }

    /// The process at the other end.
    pub(super) fn peer(&self) -> Option<i32> {
        let socket = self.state.lock().control.clone()?;
        rustix::net::sockopt::socket_peercred(socket).ok().map(|peer| peer.pid.as_raw_pid())
    }

    fn run(self: &Arc<Self>) {
        let mut pause = Pause::new();
        let mut packet = vec![0; protocol::LARGEST];
        while !self.is_closed() {
            let Ok(socket) = connect(&self.path, protocol::CONTROL) else {
                self.lost();
                pause.sleep();
                continue;
            };
            pause.reset();
            let socket = Arc::new(socket);
            self.attached(&socket);
            let is_relieved = self.listen(&socket, &mut packet);
            self.detached();
            if is_relieved {
                let control = Arc::clone(self);
                std::thread::spawn(move || control.see_off(&socket));
            } else {
                self.lost();
            }
        }
    }

    /// Hears reports until the guard ends, or another relieves it; whether that is so.
    fn listen(&self, socket: &OwnedFd, packet: &mut [u8]) -> bool {
        while let Ok(Some(packet)) = protocol::receive(socket.as_fd(), packet, &mut None) {
            match frame::decode(packet) {
                Ok(v1::GuardReport { report: Some(Report::Relieved(_)) }) => return true,
                Ok(v1::GuardReport { report: Some(report) }) => self.hear(report),
                _ => {}
            }
        }
        false
    }

    /// Hears what a guard that was relieved has still denied, until it ends.
    fn see_off(&self, socket: &OwnedFd) {
        let mut packet = vec![0; protocol::LARGEST];
        while let Ok(Some(packet)) = protocol::receive(socket.as_fd(), &mut packet, &mut None) {
            if let Ok(v1::GuardReport { report: Some(denial @ Report::Denial(_)) }) = frame::decode(packet) {
                self.hear(denial);
            }
        }
    }

    fn attached(&self, socket: &Arc<OwnedFd>) {
        let mut state = self.state.lock();
        state.control = Some(Arc::clone(socket));
        state.send_rules();
        if state.closed {
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
        }
    }

    fn detached(&self) {
        let mut state = self.state.lock();
        state.control = None;
        state.adopted = 0;
        drop(state);
        self.changed.notify_all();
    }

    /// There is no guard, unless the next one is found at once.
    fn lost(&self) {
        let was_ready = self.state.lock().ready.take().is_some();
        if was_ready {
            self.tell(Event::Lost);
        }
    }

    fn hear(&self, report: Report) {
        match report {
            Report::Ready(ready) => {
                let mut state = self.state.lock();
                let has_rules_coming = state.rules.is_some();
                let first = state.ready.replace(ready).is_none();
                drop(state);
                if first && !has_rules_coming {
                    self.tell(Event::Ready);
                }
            }
            Report::AdoptedVersion(version) => {
                let mut state = self.state.lock();
                let first = state.adopted == 0;
                state.adopted = version;
                drop(state);
                self.changed.notify_all();
                if first {
                    self.tell(Event::Ready);
                }
            }
            Report::Marks(marks) => {
                self.state.lock().marks = Some(marks.devices.into_iter().collect());
                self.changed.notify_all();
            }
            Report::Marked(marked) => {
                let outcome = marked.error.map_or(Ok(()), Err);
                self.state.lock().marked = Some((marked.device, outcome));
                self.changed.notify_all();
            }
            Report::Counters(counters) => self.state.lock().counters = counters,
            Report::Costs(costs) => self.state.lock().costs = costs,
            Report::Explained(explained) => {
                self.state.lock().explained = Some(explained);
                self.changed.notify_all();
            }
            Report::Relieved(_) => {}
            Report::Denial(denial) => {
                if let Some(meeting) = meeting(denial) {
                    self.tell(Event::Met(meeting));
                }
            }
        }
    }
}

/// What the guard has said in reply.
pub(super) struct Heard<'s> {
    pub(super) marks: &'s mut Option<BTreeSet<u64>>,
    pub(super) marked: &'s mut Option<(u64, Result<(), String>)>,
}

impl State {
    fn heard(&mut self) -> Heard<'_> {
        Heard { marks: &mut self.marks, marked: &mut self.marked }
    }

    fn send_rules(&self) {
        if let (Some(socket), Some((file, base))) = (&self.control, &self.rules) {
            let files = [Some(file.as_fd()), base.file()].into_iter().flatten().collect::<Vec<_>>();
            // It fails only when the guard is gone; the next one gets them first of all.
            let _ = sys::socket::send(socket.as_fd(), protocol::SNAPSHOT, &files, false);
        }
    }
}

fn meeting(denial: v1::Denial) -> Option<Meeting> {
    Some(Meeting {
        names: Names::try_from(denial.digests.as_ref()?).ok()?,
        size: denial.size,
        path: things::path_of(denial.path),
        pid: denial.pid,
        user: denial.user,
        rule: RuleId(denial.rule),
        effect: Effect::from_word(&denial.effect)?,
        late: denial.late,
        ran_at: denial.ran_at,
        spared: denial.spared,
        bypassed: denial.bypassed,
        times: denial.times,
    })
}
