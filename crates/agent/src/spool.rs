//! What the server has not acknowledged yet: batches of sightings, on the disk until it has.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::sighting::{Seen, Sighting};
use model::{Clock, Time};
use wire::link::v1::{self, spool_record::Record};

use crate::journal::Journal;

/// No more waits than this, in bytes; what is seen later is found again by a sweep.
const LARGEST: u64 = 64 << 20;
/// Acknowledged history is dropped when the file is longer than this.
const REWRITE_ABOVE: u64 = 1 << 20;

/// The open spool.
///
/// On the disk a sighting's age is the wall-clock time of the look in milliseconds; it becomes an age again
/// when it is sent.
pub(crate) struct Spool {
    journal: Journal<v1::SpoolRecord>,
    clock: Arc<dyn Clock>,
    waiting: VecDeque<v1::Sightings>,
    /// How many sightings wait.
    backlog: Arc<AtomicU64>,
    next: u64,
}

impl Spool {
    /// Opens the spool with what still waits in it.
    ///
    /// # Errors
    /// When it is damaged, in use, or the disk fails.
    pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (journal, records) = Journal::open(path)?;
        let mut spool = Self { journal, clock, waiting: VecDeque::new(), backlog: Arc::default(), next: 1 };
        for record in records {
            match record.record {
                Some(Record::Sightings(batch)) => {
                    spool.next = spool.next.max(batch.sequence + 1);
                    spool.add(batch);
                }
                Some(Record::Stored(sequence)) => {
                    spool.next = spool.next.max(sequence + 1);
                    spool.forget(sequence);
                }
                None => {}
            }
        }
        Ok(spool)
    }

    /// Adds a batch: durable when it returns.
    ///
    /// # Errors
    /// `StorageFull` when too much waits already; what the disk says.
    pub(crate) fn push(&mut self, sightings: &[Sighting]) -> io::Result<()> {
        if !self.has_room() {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the spool is full: the server is away too long",
            ));
        }
        let now = self.clock.now();
        let sightings = sightings.iter().map(|sighting| stamped(sighting, now)).collect();
        let batch = v1::Sightings { sequence: self.next, sightings };
        self.journal.append(&v1::SpoolRecord { record: Some(Record::Sightings(batch.clone())) })?;
        self.next += 1;
        self.add(batch);
        Ok(())
    }

    /// The copies that waiting sightings tell of: what a crash may have kept out of the inventory.
    pub(crate) fn copies(&self) -> Vec<Sighting> {
        let sightings = self.waiting.iter().flat_map(|batch| batch.sightings.clone());
        let known = sightings.filter_map(|sighting| Sighting::try_from(sighting).ok());
        known.filter(|sighting| sighting.seen == Seen::AtRest).collect()
    }

    /// The first batch after `sequence`, ready to be sent.
    pub(crate) fn after(&self, sequence: u64) -> Option<v1::Sightings> {
        let mut batch = self.waiting.iter().find(|batch| batch.sequence > sequence)?.clone();
        let now = milliseconds(self.clock.now());
        for sighting in &mut batch.sightings {
            sighting.age_ms = now.saturating_sub(sighting.age_ms);
        }
        Some(batch)
    }

    /// Forgets what the server has stored.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn stored(&mut self, sequence: u64) -> io::Result<()> {
        self.forget(sequence);
        if self.journal.length() < REWRITE_ABOVE || self.waiting.len() > 64 {
            return self.journal.append(&v1::SpoolRecord { record: Some(Record::Stored(sequence)) });
        }
        self.rewrite(sequence)
    }

    /// Agrees with the server, which has stored everything up to `stored`: batches whose acknowledgement was
    /// lost are forgotten. A server that has stored more than was ever written here has met an earlier spool of
    /// this machine, which is lost; what waits is numbered anew, so that it is not taken for that.
    ///
    /// # Errors
    /// When the disk fails.
    pub(crate) fn agree(&mut self, stored: u64) -> io::Result<()> {
        if stored < self.next {
            let is_stored = self.waiting.front().is_some_and(|batch| batch.sequence <= stored);
            return if is_stored { self.stored(stored) } else { Ok(()) };
        }
        for (batch, sequence) in self.waiting.iter_mut().zip(stored + 1..) {
            batch.sequence = sequence;
        }
        self.next = stored + 1 + self.waiting.len() as u64;
        self.rewrite(stored)
    }

    fn rewrite(&mut self, stored: u64) -> io::Result<()> {
        let stored = v1::SpoolRecord { record: Some(Record::Stored(stored)) };
        let waiting = self.waiting.iter().cloned();
        let waiting = waiting.map(|batch| v1::SpoolRecord { record: Some(Record::Sightings(batch)) });
        self.journal.rewrite(std::iter::once(stored).chain(waiting))
    }

    /// The last batch that was added.
    pub(crate) fn last(&self) -> u64 {
        self.next - 1
    }

    /// Whether a batch up to this one still waits.
    pub(crate) fn waits_up_to(&self, sequence: u64) -> bool {
        self.waiting.front().is_some_and(|batch| batch.sequence <= sequence)
    }

    /// Whether another batch would be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.journal.length() <= LARGEST
    }

    /// How many sightings wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.backlog.load(Ordering::Relaxed)
    }

    /// The same at any time, for those who must not wait for a lock.
    pub(crate) fn backlog(&self) -> Arc<AtomicU64> {
        self.backlog.clone()
    }

    fn add(&mut self, batch: v1::Sightings) {
        self.backlog.fetch_add(batch.sightings.len() as u64, Ordering::Relaxed);
        self.waiting.push_back(batch);
    }

    fn forget(&mut self, sequence: u64) {
        while self.waiting.front().is_some_and(|batch| batch.sequence <= sequence) {
            let stored = self.waiting.pop_front().map_or(0, |batch| batch.sightings.len() as u64);
            self.backlog.fetch_sub(stored, Ordering::Relaxed);
        }
    }
}

