//! Whose file is read next.
//!
//! Reading takes turns: a worker takes a job, reads a slice, and puts the job back if that was not all. So nobody
//! keeps others waiting by the size or the number of what he executes. **Between users the one for whom least was
//! read comes first**; one who comes back after a pause begins level with the others and has saved nothing up.
//! **Of one user's files the one with the least left comes first**: a small file waits for no large one.
//!
//! Before that, **a device that nobody reads comes first**, and one on which a reader stands still gets few more:
//! who waits for a dying disk does not keep others waiting.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// A turn that takes longer is not on its way: its thread waits for a disk, or for a processor.
const STILL: Duration = Duration::from_millis(100);
/// How often turns that are under way are looked at.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// How many threads take turns.
#[derive(Clone, Copy)]
pub(super) struct Crew {
    /// So many that don't stand still.
    pub(super) moving: usize,
    /// In all, with those that do.
    pub(super) most: usize,
    /// Readers of one device, once one of them stands still.
    pub(super) most_still_on_one: usize,
    /// Who stands still for longer is told of.
    pub(super) told_after: Option<Duration>,
}

/// What a crew lacks.
pub(super) enum Lack {
    /// One thread, which is taken to be there from now on.
    Thread,
    /// Nothing at the moment.
    Nothing,
    /// It is not needed any more.
    Over,
}

/// Jobs by user. Shared by whoever puts jobs in and the workers.
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
    /// A turn is under way again.
    begun: Condvar,
    room: usize,
    crew: Crew,
}

/// A turn: who takes one gives it back by [`Queue::served`].
pub(super) struct Taken {
    pub(super) user: u32,
    pub(super) device: u64,
    number: u64,
}

struct State<J> {
    users: HashMap<u32, User<J>>,
    waiting: usize,
    /// What was read for the user whose turn was last: where one who comes begins.
    level: u64,
    /// The turns that are under way, by number: on which device, and since when.
    under_way: HashMap<u64, (u64, Instant)>,
    last_number: u64,
    threads: usize,
    /// Whoever minds the crew waits for a turn to begin.
    unminded: bool,
    closed: bool,
}

struct User<J> {
    jobs: Vec<Waiting<J>>,
    /// Jobs that workers have.
    taken: usize,
    served: u64,
}

struct Waiting<J> {
    left: u64,
    device: u64,
    job: J,
}

