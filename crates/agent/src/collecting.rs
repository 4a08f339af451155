//! The thread that sends copies to the server, one after the other, beside the thread of the other acts: nothing waits
//! for a sample.
//!
//! What was cut short begins anew with the search for a copy; the server says how much of it it has. While the server
//! is away no file is held open.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use model::FileId;
use model::act::{Act, CopyResult, CopyState, Do, Outcome};
use model::order::Failure;
use wire::link::v1::{self, up};

use crate::acts::{DISTURBED, Readable, open_copy};
use crate::core::{Core, Nudge};
use crate::perform::{fitting, grounds, known_copies};

/// How much goes in one message: an order's result waits behind one of them at most.
const CHUNK: usize = 64 << 10;
/// How often is looked whether the server has gone, the agent stops, or somebody wants to write.
const TICK: Duration = Duration::from_millis(100);
/// How long copies are waited for that the first look after a start may still find.
const SWEEP_PATIENCE: Duration = Duration::from_secs(60);
/// How often acts that could not begin are tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// What the link has to say of samples.
pub(crate) enum Said {
    /// There may be a new act.
    Taken,
    /// Another connection: what was offered on the one before is forgotten.
    Attached,
    Wanted(v1::SampleWanted),
    Refused(v1::SampleRefused),
    /// By its act.
    Stored(Vec<u8>),
}

/// The link's end.
pub(crate) struct LinkEnd {
    pub(crate) said: Sender<Said>,
    pub(crate) outgoing: Receiver<up::Message>,
}

/// The thread's own end.
pub(crate) struct Collector {
    heard: Receiver<Said>,
    outgoing: Sender<up::Message>,
}

/// What became of one attempt to send a copy.
enum Sent {
    Stored,
    Refused(String),
    /// The server has gone: try again.
    Lost,
    /// The agent stops.
    Stopped,
}

/// Both ends. One message at a time waits, so that no more of a file is in memory.
pub(crate) fn pair() -> (Collector, LinkEnd) {
    let ((said, heard), (outgoing, goes)) = (unbounded(), bounded(1));
    (Collector { heard, outgoing }, LinkEnd { said, outgoing: goes })
}

impl Collector {
    /// Does what the ledger holds until the agent stops.
    pub(crate) fn run(&self, core: &Core) {
        loop {
            for act in unfinished(core) {
                let Do::Collect(file) = act.what else { continue };
                if core.halt.is_asked() {
                    return;
                }
                self.attempt(core, &act, file);
            }
            let wait = if unfinished(core).is_empty() { Duration::from_secs(3600) } else { AGAIN };
            if matches!(self.heard.recv_timeout(wait), Err(RecvTimeoutError::Disconnected)) {
                return;
            }
        }
    }

