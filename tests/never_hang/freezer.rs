//! Control groups of the test's own, to freeze a process in.

use std::path::PathBuf;
use std::time::Duration;

use sys::cgroup::{Hierarchy, hierarchies};
use tests::wait_for;

/// A frozen group with one process in it. Dropped, it thaws, and goes when it is empty.
pub(crate) struct Frozen {
    hierarchy: Hierarchy,
    group: PathBuf,
}

impl Frozen {
    /// Freezes a process in the old hierarchy or the unified one; `None`, and a line that says so, where there is
    /// no such.
    pub(crate) fn freeze(pid: i32, is_old: bool) -> Option<Self> {
        let hierarchy = hierarchies().unwrap().into_iter().find(|hierarchy| hierarchy.is_old() == is_old);
        let made = hierarchy.and_then(|hierarchy| {
            let group =
                hierarchy.make(hierarchy.root(), &format!("never-hang-{}-{pid}", std::process::id())).ok()?;
            Some(Self { hierarchy, group })
        });
        let Some(frozen) = made else {
            println!("not run: no {} hierarchy to freeze in", if is_old { "old" } else { "unified" });
            return None;
        };
        frozen.hierarchy.put(&frozen.group, pid).unwrap();
        frozen.hierarchy.freeze(&frozen.group, true).unwrap();
        Some(frozen)
    }

    pub(crate) fn thaw(&self) {
        let _ = self.hierarchy.freeze(&self.group, false);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
        // Who still lives there goes on elsewhere.
        let pids = std::fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
            let _ = self.hierarchy.put(self.hierarchy.root(), pid);
        }
        let removed = || std::fs::remove_dir(&self.group).ok();
        if !std::thread::panicking() {
            wait_for("a group to be empty", Duration::from_secs(10), removed);
        }
    }
}
