//! Whose file is read next.
//!
//! Reading takes turns: a worker takes a job, reads a slice, and puts the job back if that was not all. So nobody
//! keeps others waiting by the size or the number of what he executes. **Between users the one for whom least was
//! read comes first**; one who comes back after a pause begins level with the others and has saved nothing up.
//! **Of one user's files the one with the least left comes first**: a small file waits for no large one.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Jobs by user. Shared by whoever puts jobs in and the workers.
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
    room: usize,
}

struct State<J> {
    users: HashMap<u32, User<J>>,
    waiting: usize,
    /// What was read for the user whose turn was last: where one who comes begins.
    level: u64,
    closed: bool,
}

struct User<J> {
    jobs: Vec<(u64, J)>,
    /// Jobs that workers have.
    taken: usize,
    served: u64,
}

impl<J> Queue<J> {
    /// Room for so many jobs.
    pub(super) fn new(room: usize) -> Self {
        let state = State { users: HashMap::new(), waiting: 0, level: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), room }
    }

    /// Adds a job of which `left` bytes are to be read; gives it back when there is no room.
    pub(super) fn put(&self, user: u32, left: u64, job: J) -> Result<(), J> {
        let mut state = self.state.lock();
        if state.closed || state.waiting >= self.room {
            return Err(job);
        }
        let level = state.level;
        let owner = state.users.entry(user).or_insert(User { jobs: Vec::new(), taken: 0, served: level });
        owner.jobs.push((left, job));
        state.waiting += 1;
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job and its user, once there is one; none when the queue was closed. The worker says by
    /// [`Self::served`] when its turn is over.
    pub(super) fn take(&self) -> Option<(u32, J)> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            let with_jobs = state.users.iter().filter(|(_, user)| !user.jobs.is_empty());
            if let Some(id) = with_jobs.min_by_key(|(_, user)| user.served).map(|(id, _)| *id)
                && let Some(job) = state.take_of(id)
            {
                return Some((id, job));
            }
            self.changed.wait(&mut state);
        }
    }

    /// Ends a turn in which `read` bytes were read, and takes the job back if there is more to read of it.
    pub(super) fn served(&self, user: u32, read: u64, rest: Option<(u64, J)>) {
        let mut state = self.state.lock();
        let Some(owner) = state.users.get_mut(&user) else { return };
        owner.taken -= 1;
        // Looking at an empty file is work as well.
        owner.served += read.max(4096);
        let more = rest.is_some();
        owner.jobs.extend(rest);
        if owner.jobs.is_empty() && owner.taken == 0 {
            state.users.remove(&user);
        }
        state.waiting += usize::from(more);
        drop(state);
        if more {
            self.changed.notify_one();
        }
    }

    /// Nobody gets a job any more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for at most `patience`, or until the queue is closed.
    pub(super) fn pause(&self, patience: Duration) {
        let mut state = self.state.lock();
        if !state.closed {
            self.changed.wait_for(&mut state, patience);
        }
    }
}

impl<J> State<J> {
    fn take_of(&mut self, id: u32) -> Option<J> {
        let user = self.users.get_mut(&id)?;
        let (place, _) = user.jobs.iter().enumerate().min_by_key(|(_, (left, _))| *left)?;
        let (_, job) = user.jobs.swap_remove(place);
        user.taken += 1;
        self.level = self.level.max(user.served);
        self.waiting -= 1;
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Takes turns of `slice` bytes until all is read; who was served, in that order.
    fn turns(queue: &Queue<(char, u64)>, slice: u64) -> String {
        let mut order = String::new();
        while queue.state.lock().waiting > 0 {
            let (user, (name, left)) = queue.take().unwrap();
            order.push(name);
            let read = left.min(slice);
            let rest = (left > read).then_some((left - read, (name, left - read)));
            queue.served(user, read, rest);
        }
        order
    }

    #[test]
    fn a_small_file_waits_for_no_large_one() {
        let queue = Queue::new(8);
        queue.put(1, 3 * MIB, ('L', 3 * MIB)).unwrap();
        queue.put(1, MIB / 2, ('s', MIB / 2)).unwrap();
        assert_eq!(turns(&queue, MIB), "sLLL");
    }

    #[test]
    fn a_flood_of_one_user_costs_another_one_turn() {
        let queue = Queue::new(100);
        for _ in 0..50 {
            queue.put(1, MIB, ('a', MIB)).unwrap();
        }
        let (user, (_, read)) = queue.take().unwrap();
        queue.put(2, MIB, ('b', MIB)).unwrap();
        queue.served(user, read, None);
        assert!(turns(&queue, MIB).starts_with('b'));
    }

    #[test]
    fn a_pause_saves_nothing_up() {
        let queue = Queue::new(100);
        for _ in 0..10 {
            queue.put(1, MIB, ('a', MIB)).unwrap();
        }
        for _ in 0..5 {
            let (user, (_, read)) = queue.take().unwrap();
            queue.served(user, read, None);
        }
        for _ in 0..5 {
            queue.put(2, MIB, ('b', MIB)).unwrap();
        }
        let order = turns(&queue, MIB);
        assert!(!order.contains("bbb"), "{order}");
    }

    #[test]
    fn there_is_room_for_so_many_and_an_end() {
        let queue = Queue::new(2);
        assert_eq!(
            (queue.put(1, 1, 'a'), queue.put(1, 1, 'b'), queue.put(1, 1, 'c')),
            (Ok(()), Ok(()), Err('c'))
        );
        queue.close();
        assert_eq!(queue.take(), None);
        assert_eq!(queue.put(1, 1, 'd'), Err('d'));
    }

    #[test]
    fn who_has_no_job_is_forgotten() {
        let queue = Queue::new(2);
        queue.put(7, 1, ()).unwrap();
        let (user, ()) = queue.take().unwrap();
        queue.served(user, 1, None);
        assert!(queue.state.lock().users.is_empty());
    }
}
