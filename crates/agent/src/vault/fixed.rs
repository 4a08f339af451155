//! Flags that keep an inode from being moved by anybody, root too: immutable and append-only.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::IFlags;

/// Those of an open file; none where the filesystem has no such thing.
pub(super) fn of(file: BorrowedFd<'_>) -> IFlags {
    rustix::fs::ioctl_getflags(file).unwrap_or(IFlags::empty()) & (IFlags::IMMUTABLE | IFlags::APPEND)
}

/// Takes them away. Again is fine.
///
/// # Errors
/// EPERM without CAP_LINUX_IMMUTABLE; EROFS.
pub(super) fn clear(file: BorrowedFd<'_>) -> io::Result<()> {
    change(file, IFlags::empty())
}

/// Puts back those that were taken away, as they are in the journal.
///
/// # Errors
/// As [`clear`].
pub(super) fn put_back(file: BorrowedFd<'_>, flags: u32) -> io::Result<()> {
    let flags = IFlags::from_bits_retain(flags) & (IFlags::IMMUTABLE | IFlags::APPEND);
    if flags.is_empty() { Ok(()) } else { change(file, flags) }
}

/// As they are in the journal.
pub(super) fn bits(flags: IFlags) -> u32 {
    flags.bits()
}

fn change(file: BorrowedFd<'_>, wanted: IFlags) -> io::Result<()> {
    let fixing = IFlags::IMMUTABLE | IFlags::APPEND;
    let all = rustix::fs::ioctl_getflags(file)?;
    if all & fixing == wanted {
        return Ok(());
    }
    Ok(rustix::fs::ioctl_setflags(file, all.difference(fixing) | wanted)?)
}
