//! What is mounted where, and what of it may be marked.

mod table;

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::mount::{MountFlags, UnmountFlags};

/// One mount of this mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Unique among the mounts that are there now.
    pub id: u64,
    /// The filesystem's device number, in the encoding of `st_dev`.
    pub device: u64,
    /// Which directory (or file) of the filesystem is mounted; "/" when all of it is.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The type, without the subtype: "ext4", "fuse".
    pub filesystem: String,
    /// Options of the mount, a comma, options of the filesystem.
    pub options: String,
    /// Nothing can be written through this mount; through another one perhaps.
    pub read_only: bool,
    /// Nothing can be written to the filesystem at all.
    pub read_only_filesystem: bool,
}

/// All mounts, in the order of mounting; a later one at the same point hides an earlier one.
///
/// # Errors
/// Those of reading /proc; `InvalidData` for a line that cannot be understood.
pub fn current() -> io::Result<Vec<Mount>> {
    read("/proc/self/mountinfo")
}

/// As [`current`], in the mount namespace of a process; paths are as it sees them.
///
/// # Errors
/// As [`current`]; ENOENT or EINVAL when the process has ended.
pub fn of_process(pid: i32) -> io::Result<Vec<Mount>> {
    read(&format!("/proc/{pid}/mountinfo"))
}

fn read(path: &str) -> io::Result<Vec<Mount>> {
    table::parse(&fs::read(path)?).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{path} has a line of unknown form"))
    })
}

/// The mount that `path` leads into, symbolic links followed.
///
/// # Errors
/// Those of looking up the path; `NotFound` when its mount has just been unmounted.
pub fn containing(path: &Path) -> io::Result<Mount> {
    // O_PATH opens nothing: it asks no question of a guard and wakes no device.
    let file = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let id = rustix::fs::statx(file.as_fd(), c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id;
    current()?.into_iter().find(|mount| mount.id == id).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Whether the kernel itself keeps the files, on this machine: the only kind that may be marked. On any other
/// (FUSE, network) an answer to a question may need somebody who waits for an answer.
///
/// A list of those allowed, so that a type nobody thought of is left alone. zfs is not on it: it comes from
/// outside the kernel and was never tried. An overlay counts, though its layers may lie anywhere.
pub fn is_local(mount: &Mount) -> bool {
    const LOCAL: [&str; 18] = [
        "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "msdos", "ntfs3",
        "overlay", "ramfs", "squashfs", "tmpfs", "udf", "vfat", "xfs",
    ];
    LOCAL.contains(&mount.filesystem.as_str())
}

/// Whether the files are in memory only, and gone with the mount.
pub fn is_volatile(mount: &Mount) -> bool {
    matches!(mount.filesystem.as_str(), "tmpfs" | "ramfs")
}

/// Mounts an empty filesystem in memory that takes at most `size` bytes (rounded up to pages), entered by
/// its owner only.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; those of looking up `point`.
pub fn mount_tmpfs(point: &Path, size: u64) -> io::Result<()> {
    // A size of zero would mean no limit.
    let options = CString::new(format!("mode=0700,size={}", size.max(1)))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(rustix::mount::mount(c"tmpfs", point, c"tmpfs", flags, options.as_c_str())?)
}

/// Takes the topmost mount at `point` out of sight now; it ends when the last file there is closed.
///
/// # Errors
/// EINVAL when nothing is mounted there.
pub fn unmount_lazily(point: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_type(filesystem: &str) -> Mount {
        Mount { filesystem: filesystem.to_owned(), ..containing(Path::new("/")).unwrap() }
    }

    #[test]
    fn foreign_and_pseudo_filesystems_are_not_local() {
        for name in ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "erofs"] {
            assert!(is_local(&of_type(name)), "{name}");
        }
        let others =
            ["fuse", "fuseblk", "nfs", "nfs4", "cifs", "9p", "virtiofs", "ceph", "proc", "hugetlbfs", ""];
        for name in others {
            assert!(!is_local(&of_type(name)), "{name}");
        }
        assert!(is_volatile(&of_type("tmpfs")) && !is_volatile(&of_type("ext4")));
    }

    #[test]
    fn the_device_is_that_of_stat() {
        use std::os::unix::fs::MetadataExt;
        for path in ["/", "/proc", "/dev"] {
            let mount = containing(Path::new(path)).unwrap();
            assert_eq!(mount.device, fs::metadata(path).unwrap().dev(), "{path}");
        }
    }
}
