//! Who keeps the files of a filesystem, and so who may be waited for.

use super::Mount;

/// Who keeps the files of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The kernel, on this machine: the only kind that may be marked.
    Local,
    /// Nobody: the kernel shows itself as files. Nothing runs from there, and a path may lead through.
    Pseudo,
    /// Somebody else (FUSE, network, automounter), or nobody knows who. Even to look up a name there may need
    /// somebody who never answers.
    Foreign,
}

/// Lists of those allowed, so that a type nobody thought of is left alone. zfs is not on them: it comes from outside
/// the kernel and was never tried. An overlay counts as local, though its layers may lie anywhere.
const LOCAL: [(&str, u64); 20] = [
    ("bcachefs", 0xca45_1a4e),
    ("btrfs", 0x9123_683e),
    ("devtmpfs", TMPFS),
    ("erofs", 0xe0f5_e1e2),
    ("exfat", 0x2011_bab0),
    ("ext2", EXT),
    ("ext3", EXT),
    ("ext4", EXT),
    ("f2fs", 0xf2f5_2010),
    ("iso9660", 0x9660),
    ("msdos", 0x4d44),
    ("ntfs3", 0x7366_746e),
    ("overlay", 0x794c_7630),
    ("ramfs", RAMFS),
    ("rootfs", TMPFS),
    ("squashfs", 0x7371_7368),
    ("tmpfs", TMPFS),
    ("udf", 0x1501_3346),
    ("vfat", 0x4d44),
    ("xfs", 0x5846_5342),
];
const EXT: u64 = 0xef53;
const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;

const PSEUDO: [&str; 22] = [
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cpuset",
    "debugfs",
    "devpts",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "resctrl",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sysfs",
    "tracefs",
];

/// Who keeps the files that are reached through a mount.
pub fn kind(mount: &Mount) -> Kind {
    let name = mount.filesystem.as_str();
    if LOCAL.iter().any(|(local, _)| *local == name) {
        Kind::Local
    } else if PSEUDO.contains(&name) {
        Kind::Pseudo
    } else {
        Kind::Foreign
    }
}

/// Whether the kernel itself keeps the files, on this machine.
pub fn is_local(mount: &Mount) -> bool {
    kind(mount) == Kind::Local
}

/// Whether the files are in memory only, and gone with the mount.
pub fn is_volatile(mount: &Mount) -> bool {
    matches!(mount.filesystem.as_str(), "tmpfs" | "ramfs" | "devtmpfs" | "rootfs")
}

/// Whether the content of a file may change there and leave its inode as it was: in memory through a mapping; on FAT by
/// its owner, who sets the ctime with the mtime (on exfat when it is next read from the disk).
pub fn hides_changes(mount: &Mount) -> bool {
    is_volatile(mount) || matches!(mount.filesystem.as_str(), "vfat" | "msdos" | "exfat")
}

/// Whether `statfs` says this number (`f_type`) of a local filesystem.
pub fn is_local_magic(magic: u64) -> bool {
    magic == RAMFS || LOCAL.iter().any(|(_, local)| *local == magic)
}

/// Whether `statfs` may say this number of a filesystem of this type.
pub(super) fn fits(filesystem: &str, magic: u64) -> bool {
    // A kernel without tmpfs keeps these in the simpler one.
    let simple = matches!(filesystem, "devtmpfs" | "rootfs" | "tmpfs") && magic == RAMFS;
    simple || LOCAL.contains(&(filesystem, magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_and_pseudo_filesystems_are_not_local() {
        let root = super::super::containing(std::path::Path::new("/")).unwrap();
        let of_type = |name: &str| Mount { filesystem: name.to_owned(), ..root.clone() };
        for name in ["ext4", "xfs", "btrfs", "tmpfs", "devtmpfs", "overlay", "erofs"] {
            assert_eq!(kind(&of_type(name)), Kind::Local, "{name}");
        }
        for name in ["proc", "sysfs", "cgroup2", "hugetlbfs", "devpts"] {
            assert_eq!(kind(&of_type(name)), Kind::Pseudo, "{name}");
        }
        for name in ["fuse", "fuseblk", "nfs", "nfs4", "cifs", "9p", "virtiofs", "ceph", "autofs", "zfs", ""]
        {
            assert_eq!(kind(&of_type(name)), Kind::Foreign, "{name}");
        }
        assert!(is_volatile(&of_type("tmpfs")) && !is_volatile(&of_type("ext4")));
        assert!(hides_changes(&of_type("tmpfs")) && hides_changes(&of_type("vfat")));
        assert!(!hides_changes(&of_type("ext4")));
    }

    #[test]
    fn the_number_belongs_to_the_type() {
        assert!(fits("ext4", EXT) && fits("devtmpfs", TMPFS) && fits("devtmpfs", RAMFS));
        assert!(!fits("ext4", TMPFS) && !fits("fuse", 0x6573_5546) && !is_local_magic(0x6573_5546));
        assert!(is_local_magic(EXT) && is_local_magic(RAMFS));
    }
}
