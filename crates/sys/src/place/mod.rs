//! Getting hold of files, and giving them names, where others may be changing the paths meanwhile.
//!
//! Nothing here follows a symbolic link and nothing replaces a file that is there.

mod attributes;

pub use attributes::{set_times_ns, set_xattrs, xattrs};

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

/// Opens `path` below `root`, close-on-exec; a file that `flags` create is for its owner alone.
///
/// # Errors
/// EXDEV when the path leads out of `root` (an absolute one does); ELOOP at any symbolic link in it.
pub fn open_beneath(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    open(root, path, flags, ResolveFlags::empty())
}

/// As [`open_beneath`], without entering another mount.
///
/// # Errors
/// As [`open_beneath`]; also EXDEV where something is mounted on the way, or at its end.
pub fn open_on_mount(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    open(root, path, flags, ResolveFlags::NO_XDEV)
}

fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags, more: ResolveFlags) -> io::Result<OwnedFd> {
    let creates = flags.intersects(OFlags::CREATE) || flags.contains(OFlags::TMPFILE);
    let mode = if creates { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | more;
    let flags = flags | OFlags::CLOEXEC;
    loop {
        match rustix::fs::openat2(root, path, flags, mode, resolve) {
            // Something on the way was renamed, so that the kernel cannot say whether ".." stayed beneath.
            Err(Errno::AGAIN | Errno::INTR) => {}
            outcome => return Ok(outcome?),
        }
    }
}

/// Moves the name `from` in one directory to the name `to` in another, in one step.
///
/// # Errors
/// EEXIST when the new name is taken; EXDEV when it is on another mount; EINVAL where the filesystem cannot
/// promise not to replace.
pub fn rename_no_replace(
    from_dir: BorrowedFd<'_>,
    from: &OsStr,
    to_dir: BorrowedFd<'_>,
    to: &OsStr,
) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(from_dir, from, to_dir, to, RenameFlags::NOREPLACE)?)
}

/// Makes the names in a directory durable.
///
/// # Errors
/// EBADF for an O_PATH descriptor; EIO when the disk failed, and then nothing is known.
pub fn sync_dir(dir: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fsync(dir)?)
}

/// A new file on the filesystem of `dir` that has no name yet, open for reading and writing, for its owner
/// alone. It is gone when closed without [`link_unnamed`].
///
/// # Errors
/// EOPNOTSUPP where the filesystem has none such.
pub fn create_unnamed(dir: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, c".", flags, Mode::RUSR | Mode::WUSR)?)
}

/// Gives a file that has no name one, on the same filesystem.
///
/// # Errors
/// EEXIST when the name is taken; EXDEV on another mount.
pub fn link_unnamed(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    match rustix::fs::linkat(file, c"", dir, name, AtFlags::EMPTY_PATH) {
        // Without CAP_DAC_READ_SEARCH the kernel says that the empty name was not found; /proc still does it.
        Err(Errno::NOENT) => {
            Ok(rustix::fs::linkat(CWD, proc_path(file), dir, name, AtFlags::SYMLINK_FOLLOW)?)
        }
        outcome => Ok(outcome?),
    }
}

/// Where an open file is, as seen from here: " (deleted)" stands behind the path of one whose name was
/// removed, and a file may bear that as part of its name. For people, and to be checked before use.
///
/// # Errors
/// Those of reading /proc.
pub fn path_of(file: BorrowedFd<'_>) -> io::Result<PathBuf> {
    std::fs::read_link(proc_path(file))
}

/// Opens an open file once more, for reading: whatever leases belong to `file` are none of the new one's.
///
/// # Errors
/// Those of opening it; EACCES where it may not be read.
pub fn reopen(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(rustix::fs::CWD, proc_path(file), flags, rustix::fs::Mode::empty())?)
}

fn proc_path(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}
