//! The guard at the other end, and which answers it still wants.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use wire::link::{frame, v1};

/// One connection on which questions come. When it ends, nobody wants their answers.
pub(super) struct Asker {
    socket: Arc<OwnedFd>,
    wanted: Mutex<HashSet<u64>>,
}

impl Asker {
    pub(super) fn new(socket: Arc<OwnedFd>) -> Self {
        Self { socket, wanted: Mutex::default() }
    }

    /// Notes a question, by its id.
    pub(super) fn asks(&self, id: u64) {
        self.wanted.lock().insert(id);
    }

    /// Notes that the answer to a question is of no use any more.
    pub(super) fn cancels(&self, id: u64) {
        self.wanted.lock().remove(&id);
    }

    /// Notes that nobody listens any more.
    pub(super) fn leaves(&self) {
        self.wanted.lock().clear();
    }

    pub(super) fn wants(&self, id: u64) -> bool {
        self.wanted.lock().contains(&id)
    }

    /// Answers a question, if that is still wanted.
    pub(super) fn tell(&self, answer: &v1::Hashed) {
        if self.wanted.lock().remove(&answer.id) {
            // It fails only when the guard is gone, and then nobody waits.
            let _ = sys::socket::send(self.socket.as_fd(), &frame::body(answer), &[], false);
        }
    }
}
