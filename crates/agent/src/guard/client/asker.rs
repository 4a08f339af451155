//! The guard at the other end, and which answers it still wants.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::link::{frame, v1};

/// One connection on which questions come. When it ends, nobody wants their answers. A guard that another relieves
/// asks nothing more, and still wants the answers to what it has asked.
pub(super) struct Asker {
    socket: Arc<OwnedFd>,
    wanted: Mutex<HashSet<u64>>,
    /// No more questions come.
    left: AtomicBool,
}

impl Asker {
    pub(super) fn new(socket: Arc<OwnedFd>) -> Self {
        Self { socket, wanted: Mutex::default(), left: AtomicBool::new(false) }
    }

    /// Notes a question, by its id.
    pub(super) fn asks(&self, id: u64) {
        self.wanted.lock().insert(id);
    }

    /// Notes that the answer to a question is of no use any more.
    pub(super) fn cancels(&self, id: u64) {
        self.wanted.lock().remove(&id);
    }

    /// Notes that it asks nothing more.
    pub(super) fn leaves(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    pub(super) fn wants(&self, id: u64) -> bool {
        let mut wanted = self.wanted.lock();
        if self.left.load(Ordering::Relaxed) && !wanted.is_empty() && is_closed(&self.socket) {
            wanted.clear();
        }
        wanted.contains(&id)
    }

    /// Answers a question, if that is still wanted.
    pub(super) fn tell(&self, answer: &v1::Hashed) {
        if self.wanted.lock().remove(&answer.id) {
            // It fails only when the guard is gone, and then nobody waits.
            let _ = sys::socket::send(self.socket.as_fd(), &frame::body(answer), &[], false);
        }
    }
}

/// Whether nobody listens at the other end, either.
fn is_closed(socket: &OwnedFd) -> bool {
    let mut sources = [PollFd::new(socket, PollFlags::empty())];
    let _ = poll(&mut sources, Some(&Timespec::default()));
    sources[0].revents().contains(PollFlags::HUP)
}

#[cfg(test)]
mod tests {
    use rustix::net::{Shutdown, shutdown};

    use super::*;

    #[test]
    fn one_that_asks_nothing_more_still_wants_its_answers_until_it_is_gone() {
        let (ours, theirs) = sys::socket::pair(sys::socket::Kind::Packets).unwrap();
        let asker = Asker::new(Arc::new(ours));
        [1, 2].into_iter().for_each(|id| asker.asks(id));
        shutdown(&theirs, Shutdown::Write).unwrap();
        asker.leaves();
        assert!(asker.wants(1));
        asker.tell(&v1::Hashed { id: 1, ..Default::default() });
        let told = sys::socket::receive(theirs.as_fd(), &mut [0; 64], &mut []).unwrap();
        assert!(told.length > 0 && !asker.wants(1) && asker.wants(2));
        drop(theirs);
        assert!(!asker.wants(2));
    }
}
