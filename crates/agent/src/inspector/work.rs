//! The thread that has files inspected, one after the other, as the server asks for them.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use model::inspection::Outcome;
use model::{FileId, Sha256};
use sys::identity::Stat;
use wire::link::v1::up;

use super::LARGEST;
use super::answer::{Became, outcome_of, unread};
use super::child::{Answer, Broken, Helper, PATIENCE, Patience, Running};
use super::failed::Failed;
use crate::core::Core;
use crate::examine::open_at;
use crate::inventory::Known;
use crate::pressure::Pressure;

/// Files that may wait; the server asks for less at a time.
const MOST_ASKED: usize = 256;
/// Copies of one file that are tried.
const MOST_COPIES: usize = 8;
/// A helper that nobody needs for so long is let go.
const IDLE: Duration = Duration::from_secs(5);
/// The first of the work goes unpaced.
const FREE: Duration = Duration::from_secs(1);
/// No rest between two files is longer.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// How often is looked whether a rest or pressure is over, the server has gone, or the agent stops.
const TICK: Duration = Duration::from_millis(100);
/// For so long no helper is started after one that could not be.
const NO_START: Duration = Duration::from_secs(60);

/// What the link has to say of inspections.
pub(crate) enum Said {
    /// Another connection: what was asked for on the one before is forgotten.
    Attached,
    /// The server wants to know what that is.
    Wanted(Sha256),
}

/// The link's end.
pub(crate) struct LinkEnd {
    pub(crate) said: Sender<Said>,
    pub(crate) outgoing: Receiver<up::Message>,
}

/// The thread's own end, and what it works with.
pub(crate) struct Inspector {
    heard: Receiver<Said>,
    outgoing: Sender<up::Message>,
    helper: Helper,
    patience: Patience,
    /// Percent of one processor that may be used; 0 for all there is.
    percent: u32,
    queue: VecDeque<Sha256>,
    running: Option<Running>,
    /// Ended, and not gone yet.
    leaving: Option<Running>,
    failed: Failed,
    /// What helpers have had of the processor so far.
    used: Duration,
    pressure: Pressure,
    could_not_start: Option<Instant>,
}

/// The agent stops.
struct Stopped;

/// Both ends. One answer at a time waits for the link.
pub(crate) fn pair(helper: Helper, percent: u32) -> (Inspector, LinkEnd) {
    let ((said, heard), (outgoing, goes)) = (unbounded(), bounded(1));
    let inspector = Inspector {
        heard,
        outgoing,
        helper,
        patience: PATIENCE,
        percent,
        queue: VecDeque::new(),
        running: None,
        leaving: None,
        failed: Failed::default(),
        used: Duration::ZERO,
        pressure: Pressure::default(),
        could_not_start: None,
    };
    (inspector, LinkEnd { said, outgoing: goes })
}

