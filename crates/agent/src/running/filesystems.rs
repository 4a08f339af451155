//! On what kind of filesystem the files of processes lie, without asking any of them.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;

use sys::mounts::{self, Mount, Tree};

use crate::filesystems::may_hang;

/// What must be known of a filesystem before its files are touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filesystem {
    /// The kernel itself keeps the files: reading one waits for nobody.
    pub(super) is_local: bool,
    /// Files can be changed without a new ctime.
    pub(super) hides_writes: bool,
}

/// Filesystems by device, learnt from the mount tables of the processes that use them.
#[derive(Debug)]
pub(super) struct Filesystems {
    by_device: HashMap<u64, Filesystem>,
    /// Mount namespaces whose tables were read.
    read: HashSet<u64>,
}

impl Filesystems {
    /// Those mounted here, and the one without a mount where memfds lie.
    pub(super) fn new() -> Self {
        let mut own = Self { by_device: HashMap::new(), read: HashSet::new() };
        own.learn(mounts::current().unwrap_or_default(), true);
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let memory = rustix::fs::memfd_create("quell", flags).and_then(rustix::fs::fstat);
        if let Ok(memory) = memory {
            own.by_device.insert(memory.st_dev, Filesystem { is_local: true, hides_writes: true });
        }
        own
    }

    /// The filesystem of a device that process `pid` uses; `None` when no mount table tells, and then its files are
    /// better left alone.
    pub(super) fn of(&mut self, device: u64, pid: i32) -> Option<Filesystem> {
        if let Some(known) = self.by_device.get(&device) {
            return Some(*known);
        }
        let namespace = std::fs::metadata(format!("/proc/{pid}/ns/mnt")).ok()?.ino();
        if self.read.insert(namespace) {
            let is_ours = mounts::is_of_our_users(pid).unwrap_or(false);
            self.learn(mounts::of_process(pid).unwrap_or_default(), is_ours);
        }
        self.by_device.get(&device).copied()
    }

    /// Forgets which tables were read: something may have been mounted there since.
    pub(super) fn look_again(&mut self) {
        self.read.clear();
        self.learn(mounts::current().unwrap_or_default(), true);
    }

    fn learn(&mut self, table: Vec<Mount>, is_ours: bool) {
        let tree = Tree::new(table);
        self.by_device.extend(tree.mounts().iter().map(|mount| {
            let is_local = mounts::is_local(mount) && !may_hang(mount, &tree, is_ours);
            (mount.device, Filesystem { is_local, hides_writes: mounts::hides_changes(mount) })
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_this_machine_are_local_and_those_of_proc_are_not() {
        let own = std::process::id().cast_signed();
        let mut filesystems = Filesystems::new();
        let mut of = |path: &str| filesystems.of(std::fs::metadata(path).unwrap().dev(), own);
        assert!(of("/proc/self/exe").is_some_and(|filesystem| filesystem.is_local));
        assert_eq!(of("/proc/self/status"), Some(Filesystem { is_local: false, hides_writes: false }));
        let memory = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let device = rustix::fs::fstat(&memory).unwrap().st_dev;
        assert_eq!(filesystems.of(device, own), Some(Filesystem { is_local: true, hides_writes: true }));
        assert_eq!(filesystems.of(u64::MAX, own), None);
    }
}
