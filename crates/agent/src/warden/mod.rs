//! The parent of guard and agent. It holds no permission group and answers nobody's exec, so that it can end a
//! guard that does not answer: the kernel then permits all that waits.
//!
//! - The [`sentry`] feels both children's pulse on a shared [`page`] and ends who stands still. It also looks at
//!   the [lever](crate::lever).
//! - The main thread, here, starts who is to run, with pauses where it goes on ending ([`crashes`]), and answers
//!   root's questions ([`ask`]).
//! - Rules that a guard has put in force are kept, as the files they came in, and given to the next one: it denies
//!   again before the agent has said a word.
//! - Told by SIGHUP that the program on the disk is another, it starts both anew ([`handover`]). It goes on itself as
//!   the program that it is.
//! - Who starts processes may have to wait for the guard, so the main thread may stand still for as long as the
//!   sentry lets a guard stand still.

mod alarm;
mod ask;
mod child;
mod crashes;
mod groups;
mod handover;
mod notices;
mod page;
mod pulse;
mod relieving;
mod seat;
mod sentry;
mod tether;

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use sys::socket::Kind;

pub use ask::{Request, Silent, Status, ask};
pub(crate) use crashes::NOTICE as CRASHED;
pub use page::{Page, Standing};
pub(crate) use tether::Said;
pub use tether::{Numbers, Tether};

use crate::guard::drain;
use crate::lever::Lever;
use child::{Child, Ended, Role, Unburied};
use crashes::Crashes;
use groups::Groups;
use handover::Handover;
use notices::Notices;
use seat::Seat;
use sentry::Sentry;

/// What a warden is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// This program, as it lies on the disk: a newer one there is what the next child runs.
    pub program: PathBuf,
    /// The guard's verb and flags; none where nothing is guarded.
    pub guard: Option<Vec<OsString>>,
    /// The agent's.
    pub work: Vec<OsString>,
    /// Where root may ask.
    pub data_dir: PathBuf,
    /// The process with which it ends.
    pub parent: i32,
    /// What holds the guard back.
    pub lever: Lever,
}

/// What is wanted of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Denied files do not run.
    Deny = 1,
    /// It holds no marks: it has crashed too often.
    Observe,
    /// There is none: root has pulled the lever.
    Released,
    /// Nothing is guarded.
    None,
}

impl Level {
    pub(crate) const ALL: [Self; 4] = [Self::Deny, Self::Observe, Self::Released, Self::None];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Observe => "observe",
            Self::Released => "released",
            Self::None => "none",
        }
    }
}

/// Also without an event somebody looks after the children now and then.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it can't even begin.
pub fn run(config: Config) -> anyhow::Result<()> {
    sys::process::die_with_parent(config.parent).context("whoever started this warden has gone")?;
    sys::process::exempt_from_oom_killer();
    let end = crate::signals::told_of(&[SIGTERM, SIGINT])?;
    let hangup = crate::signals::told_of(&[SIGHUP])?;
    let socket = config.data_dir.join(ask::SOCKET);
    let listener = sys::socket::listen(&socket, Kind::Packets)
        .with_context(|| format!("cannot listen at {}; is another warden there?", socket.display()))?;
    let sentry = Sentry::post(config.lever.clone())?;
    let mut warden = Warden {
        groups: Groups::enter(),
        sentry,
        guard: Seat::default(),
        work: Seat::default(),
        handover: None,
        learns_until: None,
        renews_at: None,
        relief: None,
        leaving: Vec::new(),
        unburied: Unburied::default(),
        snapshots: Vec::new(),
        crashes: Crashes::default(),
        level: None,
        standing: Standing::default(),
        fell: None,
        config,
    };
    let mut notices = Notices::begin(Instant::now());
    sys::process::lock_memory().context("memory cannot be locked")?;
    loop {
        let now = Instant::now();
        let due = warden.tend(now);
        let due = due.min(notices.tell(&warden.status(), warden.sentry.looks(), now));
        notices.tell_of_reload(warden.handover.is_some() || warden.renews_at.is_some());
        let woken = warden.wait(due, [&end, &listener, &hangup]);
        if woken[0] {
            break;
        }
        if woken[2] {
            crate::signals::drain(&hangup);
            warden.renew(Instant::now());
        }
        if woken[1]
            && let Some((socket, request)) = ask::hear(&listener)
        {
            warden.sentry.look_at_lever();
            if request == Request::Engage {
                warden.crashes.forget();
            }
            warden.tend(Instant::now());
            ask::answer(&socket, &warden.status());
        }
    }
    warden.end();
    // It fails only when somebody has removed it.
    let _ = std::fs::remove_file(socket);
    Ok(())
}

