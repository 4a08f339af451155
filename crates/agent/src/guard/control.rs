//! The thread that talks with the agent, so that the loop need not: who connects, rules in, reports out.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{RecvTimeoutError, Sender};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::mapping::Mapping;
use wire::link::v1::guard_report::Report;
use wire::link::{frame, things, v1};

use super::address::Address;
use super::bpf::{self, InKernel};
use super::marking::Marking;
use super::outbox::Outbox;
use super::shared::{Shared, Word, drain, ring};
use super::snapshot::Snapshot;
use super::{policy, protocol};
use crate::warden::{Said, Tether};

/// How often the counters are reported, when they have changed.
const EACH: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// How often one looks for something to report while nobody is asked about: the loop rings when it goes on.
const AT_REST: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// How long who connects may take to say what for.
const HANDSHAKE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// As above, for reports that the agent must get whole.
const PATIENCE: Duration = Duration::from_millis(100);

pub(super) struct Control<'g> {
    pub(super) address: Address,
    pub(super) listener: OwnedFd,
    pub(super) marking: Marking<'g>,
    pub(super) shared: &'g Shared,
    pub(super) outbox: &'g Outbox<'g>,
    pub(super) words: Sender<Word>,
    pub(super) agent: Option<OwnedFd>,
    /// The guarded filesystems are marked: since the first rules.
    pub(super) asks: bool,
    /// The kernel denies by itself.
    pub(super) in_kernel: Option<InKernel>,
    /// Rules were adopted.
    pub(super) is_in_force: bool,
    /// The warden may say something.
    pub(super) hears_warden: bool,
    /// What the agent was told of the counters.
    pub(super) told: Option<v1::GuardCounters>,
    /// Another guard has the seat: whoever still finds this one is to look again.
    pub(super) is_relieved: bool,
}

