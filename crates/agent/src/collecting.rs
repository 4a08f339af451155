//! The thread that sends copies to the server, one after the other, beside the thread of the other acts: nothing waits
//! for a sample.
//!
//! What was cut short begins anew with the search for a copy; the server says how much of it it has. While the server
//! is away no act begins, and no file is held open.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use model::FileId;
use model::act::{Act, CopyResult, CopyState, Do, Outcome};
use model::order::Failure;
use wire::link::v1::{self, up};

use crate::acts::{DISTURBED, Readable, open_copy};
use crate::core::{Core, Nudge};
use crate::perform::{Search, fitting, given_up, grounds, known_copies};
use crate::waiting::{Attempted, Waiting};

/// How much goes in one message: an order's result waits behind one of them at most.
const CHUNK: usize = 64 << 10;
/// How often is looked whether the server has gone, the agent stops, or somebody wants to write.
const TICK: Duration = Duration::from_millis(100);
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
        let mut waiting = Waiting::default();
        loop {
            let acts = unfinished(core);
            for act in &acts {
                let Do::Collect(file) = act.what else { continue };
                if core.halt.is_asked() {
                    return;
                }
                if waiting.is_due(act.id, Instant::now()) {
                    let attempted = self.attempt(core, act, file, &mut waiting);
                    waiting.note(act.id, &attempted, Instant::now());
                }
            }
            waiting.retain(&acts);
            // What was said of one that came while another was sent has been heard there.
            let is_new = |act: &Act| acts.iter().all(|known| known.id != act.id);
            if unfinished(core).iter().any(is_new) {
                continue;
            }
            let wait = waiting.pause(Instant::now());
            if matches!(self.heard.recv_timeout(wait), Err(RecvTimeoutError::Disconnected)) {
                return;
            }
        }
    }

    fn attempt(&self, core: &Core, act: &Act, file: FileId, waiting: &mut Waiting) -> Attempted {
        let outcome = match waiting.take_outcome(act.id) {
            // It is sent already.
            Some(outcome) => outcome,
            None => match self.result(core, act, file, waiting.hindrance(act.id)) {
                Ok(outcome) => fitting(outcome),
                Err(attempted) => return attempted,
            },
        };
        let kept = core.ledger.lock().ended(outcome.clone());
        if let Err(error) = kept {
            tracing::error!(act = %act.id, %error, "an act's outcome could not be kept; it is tried again");
            return Attempted::NotKept(outcome);
        }
        tracing::info!(act = %act.id, collected = outcome.failure.is_none(), "an act ended");
        core.nudge(Nudge::Ended);
        Attempted::Ended
    }

    /// Collects, unless it can't begin.
    fn result(
        &self,
        core: &Core,
        act: &Act,
        file: FileId,
        hindrance: Option<&str>,
    ) -> Result<Outcome, Attempted> {
        if let Some(outcome) = given_up(core, act, hindrance) {
            return Ok(outcome);
        }
        // Until the server is there nothing can be done, and it may withdraw the act.
        if !core.attached.load(Ordering::Relaxed) {
            return Err(Attempted::ServerAway);
        }
        let begun = core.ledger.lock().begin(act.id);
        match begun {
            Ok(true) => core.nudge(Nudge::Begun(act.id)),
            Ok(false) => return Err(Attempted::Ended),
            Err(error) => {
                tracing::error!(act = %act.id, %error, "an act can't begin: the ledger can't be written; it is tried again");
                return Err(Attempted::NotBegun);
            }
        }
        self.collect(core, act, file)
    }

    fn collect(&self, core: &Core, act: &Act, file: FileId) -> Result<Outcome, Attempted> {
        let mut search = Search::begin(core);
        loop {
            if core.halt.is_asked() {
                return Err(Attempted::CutShort);
            }
            if !core.attached.load(Ordering::Relaxed) {
                return Err(Attempted::ServerAway);
            }
            // Before it is searched.
            let is_over = search.is_whole(core) || search.given_up(core).is_some();
            let known = match known_copies(core, &file) {
                Ok(known) => known,
                Err(error) => {
                    let reason = format!("this machine's inventory can't be read: {error}; order it again");
                    return Ok(outcome(act, Vec::new(), Some(Failure::because(reason))));
                }
            };
            let copy = match open_copy(&grounds(core), file, &known) {
                Ok(copy) => copy,
                Err(_) if !is_over => {
                    std::thread::sleep(TICK);
                    continue;
                }
                Err(results) => {
                    let reason = results.first().and_then(|copy| copy.reason.clone());
                    let reason = reason.map_or_else(
                        || "no copy of it is here".to_owned(),
                        |reason| format!("no copy of it could be read: {reason}"),
                    );
                    return Ok(outcome(act, results, Some(Failure::because(reason))));
                }
            };
            let result =
                |state, reason| CopyResult { path: copy.path.clone(), state, reason, vault: copy.vault };
            match self.send(core, act, &copy) {
                Sent::Stored => return Ok(outcome(act, vec![result(CopyState::Succeeded, None)], None)),
                Sent::Refused(reason) => {
                    let results = vec![result(CopyState::Failed, Some(reason.clone()))];
                    return Ok(outcome(act, results, Some(Failure::because(reason))));
                }
                // Another connection may be there already.
                Sent::Lost => {}
                Sent::Stopped => return Err(Attempted::CutShort),
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

#[cfg(test)]
mod tests;