struct Warden {
    config: Config,
    groups: Groups,
    sentry: Arc<Sentry>,
    guard: Seat,
    work: Seat,
    /// The guard is being relieved by another.
    handover: Option<Handover>,
    /// The guard in the seat has relieved another and has still to learn what is run.
    learns_until: Option<Instant>,
    /// It was told meanwhile to start anew.
    renews_at: Option<Instant>,
    /// The one that is to relieve it, and has not the seat yet.
    relief: Option<Child>,
    /// Guards without a seat, that end or soon shall.
    leaving: Vec<Child>,
    unburied: Unburied,
    /// The files of the rules that were last in force.
    snapshots: Vec<OwnedFd>,
    crashes: Crashes,
    /// As the guard that runs was started.
    level: Option<Level>,
    standing: Standing,
    /// When a guard fell that denied.
    fell: Option<Instant>,
}

impl Warden {
    /// Starts and ends who is to, and returns when to do so again.
    fn tend(&mut self, now: Instant) -> Instant {
        self.hear(now);
        self.unburied.tend();
        self.tend_others(now);
        if let Some(ended) = self.guard.child.as_mut().and_then(|child| child.tend(&self.sentry, now)) {
            self.guard_ended(&ended, now);
        }
        if let Some(ended) = self.work.child.as_mut().and_then(|child| child.tend(&self.sentry, now)) {
            let left = self.work.ended("the agent", &ended, now);
            left.into_iter().for_each(|left| self.unburied.put(left));
        }
        self.tend_guard(now);
        self.tend_handover(now);
        if self.work.is_due(now) {
            let started = self.start(&self.config.work, &[], false);
            self.seat_work(started, now);
        }
        self.tell();
        let dues = [&self.guard, &self.work].map(Seat::due).into_iter().flatten();
        let dues = dues.chain(self.relief.iter().chain(&self.leaving).filter_map(Child::due));
        let dues = dues.chain(self.renews_at);
        let dues = dues.chain(self.handover.iter().map(|_| Handover::due(now)));
        dues.min().map_or(now + AT_LEAST, |due| due.min(now + AT_LEAST))
    }

    /// What is wanted of the guard.
    fn wanted(&mut self, now: Instant) -> Level {
        match () {
            () if self.config.guard.is_none() => Level::None,
            () if self.sentry.pulled().is_some() => Level::Released,
            () if self.crashes.observes(now) => Level::Observe,
            () => Level::Deny,
        }
    }

    fn tend_guard(&mut self, now: Instant) {
        let wanted = self.wanted(now);
        if self.level != Some(wanted) {
            match wanted {
                Level::Deny if self.level.is_some() => tracing::warn!("the guard is engaged"),
                Level::Observe => tracing::error!("the guard {CRASHED}: it only observes"),
                Level::Released => self.release(),
                // Perhaps it is another agent's, so it is not removed for that.
                Level::None if sys::bpf::pins::exist() => tracing::warn!(
                    "what a guard has pinned is still in force; `quell agent release` lifts it"
                ),
                Level::Deny | Level::None => {}
            }
            // Engaged or released: what was before says nothing of it.
            self.guard.rests = self.guard.rests.filter(|_| wanted == Level::Observe);
            self.level = Some(wanted);
            self.abandon_handover(now);
            if let Some(child) = &mut self.guard.child {
                child.ask_to_end(now);
            }
        }
        if matches!(wanted, Level::Deny | Level::Observe)
            && self.guard.is_due(now)
            && let Some(arguments) = &self.config.guard
        {
            let flags: &[&str] = if wanted == Level::Observe { &["--observe"] } else { &[] };
            let started = self.start(arguments, flags, true);
            self.seat_guard(started, now);
        }
    }

    /// Root has pulled the lever. The sentry has ended the guard, or is about to.
    fn release(&self) {
        let why = self.sentry.pulled().map(|pulled| pulled.to_string()).unwrap_or_default();
        tracing::error!("nothing is denied on this machine: {why}");
        if let Err(error) = crate::guard::bpf::release() {
            tracing::error!(%error, "what denies by itself could not be removed");
        }
    }

    fn start(&self, arguments: &[OsString], flags: &[&str], is_guard: bool) -> std::io::Result<Child> {
        let there = self.config.program.exists();
        let program = if there { self.config.program.clone() } else { "/proc/self/exe".into() };
        let guard = is_guard.then_some(self.snapshots.as_slice());
        Child::start(&Role { program: &program, arguments, flags, guard }, &self.sentry)
    }

