//! Files that the timer let run before their verdict came, and who runs them since.
//!
//! The guard stops the process that it let go on, if that runs the file itself. It sees neither what an interpreter
//! makes of a script nor the children of those first moments; a sweep does.

use std::collections::VecDeque;

use model::Sha256;

/// As many are remembered until the next sweep, which is soon.
const ROOM: usize = 1024;
/// One file that a process was let run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late {
    /// The file.
    pub(crate) sha256: Sha256,
    /// The process, which may have ended.
    pub(crate) pid: i32,
    /// When it was let run, in clock ticks since boot.
    pub(crate) since: u64,
}

impl Late {
    /// Whether a process that runs this file does so because of it: it is that one, or was started since.
    pub(super) fn covers(&self, pid: i32, sha256: &Sha256) -> bool {
        self.sha256 == *sha256
            && (self.pid == pid || sys::processes::start_time(pid).is_ok_and(|time| time >= self.since))
    }
}

/// Those that no sweep has looked for yet.
#[derive(Debug, Default)]
pub(super) struct Lates(VecDeque<Late>);

impl Lates {
    pub(super) fn put(&mut self, late: Late) {
        if self.0.len() == ROOM {
            self.0.pop_front();
        }
        self.0.push_back(late);
    }

    pub(super) fn take(&mut self) -> Vec<Late> {
        std::mem::take(&mut self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_covers_the_process_and_who_was_started_since() {
        let (this, file) = (std::process::id().cast_signed(), Sha256([1; 32]));
        let late = |pid, since| Late { sha256: file, pid, since };
        let started = sys::processes::start_time(this).unwrap();
        assert!(late(this, u64::MAX).covers(this, &file));
        assert!(late(1, started).covers(this, &file));
        assert!(!late(1, started + 1).covers(this, &file), "it was started before");
        assert!(!late(this, 0).covers(this, &Sha256([2; 32])));
        let now = sys::processes::now();
        assert!(started <= now && now < started + 360_000, "one clock for both: {started}, {now}");
    }

    #[test]
    fn the_oldest_give_way() {
        let mut lates = Lates::default();
        (0..=ROOM).for_each(|n| lates.put(Late { sha256: Sha256([0; 32]), pid: n as i32, since: 0 }));
        let taken = lates.take();
        assert_eq!((taken.len(), taken[0].pid), (ROOM, 1));
        assert!(lates.take().is_empty());
    }
}