    fn attempt(&self, core: &Core, act: &Act, file: FileId) {
        let has_begun = core.ledger.lock().has_begun(act.id);
        let outcome = if !has_begun && core.server_now() > act.deadline {
            let reason = "its deadline passed before this machine could begin; order it again";
            outcome(act, Vec::new(), Some(Failure::timed_out(reason)))
        } else {
            let begun = core.ledger.lock().begin(act.id);
            match begun {
                Ok(true) => core.nudge(Nudge::Begun(act.id)),
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(act = %act.id, %error, "an act can't begin: the ledger can't be written");
                    return;
                }
            }
            let Some(outcome) = self.collect(core, act, file) else { return };
            outcome
        };
        tracing::info!(act = %act.id, collected = outcome.failure.is_none(), "an act ended");
        let kept = core.ledger.lock().ended(fitting(outcome));
        match kept {
            Ok(()) => core.nudge(Nudge::Ended),
            Err(error) => tracing::error!(act = %act.id, %error, "an act's outcome could not be kept"),
        }
    }

    /// None when the agent stops before it is done.
    fn collect(&self, core: &Core, act: &Act, file: FileId) -> Option<Outcome> {
        let deadline = Instant::now() + SWEEP_PATIENCE;
        loop {
            while !core.attached.load(Ordering::Relaxed) {
                if core.halt.is_asked() {
                    return None;
                }
                std::thread::sleep(TICK);
            }
            let is_complete = core.progress.guarded_complete.load(Ordering::Relaxed);
            let known = match known_copies(core, &file) {
                Ok(known) => known,
                Err(error) => {
                    let reason = format!("this machine's inventory can't be read: {error}; order it again");
                    return Some(outcome(act, Vec::new(), Some(Failure::because(reason))));
                }
            };
            let copy = match open_copy(&grounds(core), file, &known) {
                Ok(copy) => copy,
                Err(_) if !is_complete && Instant::now() < deadline => {
                    if core.halt.is_asked() {
                        return None;
                    }
                    std::thread::sleep(TICK);
                    continue;
                }
                Err(results) => {
                    let reason = results.first().and_then(|copy| copy.reason.clone());
                    let reason = reason.map_or_else(
                        || "no copy of it is here".to_owned(),
                        |reason| format!("no copy of it could be read: {reason}"),
                    );
                    return Some(outcome(act, results, Some(Failure::because(reason))));
                }
            };
            let result =
                |state, reason| CopyResult { path: copy.path.clone(), state, reason, vault: copy.vault };
            match self.send(core, act, &copy) {
                Sent::Stored => return Some(outcome(act, vec![result(CopyState::Succeeded, None)], None)),
                Sent::Refused(reason) => {
                    let results = vec![result(CopyState::Failed, Some(reason.clone()))];
                    return Some(outcome(act, results, Some(Failure::because(reason))));
                }
                Sent::Lost => {}
                Sent::Stopped => return None,
            }
        }
    }

    fn send(&self, core: &Core, act: &Act, copy: &Readable) -> Sent {
        let id = act.id.0.as_bytes().to_vec();
        // What was said before is about other offers.
        self.heard.try_iter().for_each(drop);
        let digests = Some((&copy.digests).into());
        let offer = v1::SampleOffer { act: id.clone(), digests, size: copy.size };
        let mut next = Some(up::Message::SampleOffer(offer));
        let (mut at, mut until) = (None, 0);
        loop {
            if core.halt.is_asked() {
                return Sent::Stopped;
            }
            if !core.attached.load(Ordering::Relaxed) {
                return Sent::Lost;
            }
            if copy.is_disturbed() {
                return Sent::Refused(DISTURBED.to_owned());
            }
            if let Some(offset) = at.filter(|at| next.is_none() && *at < until) {
                let bytes = match copy.read(offset, CHUNK.min((until - offset) as usize)) {
                    Ok(bytes) => bytes,
                    Err(error) => return Sent::Refused(error.to_string()),
                };
                at = Some(offset + bytes.len() as u64);
                next = Some(up::Message::SampleChunk(v1::SampleChunk { act: id.clone(), offset, bytes }));
            }
            // A message waits for the link, and meanwhile the link is heard.
            let said = match next.take() {
                Some(message) => {
                    if let Err(unsent) = self.outgoing.send_timeout(message, TICK) {
                        next = Some(unsent.into_inner());
                    }
                    self.heard.try_recv().ok()
                }
                None => self.heard.recv_timeout(TICK).ok(),
            };
            match said {
                Some(Said::Attached) => return Sent::Lost,
                Some(Said::Wanted(wanted)) if wanted.act == id => {
                    at = at.or(Some(wanted.from.min(copy.size)));
                    until = wanted.until.min(copy.size);
                }
                Some(Said::Refused(refused)) if refused.act == id => return Sent::Refused(refused.reason),
                Some(Said::Stored(stored)) if stored == id => return Sent::Stored,
                // Of another offer; or of an act, which the ledger holds.
                Some(Said::Taken | Said::Wanted(_) | Said::Refused(_) | Said::Stored(_)) | None => {}
            }
        }
    }
}

fn unfinished(core: &Core) -> Vec<Act> {
    let all = core.ledger.lock().unfinished();
    all.into_iter().filter(|act| matches!(act.what, Do::Collect(_))).collect()
}

fn outcome(act: &Act, copies: Vec<CopyResult>, failure: Option<Failure>) -> Outcome {
    Outcome { act: act.id, copies, stopped: 0, services: Vec::new(), failure }
}