    fn seat_guard(&mut self, started: std::io::Result<Child>, now: Instant) {
        match started {
            Ok(child) => {
                self.groups.put("guard", child.pid());
                self.standing.number += 1;
                self.guard.child = Some(child);
            }
            Err(error) => self.guard.rest("the guard", Duration::ZERO, &error.to_string(), now),
        }
    }

    fn seat_work(&mut self, started: std::io::Result<Child>, now: Instant) {
        match started {
            Ok(child) => {
                self.groups.put("work", child.pid());
                self.work.child = Some(child);
            }
            Err(error) => self.work.rest("the agent", Duration::ZERO, &error.to_string(), now),
        }
    }

    fn guard_ended(&mut self, ended: &Ended, now: Instant) {
        let Some(child) = &self.guard.child else { return };
        let denied = child.in_force.is_some() && self.level == Some(Level::Deny);
        let was_meant = ended.was_asked || self.sentry.pulled().is_some();
        if !was_meant {
            self.standing.deaths += 1;
            self.crashes.note(now);
            if denied {
                self.fell = Some(now);
            }
        }
        let left = self.guard.ended("the guard", ended, now);
        left.into_iter().for_each(|left| self.unburied.put(left));
        if was_meant {
            self.guard.rests = None;
        }
        self.step_in(now);
    }

    /// Keeps the rules that the guard has put in force.
    fn hear(&mut self, now: Instant) {
        // It has what the guard had in force when it was started, which is kept already.
        let _ = self.relief.as_mut().and_then(|relief| relief.hear(now));
        let Some(snapshots) = self.guard.child.as_mut().and_then(|child| child.hear(now)) else { return };
        self.snapshots = snapshots;
        if let Some(fell) = self.fell.take() {
            let gap = now.saturating_duration_since(fell);
            self.standing.last_gap = Some(gap);
            tracing::warn!(gap_ms = gap.as_millis(), "the guard denies again");
        }
    }

    /// All that were started and have not ended.
    fn children(&self) -> impl Iterator<Item = &Child> {
        let seated = [&self.guard.child, &self.work.child].into_iter().flatten();
        seated.chain(&self.relief).chain(&self.leaving)
    }

    /// Says on the pages, and to whoever asks, how things are.
    fn tell(&mut self) {
        self.standing.level = self.level;
        self.standing.pid = self.guard.pid();
        self.children().for_each(|child| child.page.tell(&self.standing));
    }

    fn status(&self) -> Status {
        let notice = match self.level {
            Some(Level::Released) => {
                self.sentry.pulled().map(|pulled| pulled.to_string()).unwrap_or_default()
            }
            Some(Level::Observe) => CRASHED.to_owned(),
            _ => String::new(),
        };
        Status {
            level: self.level.unwrap_or(Level::None).name().to_owned(),
            notice,
            warden: std::process::id().cast_signed(),
            guard: self.guard.pid(),
            work: self.work.pid(),
            in_force: self.guard.child.as_ref().is_some_and(|child| child.in_force.is_some()),
            guard_deaths: self.standing.deaths,
            last_gap: self.standing.last_gap,
            guard_number: self.standing.number,
        }
    }

    /// Waits until something is to be done, and says which of `others` are readable.
    fn wait<const N: usize>(&self, due: Instant, others: [&OwnedFd; N]) -> [bool; N] {
        let mut sources: Vec<PollFd<'_>> =
            others.iter().map(|other| PollFd::new(*other, PollFlags::IN)).collect();
        sources.push(PollFd::new(&self.sentry.bell, PollFlags::IN));
        for child in self.children() {
            sources.push(PollFd::new(&child.pidfd, PollFlags::IN));
            sources.extend(child.open_channel().map(|channel| PollFd::new(channel, PollFlags::IN)));
        }
        let left = due.saturating_duration_since(Instant::now());
        let _ = poll(&mut sources, Timespec::try_from(left).ok().as_ref());
        let readable = std::array::from_fn(|at| !sources[at].revents().is_empty());
        drain(self.sentry.bell.as_fd());
        readable
    }

    /// Ends all: first the agent, so that nobody waits for its hashing longer than the timer.
    fn end(&mut self) {
        let now = Instant::now();
        self.abandon_handover(now);
        for seat in [&mut self.work, &mut self.guard] {
            if let Some(child) = &mut seat.child {
                child.ask_to_end(now);
            }
        }
        while self.children().next().is_some() {
            let now = Instant::now();
            self.hear(now);
            self.tend_others(now);
            for seat in [&mut self.work, &mut self.guard] {
                if seat.child.as_mut().is_some_and(|child| child.tend(&self.sentry, now).is_some()) {
                    seat.child = None;
                }
            }
            self.wait(now + Duration::from_millis(100), []);
        }
        self.sentry.dismiss();
        self.groups.leave();
    }
}
