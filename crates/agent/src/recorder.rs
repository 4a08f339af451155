//! What was noticed on this machine goes into the spool, then into the inventory: in batches, and in that
//! order, so that nothing is known here that the server will never hear of.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use model::Digests;
use model::facts::Facts;
use model::origin::Origin;
use model::sighting::{Seen, Sighting};
use parking_lot::Mutex;

use crate::core::Nudge;
use crate::inventory::{Directory, Inventory, Known, Note};
use crate::origin::Origins;
use crate::spool::Spool;
use crate::sweep::Errands;

/// How long the first of a batch waits for company.
const GATHER: Duration = Duration::from_millis(50);
/// No batch is larger.
const LARGEST: usize = 500;
/// How often the inventory is made durable.
const SETTLE: Duration = Duration::from_secs(5);

/// How long after sightings were lost (the disk was full, the spool was) all is looked through again.
const FIND_AGAIN: Duration = Duration::from_secs(30);

/// Something noticed about a path.
#[derive(Debug)]
pub(crate) enum Noticed {
    /// A copy lies here.
    Here(PathBuf, Known),
    /// The copy that was known here is gone.
    Gone(PathBuf, Known),
    /// Somebody ran it, or tried to.
    Run(PathBuf, Digests, Facts, Seen),
    /// Where the copy that lies here comes from was found out.
    Origin(PathBuf, Digests, Facts, Box<Origin>),
    /// A directory lies there.
    Directory(Directory),
    /// Several of these, but no barrier among them: each message costs a turn of the processor.
    Many(Vec<Noticed>),
    /// To be noted behind all that was noticed before.
    Note(Note),
    /// Nothing: who sent it hears when all that was noticed before is in the spool.
    Barrier(Sender<()>),
}

/// Waits until all that was noticed so far is in the spool. False when it is not after `patience`.
pub(crate) fn wait_recorded(noticed: &Sender<Noticed>, patience: Duration) -> bool {
    let (sender, recorded) = crossbeam_channel::bounded(1);
    noticed.send_timeout(Noticed::Barrier(sender), patience).is_ok()
        && recorded.recv_timeout(patience).is_ok()
}

/// Takes in what the other threads notice.
pub(crate) struct Recorder {
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) spool: Arc<Mutex<Spool>>,
    /// Asked where each copy comes from.
    pub(crate) origins: Arc<Origins>,
    /// Told after each batch.
    pub(crate) nudges: Sender<Nudge>,
    /// Asked to find again what could not be kept.
    pub(crate) errands: Errands,
    /// When something could not be kept that was not asked for again yet.
    pub(crate) lost: Option<Instant>,
}

impl Recorder {
    /// Records until every sender is gone; everything is durable when it returns.
    pub(crate) fn run(mut self, noticed: &Receiver<Noticed>) {
        let mut settled = Instant::now();
        loop {
            let first = match noticed.recv_timeout(SETTLE) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.settle(&mut settled);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.record(gather(first, noticed));
            if settled.elapsed() > SETTLE {
                self.settle(&mut settled);
            }
        }
        self.settle(&mut settled);
    }

    fn record(&mut self, batch: Vec<(Instant, Noticed)>) {
        let sightings: Vec<Sighting> =
            batch.iter().filter_map(|(at, noticed)| self.sighting(*at, noticed)).collect();
        let barrier = |(_, noticed): &(Instant, Noticed)| match noticed {
            Noticed::Barrier(waiting) => Some(waiting.clone()),
            _ => None,
        };
        let barriers: Vec<Sender<()>> = batch.iter().filter_map(barrier).collect();
        let is_note = |(_, noticed): &(Instant, Noticed)| !matches!(noticed, Noticed::Barrier(_));
        if batch.iter().any(is_note) {
            self.keep(&sightings, batch);
        }
        for waiting in barriers {
            let _ = waiting.try_send(());
        }
    }