fn stamped(sighting: &Sighting, now: Time) -> v1::Sighting {
    v1::Sighting { age_ms: milliseconds(now.before(sighting.age)), ..sighting.into() }
}

fn milliseconds(time: Time) -> u64 {
    u64::try_from(time.ticks() / 10_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::facts::Facts;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    #[derive(Default)]
    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Time {
            Time::from_seconds(self.0.load(Ordering::Relaxed))
        }
    }

    fn sighting() -> Sighting {
        let digests = model::Digests {
            sha256: model::Sha256([1; 32]),
            sha1: model::Sha1([2; 20]),
            md5: model::Md5([3; 16]),
        };
        let age = Duration::from_secs(2);
        Sighting {
            digests,
            facts: Facts::default(),
            path: "/a".into(),
            seen: Seen::AtRest,
            origin: None,
            age,
        }
    }

    #[test]
    fn a_batch_waits_over_a_restart_until_it_is_stored_and_grows_older() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let clock = Arc::new(Hand::default());
        clock.0.store(1000, Ordering::Relaxed);
        let mut spool = Spool::open(&path, clock.clone()).unwrap();
        spool.push(&[sighting()]).unwrap();
        drop(spool);
        clock.0.store(1010, Ordering::Relaxed);
        let mut spool = Spool::open(&path, clock.clone()).unwrap();
        let batch = spool.after(0).unwrap();
        assert_eq!((batch.sequence, batch.sightings[0].age_ms), (1, 12_000));
        let last = spool.last();
        spool.push(&[sighting()]).unwrap();
        assert!(spool.waits_up_to(last));
        spool.stored(1).unwrap();
        assert!(!spool.waits_up_to(last), "what came later is not waited for");
        spool.stored(2).unwrap();
        drop(spool);
        let mut spool = Spool::open(&path, clock).unwrap();
        assert_eq!(spool.waiting(), 0);
        spool.push(&[sighting()]).unwrap();
        assert_eq!(spool.after(0).unwrap().sequence, 3, "a sequence is never used twice");
    }

    #[test]
    fn a_spool_that_was_lost_is_not_taken_for_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let mut spool = Spool::open(&path, Arc::new(Hand::default())).unwrap();
        spool.push(&[sighting()]).unwrap();
        spool.push(&[sighting()]).unwrap();
        spool.agree(1).unwrap();
        assert_eq!(spool.after(0).unwrap().sequence, 2, "only the acknowledgement was lost");
        spool.agree(500).unwrap();
        assert_eq!(spool.after(0).unwrap().sequence, 501);
        spool.push(&[sighting()]).unwrap();
        drop(spool);
        let spool = Spool::open(&path, Arc::new(Hand::default())).unwrap();
        assert_eq!(spool.after(501).unwrap().sequence, 502);
        assert_eq!(spool.waiting(), 2);
    }
}
