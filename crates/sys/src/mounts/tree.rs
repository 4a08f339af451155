//! How paths lead to mounts, told from the table alone: to find out by looking would be too late.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::{Kind, Mount, kind};

/// The mounts of one namespace.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    mounts: Vec<Mount>,
    /// What is mounted on a mount, at a path of the namespace.
    on: HashMap<(u64, PathBuf), usize>,
    root: Option<usize>,
}

/// How the path of a mount leads to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'t> {
    /// Through nothing but what the kernel keeps.
    Clear,
    /// It does not: this covers it, or a directory above it.
    Covered(&'t Mount),
    /// Through a filesystem of somebody else, who might never answer.
    Past(&'t Mount),
}

impl Tree {
    /// Of all mounts that one table shows.
    pub fn new(mounts: Vec<Mount>) -> Self {
        let on =
            mounts.iter().enumerate().map(|(n, mount)| ((mount.parent, mount.point.clone()), n)).collect();
        let is_shown = |id: u64| mounts.iter().any(|mount| mount.id == id);
        let root = mounts.iter().position(|mount| {
            mount.point == Path::new("/") && (mount.parent == mount.id || !is_shown(mount.parent))
        });
        Self { mounts, on, root }
    }

    /// All of them.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The mount that an absolute path without symbolic links leads into, or the first on the way that is not to
    /// be entered; `None` where the table has no root.
    pub fn containing(&self, path: &Path) -> Option<&Mount> {
        let mut at = self.top(self.root?, Path::new("/"));
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        for prefix in ancestors.into_iter().skip(1) {
            if kind(&self.mounts[at]) == Kind::Foreign {
                break;
            }
            if let Some(&next) = self.on.get(&(self.mounts[at].id, prefix.to_owned())) {
                at = self.top(next, prefix);
            }
        }
        Some(&self.mounts[at])
    }

    /// How the path of a mount of this table leads to it.
    pub fn way(&self, mount: &Mount) -> Way<'_> {
        match self.containing(&mount.point) {
            Some(met) if met.id == mount.id => Way::Clear,
            Some(met) if kind(met) == Kind::Foreign && met.point != mount.point => Way::Past(met),
            Some(met) => Way::Covered(met),
            // No table is without a root; should one be, nothing in it is touched.
            None => self.mounts.first().map_or(Way::Clear, Way::Covered),
        }
    }

    /// What is seen where `mount` is: mounts can be stacked.
    fn top(&self, mount: usize, point: &Path) -> usize {
        let mut at = mount;
        for _ in 0..self.mounts.len() {
            match self.on.get(&(self.mounts[at].id, point.to_owned())) {
                Some(&above) if above != at => at = above,
                _ => break,
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(lines: &[(u64, u64, &str, &str)]) -> Tree {
        let line = |(id, parent, point, kind): &(u64, u64, &str, &str)| {
            format!("{id} {parent} 0:{id} / {point} rw - {kind} none rw\n")
        };
        let text: String = lines.iter().map(line).collect();
        Tree::new(super::super::table::parse(text.as_bytes()).unwrap())
    }

    fn way(tree: &Tree, id: u64) -> String {
        let mount = tree.mounts().iter().find(|mount| mount.id == id).unwrap();
        match tree.way(mount) {
            Way::Clear => "clear".to_owned(),
            Way::Covered(by) => format!("covered by {}", by.id),
            Way::Past(foreign) => format!("past {}", foreign.id),
        }
    }

    #[test]
    fn through_what_the_kernel_keeps_and_nothing_else() {
        let tree = tree(&[
            (1, 0, "/", "ext4"),
            (2, 1, "/dev", "devtmpfs"),
            (3, 2, "/dev/shm", "tmpfs"),
            (4, 1, "/remote", "fuse.sshfs"),
            (5, 4, "/remote/a/disk", "ext4"),
            (6, 5, "/remote/a/disk/b", "tmpfs"),
            (7, 1, "/remoter", "tmpfs"),
            (8, 1, "/proc", "proc"),
            (9, 8, "/proc/acpi", "tmpfs"),
        ]);
        for (id, expected) in [
            (1, "clear"),
            (3, "clear"),
            (4, "clear"),
            (5, "past 4"),
            (6, "past 4"),
            (7, "clear"),
            (9, "clear"),
        ] {
            assert_eq!(way(&tree, id), expected, "{id}");
        }
        let into = |path: &str| tree.containing(Path::new(path)).unwrap().id;
        assert_eq!([into("/"), into("/x/y"), into("/dev/shm/z"), into("/remote/a/disk")], [1, 1, 3, 4]);
    }

    #[test]
    fn what_is_covered_is_not_there() {
        let tree = tree(&[
            (1, 0, "/", "ext4"),
            (2, 1, "/", "overlay"),
            (3, 2, "/a", "tmpfs"),
            (4, 3, "/a/b", "tmpfs"),
            (5, 2, "/c", "tmpfs"),
            (6, 5, "/c", "fuse"),
            (7, 5, "/c/d", "tmpfs"),
            (8, 3, "/a", "tmpfs"),
        ]);
        for (id, expected) in [
            (1, "covered by 2"),
            (2, "clear"),
            (3, "covered by 8"),
            (4, "covered by 8"),
            (5, "covered by 6"),
            (7, "past 6"),
            (8, "clear"),
        ] {
            assert_eq!(way(&tree, id), expected, "{id}");
        }
    }

    #[test]
    fn a_table_without_a_root_or_with_a_ring_ends() {
        let ring = tree(&[(1, 2, "/", "ext4"), (2, 1, "/", "ext4")]);
        assert!(ring.containing(Path::new("/a")).is_none());
        let none = tree(&[(5, 4, "/a", "tmpfs")]);
        assert_eq!(way(&none, 5), "covered by 5");
        assert!(Tree::new(Vec::new()).containing(Path::new("/")).is_none());
    }
}
