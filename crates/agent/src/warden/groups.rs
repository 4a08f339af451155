//! Control groups of our own, so that whoever freezes the guard's or the agent's does not freeze the warden. Best
//! effort: where groups can't be made, the three share one.

use std::path::PathBuf;

use sys::cgroup::{Hierarchy, hierarchies};

/// Names of groups begin so.
const PREFIX: &str = "quell-";

/// The groups of one warden and its children, in each hierarchy that can freeze.
#[derive(Debug)]
pub(super) struct Groups {
    hierarchies: Vec<(Hierarchy, PathBuf)>,
    made: Vec<PathBuf>,
}

impl Groups {
    /// Finds where this process is, removes what an earlier warden has left there, and moves to a group of its own.
    pub(super) fn enter() -> Self {
        let own = std::process::id().cast_signed();
        let found = hierarchies().unwrap_or_default();
        let placed = found.into_iter().filter_map(|hierarchy| {
            let parent = hierarchy.group_of(own).ok()?;
            Some((hierarchy, parent))
        });
        let mut groups = Self { hierarchies: placed.collect(), made: Vec::new() };
        groups.remove_left();
        groups.put("warden", own);
        groups
    }

    /// Moves a process to the group of this name. Says in the log where that can't be.
    pub(super) fn put(&mut self, name: &str, pid: i32) {
        let name = format!("{PREFIX}{}-{name}", std::process::id());
        for (hierarchy, parent) in &self.hierarchies {
            let group = hierarchy.make(parent, &name);
            let done = group.and_then(|group| {
                if !self.made.contains(&group) {
                    self.made.push(group.clone());
                }
                hierarchy.put(&group, pid)
            });
            if let Err(error) = done {
                let parent = parent.display();
                tracing::info!(%error, "{name} is no group of its own in {parent}: who freezes one freezes all");
            }
        }
    }

    /// Removes the groups; their processes must have ended. This one goes back to where it came from.
    pub(super) fn leave(&mut self) {
        for (hierarchy, parent) in &self.hierarchies {
            let _ = hierarchy.put(parent, std::process::id().cast_signed());
        }
        for group in self.made.drain(..) {
            // It fails while somebody is in it; the next warden tries again.
            let _ = std::fs::remove_dir(group);
        }
    }

    /// A group with a process in it can't be removed, so that nobody's is who lives.
    fn remove_left(&self) {
        for (_, parent) in &self.hierarchies {
            let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
                let _ = std::fs::remove_dir(entry.path());
            }
        }
    }
}

/// Lets a process go on that the old freezer has stopped: there, not even SIGKILL ends it. Its group stays frozen.
pub(super) fn thaw(pid: i32) {
    for hierarchy in hierarchies().unwrap_or_default().iter().filter(|hierarchy| hierarchy.is_old()) {
        let _ = hierarchy.put(hierarchy.root(), pid);
    }
}

/// Whether somebody has frozen the group that a process is in.
pub(super) fn is_frozen(pid: i32) -> bool {
    let hierarchies = hierarchies().unwrap_or_default();
    hierarchies.iter().any(|one| one.group_of(pid).is_ok_and(|group| one.is_frozen(&group)))
}
