//! How far the inventory is behind what has happened on the machine. An act's search is whole only when it is not.

use std::time::{Duration, Instant};

use crate::core::Core;

/// How long a search waits for the kernel's notes before it begins with what is known.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it is looked.
const TICK: Duration = Duration::from_millis(1);

/// What had happened at one moment, and was not looked at. What happens later is not waited for, or one who renames
/// directories all the time would keep us waiting.
#[derive(Debug)]
pub(crate) struct Behind {
    since: Instant,
    /// Looks at directories that were handed on by then, once the notes of that moment are here.
    directories: Option<u64>,
    /// What was asked for by then, once those are done.
    turn: Option<u64>,
}

impl Behind {
    /// Now. Most often what was noticed a moment ago is looked at in the next: that is waited for.
    pub(crate) fn now(core: &Core) -> Self {
        let since = Instant::now();
        let mut behind = Self { since, directories: None, turn: None };
        while behind.waits_since(core).is_some() && behind.turn.is_none() && since.elapsed() < PATIENCE {
            std::thread::sleep(TICK);
        }
        behind
    }

    /// Since when the first waits of what must be looked at in the guarded places; none when all of it was.
    pub(crate) fn waits_since(&mut self, core: &Core) -> Option<Instant> {
        if self.directories.is_none() {
            if !core.pending.has_taken_in(self.since) {
                return Some(self.since);
            }
            self.directories = Some(core.pending.directories());
        }
        if self.directories.is_some_and(|directories| !core.pending.has_done(directories)) {
            return Some(self.since);
        }
        let turn = *self.turn.get_or_insert_with(|| core.errands.turn());
        core.errands.oldest(turn, |path| core.places.guards(path))
    }
}

#[cfg(test)]
mod tests;