impl Control<'_> {
    /// Works until the loop has ended.
    pub(super) fn run(mut self) {
        let mut packet = vec![0; protocol::LARGEST];
        self.begin();
        while !self.shared.ended.load(Ordering::SeqCst) {
            self.shared.may_log_in.store(policy::may_log_in(), Ordering::Relaxed);
            let [connects, speaks, warden] = self.wait();
            drain(self.outbox.bell.as_fd());
            if warden {
                self.heed_warden();
            }
            if connects {
                self.welcome(&mut packet);
            }
            if speaks {
                self.listen(&mut packet);
            }
            let snapshot = self.shared.snapshot.load();
            if self.in_kernel.as_mut().is_some_and(|in_kernel| in_kernel.keep(&snapshot)) {
                self.ask();
            }
            self.report();
        }
        self.address.leave();
    }

    /// Puts in force what the guard before had in force, before anybody has said a word.
    fn begin(&mut self) {
        let Some(tether) = &self.shared.tether else { return };
        if tether.observes {
            // Also where no agent ever says a word.
            bpf::leave_no_pins();
        }
        if let [file, base @ ..] = tether.snapshots.as_slice() {
            let base = base.first().map(OwnedFd::try_clone);
            match base.transpose() {
                Ok(base) => self.adopt(file, base),
                Err(error) => tracing::error!(%error, "the rules of the guard before can't be taken over"),
            }
        }
    }

    /// Whether somebody connects, whether the agent says something, and whether the warden does.
    fn wait(&self) -> [bool; 3] {
        let agent = self.agent.as_ref().unwrap_or(&self.listener);
        let warden = self.shared.tether.as_ref().and_then(|tether| tether.channel.as_ref());
        let warden = warden.filter(|_| self.hears_warden).unwrap_or(&self.listener);
        let mut sources = [
            PollFd::new(&self.outbox.bell, PollFlags::IN),
            PollFd::new(&self.listener, PollFlags::IN),
            PollFd::new(agent, PollFlags::IN),
            PollFd::new(warden, PollFlags::IN),
        ];
        // Interrupted or not, what is ready is looked at below.
        // The kernel's level counts without anybody being asked.
        let rests = self.shared.rests() && self.in_kernel.is_none();
        let _ = poll(&mut sources, Some(if rests { &AT_REST } else { &EACH }));
        let ready = |n: usize| !sources[n].revents().is_empty();
        [ready(1), self.agent.is_some() && ready(2), self.hears_warden && ready(3)]
    }

    fn heed_warden(&mut self) {
        let Some(tether) = &self.shared.tether else { return };
        match tether.hear() {
            Said::Seated => {
                if let Err(error) = self.address.take() {
                    self.tell_loop(Word::Fail(error.into()));
                }
            }
            Said::Relieved => {
                self.is_relieved = true;
                self.tell_loop(Word::Relieved);
                // Denials go the same way until this guard ends.
                self.send(Report::Relieved(true));
            }
            Said::Else => {}
            Said::Gone => self.hears_warden = false,
        }
    }

    /// Takes in who connects; whoever was connected before is gone for us.
    fn welcome(&mut self, packet: &mut [u8]) {
        let Ok(socket) = sys::socket::accept(self.listener.as_fd()) else { return };
        if self.is_relieved
            || !matches!(sys::socket::peer_uid(socket.as_fd()), Ok(0))
            || rustix::io::ioctl_fionbio(&socket, true).is_err()
        {
            return;
        }
        let _ = poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&HANDSHAKE));
        match protocol::receive(socket.as_fd(), packet, &mut None) {
            Ok(Some(protocol::QUESTIONS)) => {
                self.tell_loop(Word::Agent(socket));
                self.shared.tether.iter().for_each(Tether::tell_attached);
            }
            Ok(Some(protocol::CONTROL)) => {
                self.agent = Some(socket);
                self.told = None;
                self.send(Report::Ready(self.ready()));
            }
            _ => {}
        }
    }

    fn listen(&mut self, packet: &mut [u8]) {
        let Some(agent) = &self.agent else { return };
        let mut files = [None, None];
        match protocol::receive_with(agent.as_fd(), packet, &mut files) {
            Ok(Some(protocol::SNAPSHOT)) => {
                if let [Some(file), base] = files {
                    self.adopt(&file, base);
                }
            }
            Ok(Some(protocol::MARKS)) => {
                let devices = match &self.in_kernel {
                    Some(in_kernel) if !self.asks => in_kernel.covered(),
                    _ => self.marking.devices(),
                };
                self.send(Report::Marks(v1::Marks { devices }));
            }
            Ok(Some(packet)) if packet.starts_with(protocol::MARK) => {
                let mark = frame::decode::<v1::Mark>(&packet[protocol::MARK.len()..]);
                if let (Ok(mark), [Some(file), _]) = (mark, files) {
                    self.mark(mark, file);
                }
            }
            Ok(Some(packet)) if packet.starts_with(protocol::EXPLAIN) => {
                if let Ok(wanted) = frame::decode(&packet[protocol::EXPLAIN.len()..]) {
                    let explained = self.shared.recent.about(&wanted);
                    self.send(Report::Explained(explained));
                }
            }
            Ok(Some(_)) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(None) | Err(_) => self.agent = None,
        }
    }

    /// Puts rules in force, and says so when no verdict by the old ones can come any more.
    fn adopt(&mut self, file: &OwnedFd, base: Option<OwnedFd>) {
        let before = self.shared.snapshot.load_full();
        let bytes = Mapping::of_sealed(file.as_fd());
        let snapshot = match bytes.and_then(|bytes| Snapshot::decode(&bytes, base, &before)) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::error!(%error, "the agent's rules can't be read; those before stay in force");
                return;
            }
        };
        let version = snapshot.version;
        self.shared.publish(snapshot);
        if self.observes() {
            bpf::leave_no_pins();
            return;
        }
        let mechanism = self.mechanism();
        let must_ask = match &mut self.in_kernel {
            Some(in_kernel) => in_kernel.adopt(&before, &self.shared.snapshot.load()),
            None => true,
        };
        if must_ask && !self.ask() {
            return;
        }
        if !std::mem::replace(&mut self.is_in_force, true) {
            if !self.in_kernel.as_ref().is_some_and(InKernel::pins) {
                bpf::leave_no_pins();
            }
            self.send(Report::Ready(self.ready()));
        } else if self.mechanism() != mechanism {
            self.send(Report::Ready(self.ready()));
        }
        if let Some(tether) = &self.shared.tether {
            let snapshot = self.shared.snapshot.load();
            let files: Vec<_> = std::iter::once(file.as_fd()).chain(snapshot.base()).collect();
            tether.tell_in_force(&files);
        }
        self.send(Report::AdoptedVersion(version));
    }

    /// Asks about the guarded filesystems from now on. Returns whether that is so; if not, all ends.
    fn ask(&mut self) -> bool {
        if !self.asks {
            if let Err(error) = self.marking.begin() {
                self.tell_loop(Word::Fail(error));
                return false;
            }
            self.asks = true;
        }
        true
    }

    /// Asks about one filesystem more, and says whether that is so.
    fn mark(&mut self, mark: v1::Mark, file: OwnedFd) {
        let is_covered = |in_kernel: &mut InKernel| in_kernel.cover(mark.device);
        if !self.asks && self.in_kernel.as_mut().is_some_and(is_covered) {
            self.send(Report::Marked(v1::Marked { device: mark.device, path: mark.path, error: None }));
            return;
        }
        let (words, shared) = (&self.words, self.shared);
        let forget = |device| {
            let (heeded, wait) = crossbeam_channel::bounded(0);
            // The loop is gone only when all ends.
            let _ = words.send(Word::Forget(device, heeded));
            ring(&shared.wake);
            while wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout)
                && !shared.ended.load(Ordering::SeqCst)
            {
                ring(&shared.wake);
            }
        };
        let error = self.marking.add(&file, mark.device, forget).err();
        // What is held open can't be unmounted.
        drop(file);
        self.send(Report::Marked(v1::Marked { device: mark.device, path: mark.path, error }));
    }

    /// Whether nothing is to be denied, whatever the rules say.
    fn observes(&self) -> bool {
        self.shared.tether.as_ref().is_some_and(|tether| tether.observes)
    }

    fn ready(&self) -> v1::GuardReady {
        v1::GuardReady {
            level: if self.is_in_force { "deny" } else { "observe" }.to_owned(),
            guarded: self.marking.paths().map(things::bytes_of).collect(),
            refuses_busy: self.in_kernel.is_some() || self.marking.group.can_refuse_busy(),
            mechanism: self.mechanism().to_owned(),
        }
    }

    /// By what is denied, for people.
    fn mechanism(&self) -> &'static str {
        match &self.in_kernel {
            Some(in_kernel) if self.is_in_force && !in_kernel.is_complete() => {
                "bpf (not all rules), fanotify"
            }
            Some(_) => "bpf",
            None => "fanotify",
        }
    }

    /// Sends what there is to report.
    fn report(&mut self) {
        self.outbox.settle();
        if let Some(in_kernel) = &mut self.in_kernel {
            in_kernel.count(&self.shared.counters);
        }
        if self.agent.is_none() {
            return;
        }
        while let Some(denial) = self.outbox.take() {
            if !self.send(Report::Denial(denial.clone())) {
                self.outbox.put_back(denial);
                return;
            }
        }
        let counters = self.shared.counters.message();
        if self.told.as_ref() != Some(&counters) {
            self.send(Report::Counters(counters.clone()));
            self.send(Report::Costs(self.shared.costs.message()));
            self.told = Some(counters);
        }
    }

    /// Sends to the agent; one that does not listen is dropped, and comes again when it lives.
    fn send(&mut self, report: Report) -> bool {
        let report = frame::body(&v1::GuardReport { report: Some(report) });
        let sent = self.agent.as_ref().is_some_and(|agent| send_patiently(agent, &report).is_ok());
        if !sent {
            self.agent = None;
        }
        sent
    }

    fn tell_loop(&self, word: Word) {
        // The loop is gone only when all ends.
        let _ = self.words.send(word);
        ring(&self.shared.wake);
    }
}

fn send_patiently(socket: &OwnedFd, packet: &[u8]) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match sys::socket::send(socket.as_fd(), packet, &[], true) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = deadline.saturating_duration_since(Instant::now());
                let room = poll(
                    &mut [PollFd::new(socket, PollFlags::OUT)],
                    Some(&Timespec::try_from(left).unwrap_or_default()),
                )?;
                anyhow::ensure!(room > 0, "the agent does not listen");
            }
            outcome => return outcome.map(drop).context("the agent is gone"),
        }
    }
}