impl Inspector {
    /// Works until the agent stops.
    pub(crate) fn run(mut self, core: &Core) {
        loop {
            let wait = match self.until_start() {
                Some(wait) if !self.queue.is_empty() => wait,
                _ if self.running.is_some() => IDLE,
                _ => Duration::from_secs(3600),
            };
            match self.heard.recv_timeout(wait) {
                Ok(said) => self.hear(said),
                Err(RecvTimeoutError::Timeout) => self.let_go(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.work(core).is_err() {
                return;
            }
        }
    }

    fn hear(&mut self, said: Said) {
        match said {
            Said::Attached => self.queue.clear(),
            // It asks again for what it hears nothing of.
            Said::Wanted(file) if self.queue.len() >= MOST_ASKED || self.queue.contains(&file) => {}
            Said::Wanted(file) => self.queue.push_back(file),
        }
    }

    fn work(&mut self, core: &Core) -> Result<(), Stopped> {
        loop {
            while let Ok(said) = self.heard.try_recv() {
                self.hear(said);
            }
            // The server would only ask again.
            if self.until_start().is_some() {
                return Ok(());
            }
            let Some(file) = self.queue.pop_front() else { return Ok(()) };
            self.wait_for_calm(core)?;
            let before = self.ran();
            let became = self.inspect(core, file)?;
            let used = self.ran().saturating_sub(before);
            if matches!(became, Became::PutOff(_)) && self.until_start().is_some() {
                // Behind the others, in case that it is its doing.
                self.queue.push_back(file);
                return Ok(());
            }
            self.tell(core, became.told(file))?;
            self.rest(core, used)?;
        }
    }

    /// What the helper has had of the processor; it may be another than a moment ago.
    fn ran(&self) -> Duration {
        self.running.as_ref().map(Running::ran).unwrap_or_default()
    }

    fn inspect(&mut self, core: &Core, file: Sha256) -> Result<Became, Stopped> {
        if let Some(record) = self.failed.get(&file) {
            return Ok(Became::Record(record.clone()));
        }
        let copies = match copies(core, file) {
            Ok(copies) => copies,
            Err(error) => return Ok(Became::PutOff(format!("the inventory can't be read: {error}"))),
        };
        let mut why = None;
        for path in copies {
            match open_at(&path) {
                Ok(Some(opened)) => match self.inspect_copy(core, file, &path, opened.as_fd())? {
                    Became::PutOff(reason) => why = Some(reason),
                    record => return Ok(record),
                },
                Ok(None) => {}
                Err(error) => why = Some(format!("a copy can't be opened: {error}")),
            }
        }
        Ok(why.map_or(Became::Gone, Became::PutOff))
    }

    fn inspect_copy(
        &mut self,
        core: &Core,
        file: Sha256,
        path: &Path,
        opened: BorrowedFd<'_>,
    ) -> Result<Became, Stopped> {
        let known = core.inventory.at(path).filter(|known| known.digests.sha256 == file);
        let Ok(stat) = Stat::of(opened) else { return Ok(Became::PutOff("a copy can't be read".to_owned())) };
        if stat.size > LARGEST {
            return Ok(match known {
                Some(Known { facts, .. }) if facts.size == stat.size => unread(&facts, Outcome::TooBig),
                _ => Became::PutOff("a copy is another file now".to_owned()),
            });
        }
        // Whoever ends it from outside does not make it a fact; once more, then it is put off.
        let mut broken = self.ask(core, file, opened)?;
        if matches!(&broken, Err(Broken::Gone | Broken::Ended(_)) if outcome(&broken).is_none()) {
            broken = self.ask(core, file, opened)?;
        }
        let facts = known.map(|known| known.facts).unwrap_or_default();
        let outcome = outcome(&broken);
        Ok(match broken {
            Ok(Answer::Inspected(record)) => Became::Record(record),
            Ok(Answer::Changed) => Became::PutOff("a copy is another file now".to_owned()),
            Ok(Answer::Unreadable(why)) => Became::PutOff(format!("a copy can't be read: {why}")),
            Err(Broken::Stopped) => return Err(Stopped),
            Err(broken) => match outcome {
                Some(outcome) => {
                    tracing::warn!(%file, path = %path.display(), outcome = outcome.word(), ?broken, "a file could not be inspected");
                    let record = model::inspection::Inspection::unread(facts, outcome);
                    self.failed.add(file, record.clone());
                    Became::Record(record)
                }
                None => Became::PutOff(format!("its inspection was cut short: {broken:?}")),
            },
        })
    }

    /// Hands a file to the helper, which is started if there is none.
    fn ask(
        &mut self,
        core: &Core,
        file: Sha256,
        opened: BorrowedFd<'_>,
    ) -> Result<Result<Answer, Broken>, Stopped> {
        if self.running.as_ref().is_some_and(Running::is_worn) {
            self.let_go();
        }
        let Some(mut running) = self.running.take().or_else(|| self.start(core)) else {
            return Ok(Err(Broken::Starved));
        };
        let answer = running.ask(opened, file, core.server_now(), self.patience, &core.halt);
        match &answer {
            Ok(_) => self.running = Some(running),
            Err(Broken::Stopped) => return Err(Stopped),
            Err(_) => self.leaving = running.end(),
        }
        Ok(answer)
    }

    /// How long no helper is to be started any more.
    fn until_start(&self) -> Option<Duration> {
        let left = NO_START.checked_sub(self.could_not_start?.elapsed())?;
        (!left.is_zero()).then_some(left)
    }

    /// None while one that was ended is not gone, or none can be started.
    fn start(&mut self, core: &Core) -> Option<Running> {
        self.leaving = self.leaving.take().and_then(Running::end);
        if self.leaving.is_some() {
            self.could_not_start = Some(Instant::now());
        }
        if self.until_start().is_some() {
            return None;
        }
        match Running::start(&self.helper) {
            // From here on it is a file's doing what becomes of it.
            Ok(mut running) => match running.try_out(core.server_now(), self.patience, &core.halt) {
                Ok(()) => return Some(running),
                Err(Broken::Stopped) => return None,
                Err(broken) => {
                    // It says itself why, where this process's own errors go.
                    tracing::error!(
                        ?broken,
                        "nothing can be inspected now: the process for it does not answer"
                    );
                    self.leaving = running.end();
                }
            },
            Err(error) => tracing::error!(%error, "nothing can be inspected now"),
        }
        self.could_not_start = Some(Instant::now());
        None
    }

    fn let_go(&mut self) {
        self.leaving = self.leaving.take().or(self.running.take()).and_then(Running::end);
    }

    /// To the server; not at all when it has gone, since it asks again.
    fn tell(&self, core: &Core, mut message: up::Message) -> Result<(), Stopped> {
        while core.attached.load(Ordering::Relaxed) {
            match self.outgoing.send_timeout(message, TICK) {
                Ok(()) => return Ok(()),
                Err(unsent) => message = unsent.into_inner(),
            }
            if core.halt.is_asked() {
                return Err(Stopped);
            }
        }
        Ok(())
    }

    /// While the machine is short of something nothing is inspected, and no helper kept.
    fn wait_for_calm(&mut self, core: &Core) -> Result<(), Stopped> {
        let since = Instant::now();
        while self.percent > 0 && self.used >= FREE && self.pressure.now().is_some() {
            if core.halt.is_asked() {
                return Err(Stopped);
            }
            if since.elapsed() >= IDLE {
                self.let_go();
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// So long that no more than a share of a processor is used.
    fn rest(&mut self, core: &Core, used: Duration) -> Result<(), Stopped> {
        self.used += used;
        if self.percent == 0 || self.used < FREE {
            return Ok(());
        }
        let rest = (used * (100_u32.saturating_sub(self.percent)) / self.percent).min(LONGEST_REST);
        let until = Instant::now() + rest;
        while !until.saturating_duration_since(Instant::now()).is_zero() {
            if core.halt.is_asked() {
                return Err(Stopped);
            }
            std::thread::sleep(until.saturating_duration_since(Instant::now()).min(TICK));
        }
        Ok(())
    }
}

/// What it says of the file that there was no answer.
fn outcome(answer: &Result<Answer, Broken>) -> Option<Outcome> {
    match answer {
        Err(Broken::TimedOut) => Some(Outcome::TimedOut),
        Err(Broken::Ended(status)) => status.and_then(outcome_of),
        Err(Broken::Nonsense) => {
            Some(Outcome::Malformed("its inspection says what makes no sense".to_owned()))
        }
        Ok(_) | Err(Broken::Gone | Broken::Starved | Broken::Stopped) => None,
    }
}

/// Where copies of a file lie: in their places, then in the vault.
fn copies(core: &Core, file: Sha256) -> std::io::Result<Vec<PathBuf>> {
    let mut copies = core.inventory.copies_of(&FileId::Sha256(file))?;
    let resting = core.vault.list().into_iter().filter(|resting| resting.digests.sha256 == file);
    copies.truncate(MOST_COPIES);
    copies.extend(resting.map(|resting| resting.rests_at).take(MOST_COPIES));
    Ok(copies)
}
