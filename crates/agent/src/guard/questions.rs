//! Questions that can't be answered at once: who waits for what, and until when.
//!
//! Pure bookkeeping: it knows neither kernel nor clock, so that order and time are tested by tables. What it
//! keeps of an opener is the business of whoever owns it.

use std::time::{Duration, Instant};

use sys::identity::Identity;

/// How often a file that somebody writes to is looked at again.
pub(super) const RETRY: Duration = Duration::from_millis(1);
/// How long a writer may take to go, before the opener is told that the file is busy.
pub(super) const WRITER_PATIENCE: Duration = Duration::from_millis(20);
/// How often a file is hashed anew because it changed meanwhile.
const TRIES: u8 = 3;

/// The openers that wait, and the hashings they wait for. Of fixed capacity.
pub(super) struct Questions<T> {
    waiting: Vec<Waiting<T>>,
    hashings: Vec<Hashing>,
    capacity: usize,
    timer: Duration,
    last_id: u64,
    /// Hashings that were asked for, and that nobody waits for any more.
    cancelled: Vec<u64>,
}

/// Whether one more of a user's openers can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is a place.
    Free,
    /// All places are taken, and not by this user.
    Taken,
    /// This user has more than a fair share of the places.
    Overdrawn,
}

/// One opener.
pub(super) struct Waiting<T> {
    /// What its owner keeps of it.
    pub(super) opener: T,
    /// For whom.
    pub(super) user: u32,
    /// When it asked.
    pub(super) asked: Instant,
    /// Its time was over and it has its answer; only the verdict on what it runs is open.
    pub(super) late: bool,
    waits_for: For,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// That a writer goes.
    Writer { next: Instant },
    /// The digests of the file.
    Hash { id: u64, leads: bool },
}

/// A file that is to be hashed, or is being.
struct Hashing {
    id: u64,
    user: u32,
    executes: bool,
    /// By which others who ask for the same file find it. Without one each has a hashing of its own.
    identity: Option<Identity>,
    sent: bool,
    tries: u8,
}

impl<T> Questions<T> {
    /// Room for `capacity` openers, each answered after `timer` at the latest, and for half as many that have their
    /// answer.
    pub(super) fn new(capacity: usize, timer: Duration) -> Self {
        let all = capacity + capacity / 2;
        Self {
            waiting: Vec::with_capacity(all),
            hashings: Vec::with_capacity(all),
            capacity,
            timer,
            last_id: 0,
            cancelled: Vec::new(),
        }
    }

    /// Whether an opener of this user can wait. While fewer than half of the places are taken anybody gets one; of
    /// the others nobody gets more than an eighth of all. Those who have their answer take none.
    pub(super) fn room(&self, user: u32) -> Room {
        let waiting = || self.waiting.iter().filter(|waiting| !waiting.late);
        let taken = waiting().count();
        let is_overdrawn = || waiting().filter(|waiting| waiting.user == user).count() >= self.share();
        match taken {
            _ if taken < self.capacity / 2 => Room::Free,
            _ if is_overdrawn() => Room::Overdrawn,
            _ if taken >= self.capacity => Room::Taken,
            _ => Room::Free,
        }
    }

    /// Whether one more of a user's files may be looked into when its opener has its answer already.
    pub(super) fn late_room(&self, user: u32) -> Room {
        let own = self.waiting.iter().filter(|waiting| waiting.late && waiting.user == user).count();
        match self.late_count() {
            _ if own >= self.share() => Room::Overdrawn,
            late if late >= self.capacity / 2 => Room::Taken,
            _ => Room::Free,
        }
    }

    fn share(&self) -> usize {
        self.capacity.div_ceil(8)
    }

    /// Whether all that is asked of others was asked, and nobody waits for a writer to be asked about.
    pub(super) fn is_all_sent(&self) -> bool {
        let waits = |waiting: &Waiting<T>| matches!(waiting.waits_for, For::Writer { .. });
        self.hashings.iter().all(|hashing| hashing.sent) && !self.waiting.iter().any(waits)
    }

