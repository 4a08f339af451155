//! The warden, kept running until it is to stop.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::child::Child;
use super::event::Event;

/// How long the children may take to end when they are asked to.
const PATIENCE: Duration = Duration::from_secs(3);
/// Also without a signal somebody looks after them now and then.
const AT_LEAST: Duration = Duration::from_secs(5);

/// The child of `up`.
pub(super) struct Family {
    /// None where this process may not guard.
    warden: Option<Child>,
    /// When to look after them again.
    next: Instant,
}

impl Family {
    /// Not started yet.
    pub(super) fn of(warden: Option<Child>) -> Self {
        Self { warden, next: Instant::now() }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.warden.is_none()
    }

    /// Starts those that are to run and do not. Only ever called by the main thread.
    pub(super) fn tend(&mut self) {
        let now = Instant::now();
        let due = self.warden.iter_mut().filter_map(|child| child.tend(now)).min();
        self.next = due.unwrap_or(now + AT_LEAST);
    }

    /// The next event; or that it is time to look after the children.
    pub(super) fn wait(&self, inbox: &Receiver<Event>) -> Event {
        match inbox.recv_timeout(self.next.saturating_duration_since(Instant::now())) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => Event::ChildEnded,
            // Nobody is left who could ask for anything else.
            Err(RecvTimeoutError::Disconnected) => Event::Stop,
        }
    }

    /// Asks them to end, and ends them when they take too long or somebody asks once more.
    pub(super) fn stop(&mut self, inbox: &Receiver<Event>) {
        self.warden.iter().for_each(Child::ask_to_stop);
        let deadline = Instant::now() + PATIENCE;
        while !self.warden.iter_mut().all(Child::is_gone) {
            let asked_again = matches!(inbox.recv_timeout(Duration::from_millis(10)), Ok(Event::Stop));
            if asked_again || Instant::now() >= deadline {
                self.warden.iter_mut().for_each(Child::kill);
            }
        }
    }
}
