//! Rules in, reports out, as the agent sees it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

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
use crate::guard::protocol;

#[derive(Debug)]
pub(super) struct Control {
    path: PathBuf,
    events: Sender<Event>,
    state: Mutex<State>,
    changed: Condvar,
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
    /// The last rules, as they are sent.
    rules: Option<(u64, Arc<OwnedFd>)>,
    given: u64,
    /// What this guard has confirmed.
    adopted: u64,
}

pub(super) fn start(control: &Arc<Control>) {
    let control = Arc::clone(control);
    std::thread::spawn(move || control.run());
}

impl Control {
    pub(super) fn new(path: PathBuf, events: Sender<Event>) -> Self {
        Self { path, events, state: Mutex::default(), changed: Condvar::new(), explaining: Mutex::new(()) }
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

    /// Tells the agent, if it listens.
    pub(super) fn tell(&self, event: Event) {
        let _ = self.events.try_send(event);
    }

    /// Makes rules the last ones, and sends them if a guard is there. Returns their version.
    pub(super) fn give(&self, encode: impl FnOnce(u64) -> Vec<u8>) -> u64 {
        let mut state = self.state.lock();
        state.given += 1;
        let version = state.given;
        match sys::socket::memfd_sealed("quell-rules", &encode(version)) {
            Ok(file) => {
                state.rules = Some((version, Arc::new(file)));
                state.send_rules();
            }
            Err(error) => tracing::error!(%error, "no memory for the guard's rules"),
        }
        version
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
        }
    }

    fn run(&self) {
        let mut pause = Pause::new();
        let mut packet = vec![0; protocol::LARGEST];
        while !self.is_closed() {
            let Ok(socket) = connect(&self.path, protocol::CONTROL) else {
                pause.sleep();
                continue;
            };
            pause.reset();
            let socket = Arc::new(socket);
            self.attached(&socket);
            while let Ok(Some(packet)) = protocol::receive(socket.as_fd(), &mut packet, &mut None) {
                if let Ok(v1::GuardReport { report: Some(report) }) = frame::decode(packet) {
                    self.hear(report);
                }
            }
            self.detached();
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
        let was_ready = state.ready.take().is_some();
        drop(state);
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
            Report::Counters(counters) => self.state.lock().counters = counters,
            Report::Costs(costs) => self.state.lock().costs = costs,
            Report::Explained(explained) => {
                self.state.lock().explained = Some(explained);
                self.changed.notify_all();
            }
            Report::Denial(denial) => {
                if let Some(meeting) = meeting(denial) {
                    self.tell(Event::Met(meeting));
                }
            }
        }
    }
}

impl State {
    fn send_rules(&self) {
        if let (Some(socket), Some((_, file))) = (&self.control, &self.rules) {
            // It fails only when the guard is gone; the next one gets them first of all.
            let _ = sys::socket::send(socket.as_fd(), protocol::SNAPSHOT, &[file.as_fd()], false);
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
        spared: denial.spared,
        times: denial.times,
    })
}