impl<J> Queue<J> {
    /// Room for so many jobs.
    pub(super) fn new(room: usize, crew: Crew) -> Self {
        let state = State {
            users: HashMap::new(),
            waiting: 0,
            level: 0,
            under_way: HashMap::new(),
            last_number: 0,
            threads: 0,
            unminded: false,
            closed: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), begun: Condvar::new(), room, crew }
    }

    /// Adds a job of which `left` bytes are to be read from a device; gives it back when there is no room.
    pub(super) fn put(&self, user: u32, device: u64, left: u64, job: J) -> Result<(), J> {
        let mut state = self.state.lock();
        if state.closed || state.waiting >= self.room {
            return Err(job);
        }
        let level = state.level;
        let owner = state.users.entry(user).or_insert(User { jobs: Vec::new(), taken: 0, served: level });
        owner.jobs.push(Waiting { left, device, job });
        state.waiting += 1;
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job, once there is one; none when the queue was closed, or when there are workers enough without this
    /// one. The worker says by [`Self::served`] when its turn is over.
    pub(super) fn take(&self) -> Option<(Taken, J)> {
        let mut state = self.state.lock();
        loop {
            let now = Instant::now();
            if state.closed || state.moving(now) > self.crew.moving {
                state.threads = state.threads.saturating_sub(1);
                drop(state);
                // Another one may have been meant to wake.
                self.changed.notify_one();
                return None;
            }
            if let Some((user, place)) = state.next(now, self.crew.most_still_on_one)
                && let Some(taken) = state.take(user, place, now)
            {
                if std::mem::take(&mut state.unminded) {
                    self.begun.notify_one();
                }
                return Some(taken);
            }
            self.changed.wait(&mut state);
        }
    }

    /// Ends a turn in which `read` bytes were read, and takes the job back if there is more to read of it.
    pub(super) fn served(&self, taken: &Taken, read: u64, rest: Option<(u64, J)>) {
        let mut state = self.state.lock();
        state.under_way.remove(&taken.number);
        let more = rest.is_some();
        if let Some(owner) = state.users.get_mut(&taken.user) {
            owner.taken -= 1;
            // Looking at an empty file is work as well.
            owner.served += read.max(4096);
            owner.jobs.extend(rest.map(|(left, job)| Waiting { left, device: taken.device, job }));
            if owner.jobs.is_empty() && owner.taken == 0 {
                state.users.remove(&taken.user);
            }
        }
        state.waiting += usize::from(more);
        // Its device may be free now for a job that could not be taken before.
        let any = state.waiting > 0;
        drop(state);
        if any {
            self.changed.notify_one();
        }
    }

    /// Drops the jobs that wait and are not to be kept.
    pub(super) fn retain(&self, keep: impl Fn(&J) -> bool) {
        let mut dropped = Vec::new();
        let mut state = self.state.lock();
        for user in state.users.values_mut() {
            dropped.extend(user.jobs.extract_if(.., |waiting| !keep(&waiting.job)));
        }
        state.users.retain(|_, user| !user.jobs.is_empty() || user.taken > 0);
        state.waiting -= dropped.len();
        // Closing their files may take long.
        drop(state);
    }

    /// Waits for a moment, or while nothing is under way, and says what the crew lacks.
    pub(super) fn lack(&self) -> Lack {
        let mut state = self.state.lock();
        let mut waited = false;
        loop {
            if state.closed {
                return Lack::Over;
            }
            if state.threads < self.crew.most && state.moving(Instant::now()) < self.crew.moving {
                state.threads += 1;
                return Lack::Thread;
            }
            if waited {
                return Lack::Nothing;
            }
            if state.under_way.is_empty() {
                state.unminded = true;
                self.begun.wait(&mut state);
            } else {
                self.begun.wait_for(&mut state, TICK);
                waited = true;
            }
        }
    }

    /// A thread is not there after all.
    pub(super) fn leave(&self) {
        self.state.lock().threads -= 1;
    }

    /// The devices of which readers have stood still for long, once for each reader.
    pub(super) fn standing_still(&self) -> Vec<u64> {
        let Some(told_after) = self.crew.told_after else { return Vec::new() };
        let state = self.state.lock();
        let long = state.under_way.values().filter(|(_, since)| since.elapsed() >= told_after);
        let mut devices: Vec<_> = long.map(|(device, _)| *device).collect();
        devices.sort_unstable();
        devices
    }

    /// Nobody gets a job any more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
        self.begun.notify_all();
    }

    /// Whether nobody has a turn or waits for one.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.waiting == 0 && state.under_way.is_empty()
    }

    /// Waits for at most `patience`, or until the queue is closed.
    pub(super) fn pause(&self, patience: Duration) {
        let mut state = self.state.lock();
        if !state.closed {
            self.changed.wait_for(&mut state, patience);
        }
    }

    /// Those that wait, and those that workers have.
    #[cfg(test)]
    pub(super) fn jobs(&self) -> usize {
        let state = self.state.lock();
        state.waiting + state.under_way.len()
    }

    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        self.state.lock().threads
    }
}

impl<J> State<J> {
    /// How many threads don't stand still.
    fn moving(&self, now: Instant) -> usize {
        let still = self.under_way.values().filter(|turn| is_still(turn, now)).count();
        self.threads.saturating_sub(still)
    }

    /// Whose job is next, and which of his.
    fn next(&self, now: Instant, most_still_on_one: usize) -> Option<(u32, usize)> {
        // How many read each device, and whether one of them stands still: few enough to be looked through.
        let mut read: Vec<(u64, usize, bool)> = Vec::new();
        for turn in self.under_way.values() {
            match read.iter_mut().find(|(device, ..)| *device == turn.0) {
                Some((_, readers, still)) => {
                    *readers += 1;
                    *still |= is_still(turn, now);
                }
                None => read.push((turn.0, 1, is_still(turn, now))),
            }
        }
        let rank = |waiting: &Waiting<J>| match read.iter().find(|(device, ..)| *device == waiting.device) {
            None => Some(0),
            Some((_, _, false)) => Some(1),
            Some((_, readers, true)) => (*readers < most_still_on_one).then_some(2),
        };
        let ranked = self.users.iter().flat_map(|(id, user)| {
            let jobs = user.jobs.iter().enumerate();
            jobs.filter_map(|(place, job)| Some(((rank(job)?, user.served, job.left), (*id, place))))
        });
        ranked.min_by_key(|(order, _)| *order).map(|(_, found)| found)
    }

    fn take(&mut self, id: u32, place: usize, now: Instant) -> Option<(Taken, J)> {
        let user = self.users.get_mut(&id)?;
        let Waiting { device, job, .. } = user.jobs.swap_remove(place);
        user.taken += 1;
        self.level = self.level.max(user.served);
        self.waiting -= 1;
        self.last_number += 1;
        self.under_way.insert(self.last_number, (device, now));
        Some((Taken { user: id, device, number: self.last_number }, job))
    }
}

fn is_still((_, since): &(u64, Instant), now: Instant) -> bool {
    now.saturating_duration_since(*since) >= STILL
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
