//! The loop between the kernel and the desk. It waits for nothing but events.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use model::{Clock, Kinds};
use rustix::event::{Timespec, epoll};
use sys::fanotify::EventBuffer;
use wire::link::{frame, v1};

use super::desk::{Desk, Moment};
use super::protocol;
use super::shared::{Shared, Word, drain, ring};

const QUESTION: u64 = 0;
const WORD: u64 = 1;
const AGENT: u64 = 2;
const END: u64 = 3;

/// As many questions as are taken at a time: each takes a descriptor.
const QUESTIONS_AT_A_TIME: usize = 4096;
/// Replies of the agent that are taken before questions get their turn again.
const REPLIES_AT_A_TIME: usize = 64;
/// Reads that may fail one after the other as they should not: then the mistake is ours, and nobody is to wait for it.
const MOST_IN_VAIN: u32 = 1000;
/// How often overdue leases are looked for while there are late openers.
const TICK: Duration = Duration::from_secs(1);
/// Nobody was asked about for so long when the loop begins to rest.
const QUIET: Duration = Duration::from_secs(2);
/// When it is told to end, one whose exec began just before may still be about to ask.
const STRAGGLERS: Duration = Duration::from_millis(20);
/// And no longer does it wait for hashes of files that run already.
const LONGEST_END: Duration = Duration::from_secs(1);

pub(super) struct Answering<'g> {
    desk: Desk<'g>,
    shared: &'g Shared,
    clock: &'g dyn Clock,
    epoll: OwnedFd,
    words: Receiver<Word>,
    agent: Option<OwnedFd>,
    end: BorrowedFd<'g>,
    /// Rung when it rests no longer.
    reporter: &'g OwnedFd,
    /// When something happened last.
    stirred: Instant,
    /// Since when it has been told to end.
    ends: Option<Instant>,
    /// The agent's socket is full, and is waited for.
    blocked: bool,
    /// The agent is asked nothing more.
    has_let_go: bool,
    events: EventBuffer,
    /// Reads that have failed one after the other as they should not.
    in_vain: u32,
    packet: Vec<u8>,
}

impl<'g> Answering<'g> {
    /// # Errors
    /// Those of making the set of what is waited for.
    pub(super) fn new(
        desk: Desk<'g>,
        shared: &'g Shared,
        clock: &'g dyn Clock,
        words: Receiver<Word>,
        end: BorrowedFd<'g>,
        reporter: &'g OwnedFd,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let watch = |source: BorrowedFd<'_>, name| {
            epoll::add(&epoll, source, epoll::EventData::new_u64(name), epoll::EventFlags::IN)
        };
        watch(desk.group.as_fd(), QUESTION)?;
        watch(shared.wake.as_fd(), WORD)?;
        watch(end, END)?;
        Ok(Self {
            desk,
            shared,
            clock,
            epoll,
            words,
            agent: None,
            end,
            reporter,
            stirred: Instant::now(),
            ends: None,
            blocked: false,
            has_let_go: false,
            events: EventBuffer::new(QUESTIONS_AT_A_TIME),
            in_vain: 0,
            packet: vec![0; protocol::LARGEST],
        })
    }

