//! One process that the warden has started.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use sys::pidfd::PidFd;

use super::alarm::Alarm;
use super::groups;
use super::page::Page;
use super::sentry::Sentry;
use super::tether;

/// How long one may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    /// Readable when it has ended.
    pub(super) pidfd: PidFd,
    pub(super) page: Arc<Page>,
    /// A guard says there that it denies.
    pub(super) channel: Option<OwnedFd>,
    pub(super) since: Instant,
    /// Since when its rules are in force.
    pub(super) in_force: Option<Instant>,
    /// When it has said so last: each adoption is told.
    pub(super) adopted: Option<Instant>,
    /// When an agent came to it last.
    pub(super) attached: Option<Instant>,
    /// When it is ended, if it has not by itself.
    ends_by: Option<Instant>,
}

/// How one ended.
pub(super) struct Ended {
    /// None while a debugger has not let go of what is left of it.
    pub(super) status: Option<ExitStatus>,
    /// It was asked to.
    pub(super) was_asked: bool,
    /// It stood still, and was ended by the sentry.
    pub(super) was_killed: bool,
}

/// A role of this program, and what it is started with.
pub(super) struct Role<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [OsString],
    pub(super) flags: &'a [&'a str],
    /// A guard, which says when it denies, and gets these rules to begin with.
    pub(super) guard: Option<&'a [OwnedFd]>,
}

impl Ended {
    /// In words.
    pub(super) fn why(&self) -> String {
        match self.status {
            _ if self.was_killed => "it stood still".to_owned(),
            Some(status) => status.to_string(),
            None => "in a debugger".to_owned(),
        }
    }
}

impl Child {
    /// Starts it, and has it looked after. Only ever called by the main thread: to the kernel, that is the parent
    /// with which it ends.
    pub(super) fn start(role: &Role<'_>, sentry: &Sentry) -> io::Result<Self> {
        let page = Arc::new(Page::new()?);
        let pair = role.guard.map(|_| sys::socket::pair(sys::socket::Kind::Packets)).transpose()?;
        let (ours, theirs) = pair.unzip();
        let waker = role.guard.map(|_| crate::guard::bell().map(Arc::new)).transpose()?;
        let alarm = role.guard.map(|_| Alarm::new().map(Arc::new)).transpose()?;
        let mut given: Vec<(&str, BorrowedFd<'_>)> = vec![("--page", page.as_fd())];
        given.extend(theirs.iter().map(|channel| ("--channel", channel.as_fd())));
        given.extend(waker.iter().map(|waker| ("--waker", waker.as_fd())));
        given.extend(alarm.iter().flat_map(|alarm| alarm.parts()).map(|part| ("--alarm", part)));
        given.extend(role.guard.unwrap_or_default().iter().map(|file| ("--snapshot", file.as_fd())));

        let mut command = Command::new(role.program);
        command.args(role.arguments).args(role.flags).stdin(process::Stdio::null());
        // A Ctrl-C on the terminal is for whoever started the warden, who ends all in order.
        command.process_group(0).args(["--parent".to_owned(), process::id().to_string()]);
        for (flag, file) in &given {
            command.args([(*flag).to_owned(), sys::inherit::give(*file)?.to_string()]);
        }
        let started = command.spawn();
        given.iter().try_for_each(|(_, file)| sys::inherit::keep(*file))?;
        let process = started?;
        let pid = Pid::from_child(&process).as_raw_pid();
        // Not waited for yet, so the id is its own.
        let pidfd = sys::pidfd::open(pid)?;
        sentry.watch(pid, sys::pidfd::open(pid)?, page.clone(), waker.zip(alarm));
        let since = Instant::now();
        let channel = ours;
        Ok(Self {
            process,
            pidfd,
            page,
            channel,
            since,
            in_force: None,
            adopted: None,
            attached: None,
            ends_by: None,
        })
    }

    pub(super) fn pid(&self) -> i32 {
        Pid::from_child(&self.process).as_raw_pid()
    }

    /// Takes in what a guard has said. Returns the files of the rules that it has put in force since, if it has.
    pub(super) fn hear(&mut self, now: Instant) -> Option<Vec<OwnedFd>> {
        let channel = self.channel.as_ref()?;
        let mut slots: [Option<OwnedFd>; sys::socket::MAX_FILES] = Default::default();
        let mut snapshots = None;
        while events(channel.as_fd()).contains(PollFlags::IN) {
            let mut packet = [0; 16];
            let received = sys::socket::receive(channel.as_fd(), &mut packet, &mut slots);
            match received.map(|received| &packet[..received.length]) {
                Ok(tether::IN_FORCE) => {
                    snapshots = Some(slots.iter_mut().filter_map(Option::take).collect());
                    self.in_force.get_or_insert(now);
                    self.adopted = Some(now);
                }
                Ok(tether::ATTACHED) => self.attached = Some(now),
                // It has ended, or is none of ours; the pidfd tells.
                _ => break,
            }
        }
        snapshots
    }

    /// Tells a guard something.
    pub(super) fn say(&self, word: &[u8]) {
        if let Some(channel) = &self.channel {
            // One that is gone or does not listen is found by its pulse.
            let _ = sys::socket::send(channel.as_fd(), word, &[], true);
        }
    }

    /// Where a guard may say something. Closed at the other end, it would wake us until the child was waited for.
    pub(super) fn open_channel(&self) -> Option<&OwnedFd> {
        self.channel.as_ref().filter(|channel| !events(channel.as_fd()).contains(PollFlags::HUP))
    }

    /// Asks it to end.
    pub(super) fn ask_to_end(&mut self, now: Instant) {
        if self.ends_by.is_none() {
            let _ = rustix::process::kill_process(Pid::from_child(&self.process), Signal::TERM);
            self.ends_by = Some(now + PATIENCE);
        }
    }

    /// When it is to be looked at again, if it is known.
    pub(super) fn due(&self) -> Option<Instant> {
        self.ends_by
    }

    /// Notices that it has ended.
    pub(super) fn tend(&mut self, sentry: &Sentry, now: Instant) -> Option<Ended> {
        if self.ends_by.is_some_and(|by| now >= by) {
            let _ = self.pidfd.kill();
            groups::thaw(self.pid());
            self.ends_by = Some(now + PATIENCE);
        }
        if !self.pidfd.has_ended() && !sys::scheduling::is_over(self.pid()) {
            return None;
        }
        // In this order: the sentry knows it by its id, which is free once it was waited for.
        let was_killed = sentry.forget(self.pid());
        Some(Ended {
            status: self.process.try_wait().unwrap_or_default(),
            was_asked: self.ends_by.is_some(),
            was_killed,
        })
    }
}

/// What debuggers have not let go of: waited for when they do.
#[derive(Debug, Default)]
pub(super) struct Unburied(Vec<process::Child>);

impl Unburied {
    /// Takes in one that has ended.
    pub(super) fn put(&mut self, child: Child) {
        self.0.push(child.process);
        self.tend();
    }

    /// Waits for none.
    pub(super) fn tend(&mut self) {
        self.0.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}

fn events(socket: BorrowedFd<'_>) -> PollFlags {
    let mut sources = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    let _ = poll(&mut sources, Some(&Timespec::default()));
    sources[0].revents()
}