    /// How many wait for their answer.
    pub(super) fn waiting_count(&self) -> u64 {
        self.waiting.iter().filter(|waiting| !waiting.late).count() as u64
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps an opener until the writer of its file goes.
    pub(super) fn wait_for_writer(&mut self, opener: T, user: u32, asked: Instant, now: Instant) {
        self.push(opener, user, asked, For::Writer { next: now + RETRY });
    }

    /// Keeps an opener until its file's digests are there; shares the hashing that is under way for the same user
    /// (another's may have to wait for much that is nobody else's) and the same purpose.
    pub(super) fn wait_for_hash(
        &mut self,
        opener: T,
        user: u32,
        executes: bool,
        asked: Instant,
        identity: Option<Identity>,
    ) {
        let is_it = |hashing: &&Hashing| {
            let same = (hashing.identity, hashing.user, hashing.executes) == (identity, user, executes);
            identity.is_some() && same
        };
        if let Some(id) = self.hashings.iter().find(is_it).map(|hashing| hashing.id) {
            self.push(opener, user, asked, For::Hash { id, leads: false });
            return;
        }
        self.last_id += 1;
        self.hashings.push(Hashing { id: self.last_id, user, executes, identity, sent: false, tries: 1 });
        self.push(opener, user, asked, For::Hash { id: self.last_id, leads: true });
    }

    /// The oldest hashing that nobody was asked for yet, and the opener whose descriptor goes with it.
    pub(super) fn unsent(&self) -> Option<(u64, &Waiting<T>)> {
        let hashing = self.hashings.iter().find(|hashing| !hashing.sent)?;
        Some((hashing.id, self.leader(hashing.id)?))
    }

    /// Notes that a hashing was asked for.
    pub(super) fn mark_sent(&mut self, id: u64) {
        self.set_sent(id, true);
    }

    /// Notes that whoever was asked is gone: all must be asked for again.
    pub(super) fn forget_sent(&mut self) {
        self.hashings.iter_mut().for_each(|hashing| hashing.sent = false);
        self.cancelled.clear();
    }

    /// Asks for a hashing once more, because the file changed meanwhile; `false` when that was often enough.
    pub(super) fn try_again(&mut self, id: u64) -> bool {
        self.set_sent(id, false);
        let Some(hashing) = self.hashings.iter_mut().find(|hashing| hashing.id == id) else { return false };
        hashing.tries += 1;
        hashing.tries <= TRIES
    }

    /// Whether a hashing was asked for before, in vain.
    pub(super) fn is_repeated(&self, id: u64) -> bool {
        self.hashings.iter().any(|hashing| hashing.id == id && hashing.tries > 1)
    }

    /// The opener whose descriptor a hashing reads.
    pub(super) fn leader(&self, id: u64) -> Option<&Waiting<T>> {
        self.waiting.iter().find(|waiting| waiting.waits_for == For::Hash { id, leads: true })
    }

    /// Takes out one opener after the other that waited for a hashing, its leader first, and then the hashing.
    pub(super) fn take_hashed(&mut self, id: u64) -> Option<Waiting<T>> {
        let for_it = |leads| move |waiting: &Waiting<T>| waiting.waits_for == For::Hash { id, leads };
        let index = self
            .waiting
            .iter()
            .position(for_it(true))
            .or_else(|| self.waiting.iter().position(for_it(false)));
        if index.is_none() {
            self.hashings.retain(|hashing| hashing.id != id);
        }
        index.map(|index| self.waiting.swap_remove(index))
    }

    /// Takes out one opener whose file is to be looked at again.
    pub(super) fn take_retry(&mut self, now: Instant) -> Option<Waiting<T>> {
        let due = |waiting: &Waiting<T>| matches!(waiting.waits_for, For::Writer { next } if next <= now);
        self.waiting.iter().position(due).map(|index| self.waiting.swap_remove(index))
    }

    /// The next opener whose time is over, as [`Self::set_late`] and [`Self::take`] know it.
    pub(super) fn next_late(&self, now: Instant) -> Option<usize> {
        self.waiting.iter().position(|waiting| {
            !waiting.late
                && waiting.asked + self.timer <= now
                && matches!(waiting.waits_for, For::Hash { .. })
        })
    }

    /// The opener stays, as one that has its answer. Also says whether its file is being hashed by its own
    /// descriptor.
    pub(super) fn set_late(&mut self, index: usize) -> (&mut Waiting<T>, bool) {
        let waiting = &mut self.waiting[index];
        waiting.late = true;
        let read = matches!(waiting.waits_for, For::Hash { id, leads: true }
            if self.hashings.iter().any(|hashing| hashing.id == id && hashing.sent));
        (waiting, read)
    }

    /// Takes out an opener that no verdict is of use for any more, and with the last one its hashing. One by whose
    /// descriptor others' file is read stays.
    pub(super) fn take(&mut self, index: usize) -> Option<Waiting<T>> {
        let For::Hash { id, leads } = self.waiting[index].waits_for else { return None };
        let is_for_it =
            |waiting: &&Waiting<T>| matches!(waiting.waits_for, For::Hash { id: of, .. } if of == id);
        let is_last = self.waiting.iter().filter(is_for_it).count() == 1;
        if leads && !is_last {
            return None;
        }
        if is_last && let Some(at) = self.hashings.iter().position(|hashing| hashing.id == id) {
            if self.hashings[at].sent {
                self.cancelled.push(id);
            }
            // In order: the oldest is asked for first.
            self.hashings.remove(at);
        }
        Some(self.waiting.swap_remove(index))
    }

    /// The late opener that has waited longest among those of the user who has most of them.
    pub(super) fn most_dispensable(&self) -> Option<usize> {
        let late = self.waiting.iter().filter(|waiting| waiting.late);
        let mut users: Vec<u32> = late.map(|waiting| waiting.user).collect();
        users.sort_unstable();
        let most = users.chunk_by(|one, next| one == next).max_by_key(|own| own.len())?.first()?;
        self.oldest_late(*most)
    }

    /// The late opener of this user that has waited longest.
    pub(super) fn oldest_late(&self, user: u32) -> Option<usize> {
        let own = self.waiting.iter().enumerate().filter(|(_, waiting)| waiting.late && waiting.user == user);
        own.min_by_key(|(_, waiting)| waiting.asked).map(|(index, _)| index)
    }

    /// The late openers of which `is_over` says that no verdict is of use any more, in ascending order; [`Self::take`]
    /// them from the last to the first.
    pub(super) fn find_late(&self, is_over: impl Fn(&Waiting<T>) -> bool) -> Vec<usize> {
        let late = self.waiting.iter().enumerate();
        late.filter(|(_, waiting)| waiting.late && is_over(waiting)).map(|(index, _)| index).collect()
    }

    /// One of those that wait.
    pub(super) fn at(&self, index: usize) -> &Waiting<T> {
        &self.waiting[index]
    }

    /// A hashing that was asked for in vain; its asker need not hear of it any more.
    pub(super) fn cancelled(&self) -> Option<u64> {
        self.cancelled.last().copied()
    }

    /// Notes that this was told.
    pub(super) fn mark_cancelled(&mut self, id: u64) {
        self.cancelled.retain(|cancelled| *cancelled != id);
    }

    /// Those that have their answer and whose file is still being hashed.
    pub(super) fn late(&mut self) -> impl Iterator<Item = &mut Waiting<T>> {
        self.waiting.iter_mut().filter(|waiting| waiting.late)
    }

    /// How many have their answer and wait for the verdict all the same.
    pub(super) fn late_count(&self) -> usize {
        self.waiting.iter().filter(|waiting| waiting.late).count()
    }

    /// When something is due by itself.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = |waiting: &Waiting<T>| match waiting.waits_for {
            For::Writer { next } => Some(next),
            For::Hash { .. } if waiting.late => None,
            For::Hash { .. } => Some(waiting.asked + self.timer),
        };
        self.waiting.iter().filter_map(due).min()
    }

    fn push(&mut self, opener: T, user: u32, asked: Instant, waits_for: For) {
        self.waiting.push(Waiting { opener, user, asked, late: false, waits_for });
    }

    fn set_sent(&mut self, id: u64, sent: bool) {
        if let Some(hashing) = self.hashings.iter_mut().find(|hashing| hashing.id == id) {
            hashing.sent = sent;
        }
    }
}

#[cfg(test)]
#[path = "questions_tests.rs"]
mod tests;