    /// Answers until it is told to end.
    ///
    /// # Errors
    /// When questions can no longer be taken, or no rule can be put in force. The caller closes the group, and
    /// the kernel permits all that waits.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let nothing = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let mut ready = [nothing; 8];
        loop {
            // From here on, all verdicts of the pass before have reached the kernel; see `Shared::publish`.
            self.shared.passes.fetch_add(1, Ordering::SeqCst);
            self.shared.beat();
            let count = match epoll::wait(&self.epoll, &mut ready[..], self.timeout().as_ref()) {
                Err(rustix::io::Errno::INTR) => 0,
                outcome => outcome?,
            };
            let roused = count > 0 && self.shared.rests();
            if roused {
                self.shared.go_on(self.desk.group.as_fd());
            }
            let snapshot = self.shared.snapshot.load();
            let time = snapshot.time(self.clock.now());
            let moment = Moment { instant: Instant::now(), time, snapshot };
            for event in &ready[..count] {
                match event.data.u64() {
                    QUESTION => self.take_questions(&moment)?,
                    WORD => self.take_words(&moment)?,
                    AGENT => self.take_replies(&moment),
                    _ => self.begin_end(&moment)?,
                }
            }
            if !self.desk.questions.is_empty() {
                self.desk.retry(&moment);
                self.desk.answer_late(&moment);
                self.desk.give_back_late(&moment);
                self.desk.forget_over(&moment);
                self.send_questions(moment.snapshot.kinds());
            }
            self.let_go();
            self.desk.counters.waiting.set(self.desk.questions.waiting_count());
            if self.is_over(&moment) {
                return Ok(());
            }
            if roused {
                ring(self.reporter);
            }
            self.rest(count > 0, &moment);
        }
    }

    /// Rests when nobody has asked for a while.
    fn rest(&mut self, stirred: bool, moment: &Moment) {
        if stirred || !self.desk.questions.is_empty() || self.ends.is_some() {
            self.stirred = moment.instant;
        } else if moment.instant >= self.stirred + QUIET {
            self.shared.rest(self.desk.group.as_fd());
        }
    }

    /// Is asked nothing more from now on, and answers who waits.
    fn begin_end(&mut self, moment: &Moment) -> io::Result<()> {
        epoll::delete(&self.epoll, self.end)?;
        self.ends = Some(moment.instant);
        self.desk.group.unmark_all()
    }

    /// Whether it has been told to end and nobody waits for it any more.
    fn is_over(&self, moment: &Moment) -> bool {
        let Some(since) = self.ends else { return false };
        let questions = &self.desk.questions;
        // What was permitted by the timer is stopped only if its hash comes, and that needs an agent.
        let is_done =
            if self.agent.is_some() { questions.is_empty() } else { questions.waiting_count() == 0 };
        let passed = moment.instant.saturating_duration_since(since);
        passed >= LONGEST_END || (passed >= STRAGGLERS && is_done)
    }

    /// Another guard is in force, and has the agent from now on. What was asked before is asked of nobody else, so it
    /// still goes to the agent, which replies here.
    fn relieve(&mut self, moment: &Moment) -> io::Result<()> {
        self.take_questions(moment)?;
        self.desk.relieved = Some(moment.instant);
        Ok(())
    }

    /// Lets the agent go to the guard that has relieved this one, once it was asked all that nobody else asks.
    fn let_go(&mut self) {
        let Some(agent) = &self.agent else { return };
        if self.desk.relieved.is_none() || self.has_let_go || !self.desk.questions.is_all_sent() {
            return;
        }
        self.has_let_go = true;
        // It fails only when the agent is gone.
        let _ = rustix::net::shutdown(agent, rustix::net::Shutdown::Write);
        let _ = epoll::modify(&self.epoll, agent, epoll::EventData::new_u64(AGENT), epoll::EventFlags::IN);
        self.blocked = false;
    }

    fn timeout(&self) -> Option<Timespec> {
        let left = (!self.desk.questions.is_empty()).then(|| {
            let due = self.desk.questions.next_due();
            due.map_or(TICK, |due| due.saturating_duration_since(Instant::now()).min(TICK))
        });
        let left = left.into_iter().chain(self.ends.map(|_| STRAGGLERS)).min();
        Timespec::try_from(self.shared.wait(left)?).ok()
    }

    fn take_questions(&mut self, moment: &Moment) -> io::Result<()> {
        let group = self.desk.group;
        let unopened = group.unopened();
        match group.read(&mut self.events) {
            Ok(questions) => {
                self.in_vain = 0;
                questions.for_each(|question| {
                    self.shared.beat();
                    self.desk.ask(question, moment);
                });
            }
            // Some filesystem may say so of its own accord: the kernel has denied that one, the others still wait.
            Err(error) if error.raw_os_error().is_some() && self.in_vain < MOST_IN_VAIN => {
                self.in_vain += 1;
                self.desk.counters.failed.count();
            }
            Err(error) => return Err(error),
        }
        // The kernel has denied them: no descriptor was left, or their filesystem does not open them.
        self.desk.counters.failed.add(group.unopened() - unopened);
        Ok(())
    }

    fn take_words(&mut self, moment: &Moment) -> anyhow::Result<()> {
        drain(self.shared.wake.as_fd());
        while let Ok(word) = self.words.try_recv() {
            match word {
                Word::Agent(socket) => {
                    self.lose_agent();
                    let data = epoll::EventData::new_u64(AGENT);
                    epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN)?;
                    self.desk.agent = Some(sys::socket::peer_pid(socket.as_fd()).unwrap_or(0));
                    self.desk.policy.attached();
                    self.agent = Some(socket);
                }
                Word::Relieved => self.relieve(moment)?,
                Word::Forget(device, _heeded) => self.desk.known.forget_device(device),
                Word::Fail(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take_replies(&mut self, moment: &Moment) {
        for _ in 0..REPLIES_AT_A_TIME {
            let Some(agent) = &self.agent else { return };
            match protocol::receive(agent.as_fd(), &mut self.packet, &mut None) {
                Ok(Some(packet)) => {
                    // What can't be read is the reply to nothing; the timer answers.
                    if let Ok(reply) = frame::decode::<v1::Hashed>(packet) {
                        self.desk.hashed(&reply, moment);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => self.lose_agent(),
            }
        }
    }

    /// Passes on which files are to be hashed, as far as the agent takes them.
    fn send_questions(&mut self, needed: Kinds) {
        let Some(agent) = self.agent.as_ref().filter(|_| !self.has_let_go) else { return };
        let mut blocked = false;
        while let Some(id) = self.desk.questions.cancelled() {
            let cancelled = frame::body(&v1::Question { id, cancelled: true, ..Default::default() });
            if sys::socket::send(agent.as_fd(), &cancelled, &[], true).is_err() {
                // Told in the next pass, or the socket is found to be closed below.
                break;
            }
            self.desk.questions.mark_cancelled(id);
        }
        while let Some((id, waiting)) = self.desk.questions.unsent() {
            let opener = &waiting.opener;
            // Rules that came meanwhile may have asked for other kinds, and again might.
            let Kinds { sha1, md5 } = if self.desk.questions.is_repeated(id) { Kinds::ALL } else { needed };
            let question = frame::body(&v1::Question {
                id,
                pid: opener.pid,
                user: waiting.user,
                sha1,
                md5,
                opened: !opener.executes,
                cancelled: false,
            });
            match sys::socket::send(agent.as_fd(), &question, &[opener.file.as_fd()], true) {
                Ok(_) => self.desk.questions.mark_sent(id),
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock
                        || error.raw_os_error() == Some(ETOOMANYREFS) =>
                {
                    blocked = true;
                    break;
                }
                Err(_) => return self.lose_agent(),
            }
        }
        if blocked != self.blocked {
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, blocked);
            // It fails only when memory is short, and then the next pass tries again.
            let _ = epoll::modify(&self.epoll, agent, epoll::EventData::new_u64(AGENT), flags);
            self.blocked = blocked;
        }
    }

    fn lose_agent(&mut self) {
        if self.agent.take().is_some() {
            self.blocked = false;
            self.desk.forget_agent();
        }
    }
}

const ETOOMANYREFS: i32 = rustix::io::Errno::TOOMANYREFS.raw_os_error();
