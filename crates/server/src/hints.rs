//! Wake-ups between those who change something and those who pass it on.
//!
//! A hint carries no data and may get lost: whoever listens also looks by himself once in a while, so that a
//! lost hint costs latency and nothing else.

use model::{MachineId, OrganizationId};
use tokio::sync::broadcast;

/// What may be worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The organization's log has new entries.
    LogMoved(OrganizationId),
    /// A machine of the organization has new acts.
    ActsChanged(OrganizationId, MachineId),
}

impl Hint {
    /// Whether that machine should look.
    pub fn concerns(&self, organization: OrganizationId, machine: MachineId) -> bool {
        match self {
            Self::LogMoved(whose) => *whose == organization,
            Self::ActsChanged(whose, which) => *whose == organization && *which == machine,
        }
    }
}

/// The channel of hints within one process. Clones share it.
#[derive(Clone, Debug)]
pub struct Hints(broadcast::Sender<Hint>);

/// Who falls further behind than this is told so once, instead of each hint.
const BACKLOG: usize = 256;

impl Default for Hints {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Hints {
    /// Passes a hint on; that nobody listens is no error.
    pub fn give(&self, hint: Hint) {
        // The error means exactly that nobody listens.
        let _ = self.0.send(hint);
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// One who listens.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Hint>);

impl Listener {
    /// Waits until something may concern that machine. Having missed hints counts as one. Never returns once
    /// nobody can give hints any more.
    pub async fn concerned(&mut self, organization: OrganizationId, machine: MachineId) {
        loop {
            match self.0.recv().await {
                Ok(hint) if hint.concerns(organization, machine) => return,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