    fn keep(&mut self, sightings: &[Sighting], batch: Vec<(Instant, Noticed)>) {
        // Held until both are done: what is sent from the spool stands in the inventory.
        let mut spool = self.spool.lock();
        if !sightings.is_empty()
            && let Err(error) = spool.push(sightings)
        {
            // Not noted either, so that the next sweep notices them again.
            self.lost.get_or_insert_with(Instant::now);
            tracing::error!(%error, lost = sightings.len(), "sightings could not be kept; a later sweep finds them again");
            return;
        }
        let notes: Vec<Note> = batch.into_iter().filter_map(|(_, noticed)| note(noticed)).collect();
        if !notes.is_empty()
            && let Err(error) = self.inventory.note(&notes)
        {
            self.lost.get_or_insert_with(Instant::now);
            tracing::error!(%error, "the inventory could not be written; a later sweep finds these copies again");
        }
        drop(spool);
        if !sightings.is_empty() {
            let _ = self.nudges.try_send(Nudge::Spooled);
        }
    }

    fn sighting(&self, at: Instant, noticed: &Noticed) -> Option<Sighting> {
        let (path, digests, facts, seen) = match noticed {
            Noticed::Here(path, known) => (path, known.digests, &known.facts, Seen::AtRest),
            Noticed::Gone(path, known) => (path, known.digests, &known.facts, Seen::Gone),
            Noticed::Run(path, digests, facts, seen) => (path, *digests, facts, *seen),
            Noticed::Origin(path, digests, facts, _) => (path, *digests, facts, Seen::Traced),
            Noticed::Directory(_) | Noticed::Note(_) | Noticed::Many(_) | Noticed::Barrier(_) => return None,
        };
        let origin = match noticed {
            Noticed::Origin(_, _, _, origin) => Some((**origin).clone()),
            _ if seen == Seen::Gone => None,
            _ => self.origins.of(path, &digests),
        };
        Some(Sighting { digests, facts: facts.clone(), path: path.clone(), seen, origin, age: at.elapsed() })
    }

    fn settle(&mut self, settled: &mut Instant) {
        if self.lost.is_some_and(|lost| lost.elapsed() >= FIND_AGAIN) && self.spool.lock().has_room() {
            self.lost = None;
            self.errands.everything();
        }
        if let Err(error) = self.inventory.settle() {
            self.lost.get_or_insert_with(Instant::now);
            tracing::error!(%error, "the inventory could not be made durable");
        }
        *settled = Instant::now();
    }
}

/// The first of a batch and the company it finds. Who waits at a barrier is not kept waiting for more.
fn gather(first: Noticed, noticed: &Receiver<Noticed>) -> Vec<(Instant, Noticed)> {
    let deadline = Instant::now() + GATHER;
    let mut batch = Vec::new();
    add(&mut batch, first);
    while batch.len() < LARGEST && !matches!(batch.last(), Some((_, Noticed::Barrier(_)))) {
        let Ok(next) = noticed.recv_deadline(deadline) else { break };
        add(&mut batch, next);
    }
    batch
}

fn add(batch: &mut Vec<(Instant, Noticed)>, noticed: Noticed) {
    let now = Instant::now();
    match noticed {
        Noticed::Many(many) => batch.extend(many.into_iter().map(|one| (now, one))),
        one => batch.push((now, one)),
    }
}

fn note(noticed: Noticed) -> Option<Note> {
    match noticed {
        Noticed::Here(path, known) => Some(Note::Here(path, known)),
        Noticed::Gone(path, known) => Some(Note::Gone(path, known.directory)),
        Noticed::Directory(directory) => Some(Note::Directory(directory)),
        Noticed::Note(note) => Some(note),
        Noticed::Run(..) | Noticed::Origin(..) | Noticed::Many(_) | Noticed::Barrier(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_ends_a_batch() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let (waiting, _) = crossbeam_channel::bounded(1);
        let barrier = || Noticed::Barrier(waiting.clone());
        sender.send(barrier()).unwrap();
        assert_eq!(gather(barrier(), &receiver).len(), 1, "it waits for no company");
        assert_eq!(receiver.len(), 1);
    }
}
