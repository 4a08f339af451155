//! What is mounted where, and what of it may be marked.

mod changes;
mod descend;
mod kind;
mod lasting;
mod layers;
mod namespace;
mod open;
mod table;
mod tree;

pub use changes::{Changes, MountGroup};
pub use kind::{Kind, hides_changes, is_local, is_local_magic, is_volatile, kind};
pub use lasting::lasting_name;
pub use layers::{Layer, absolute_layers, layers};
pub use namespace::{Namespace, Namespaces, Visitor, is_of_our_users, namespace_of, namespaces};
pub use open::open;
pub use tree::{Tree, Way};

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::mount::{MountFlags, UnmountFlags};

/// One mount of a mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Unique among the mounts that are there now.
    pub id: u64,
    /// The mount that it is mounted on.
    pub parent: u64,
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

    #[test]
    fn the_device_is_that_of_stat() {
        use std::os::unix::fs::MetadataExt;
        for path in ["/", "/proc", "/dev"] {
            let mount = containing(Path::new(path)).unwrap();
            assert_eq!(mount.device, fs::metadata(path).unwrap().dev(), "{path}");
        }
    }
}
