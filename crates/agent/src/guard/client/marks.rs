//! Which filesystems the guard asks about, and bringing it more of them.

use std::collections::BTreeSet;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wire::link::{frame, things, v1};

use super::control::Control;
use crate::guard::protocol;

/// How long the guard's reply is waited for. It sends many others, and is never far behind.
const PATIENCE: Duration = Duration::from_secs(1);

/// The guard's marks. For one thread at a time.
#[derive(Clone, Debug)]
pub struct Marks {
    control: Arc<Control>,
}

impl Marks {
    pub(super) fn new(control: Arc<Control>) -> Self {
        Self { control }
    }

    /// Rings this bell whenever a guard has rules, and so begins to mark, and when it is gone.
    pub(crate) fn ring_when_ready(&self, bell: Arc<OwnedFd>) {
        self.control.ring_when_ready(bell);
    }

    /// The devices of the filesystems that are asked about, by the kernel's account. `None` when no guard replies.
    pub fn list(&self) -> Option<BTreeSet<u64>> {
        self.control.ask(protocol::MARKS, &[], PATIENCE, |heard| heard.marks.take())
    }

    /// Has the guard ask about one filesystem more: that of `object`, which is `device`.
    ///
    /// # Errors
    /// Why it does not, in words.
    pub fn add(&self, object: BorrowedFd<'_>, device: u64, path: &Path) -> Result<(), String> {
        let mark = v1::Mark { device, path: things::bytes_of(path) };
        let packet = [protocol::MARK, &frame::body(&mark)].concat();
        let reply = self.control.ask(&packet, &[object], PATIENCE, |heard| {
            heard.marked.take_if(|(marked, _)| *marked == device).map(|(_, outcome)| outcome)
        });
        reply.unwrap_or_else(|| Err("the guard does not reply".to_owned()))
    }
}
