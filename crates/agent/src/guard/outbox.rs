//! Denials on their way to the agent, kept while there is none.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use parking_lot::Mutex;
use wire::link::v1;

use super::counters::Counters;
use super::shared::{bell, ring};

/// The last ones that are kept.
const ROOM: usize = 1024;

pub(super) struct Outbox<'g> {
    denials: Mutex<VecDeque<v1::Denial>>,
    counters: &'g Counters,
    /// Rung when there is something new.
    pub(super) bell: OwnedFd,
}

impl<'g> Outbox<'g> {
    /// # Errors
    /// EMFILE.
    pub(super) fn new(counters: &'g Counters) -> std::io::Result<Self> {
        Ok(Self { denials: Mutex::new(VecDeque::with_capacity(ROOM)), counters, bell: bell()? })
    }

    /// Adds one at the end; the oldest goes when there is no room.
    pub(super) fn put(&self, denial: v1::Denial) {
        let mut denials = self.denials.lock();
        if denials.len() == ROOM {
            denials.pop_front();
            self.counters.reports_lost.count();
        }
        denials.push_back(denial);
        drop(denials);
        ring(&self.bell);
    }

    /// Takes the oldest.
    pub(super) fn take(&self) -> Option<v1::Denial> {
        self.denials.lock().pop_front()
    }

    /// Puts one back that could not be sent.
    pub(super) fn put_back(&self, denial: v1::Denial) {
        let mut denials = self.denials.lock();
        if denials.len() == ROOM {
            self.counters.reports_lost.count();
        } else {
            denials.push_front(denial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_kept_and_the_lost_are_counted() {
        let counters = Counters::default();
        let outbox = Outbox::new(&counters).unwrap();
        for pid in 0..i32::try_from(ROOM).unwrap() + 3 {
            outbox.put(v1::Denial { pid, ..Default::default() });
        }
        assert_eq!(counters.message().reports_lost, 3);
        let oldest = outbox.take().unwrap();
        assert_eq!(oldest.pid, 3);
        outbox.put_back(oldest);
        assert_eq!(outbox.take().unwrap().pid, 3);
        assert_eq!(outbox.take().unwrap().pid, 4);
    }
}
