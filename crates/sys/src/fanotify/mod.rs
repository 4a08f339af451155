//! What the kernel tells and asks about files.
//!
//! Two kinds of group, never mixed: [`permission`] holds an exec up until it is answered, [`watch`] is told
//! afterwards and delays no one. Both mark whole filesystems, because a mark on a mount does not follow bind
//! mounts, clones and other mount namespaces.

pub mod permission;
pub mod watch;
pub mod writers;

mod event;

pub use event::EventBuffer;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Makes a group; `file_flags` are those of the descriptors that come with its events.
pub(crate) fn init(flags: u32, file_flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: fanotify_init takes two integers and touches no memory of ours.
    let fd = unsafe { libc::fanotify_init(flags, file_flags.cast_unsigned()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds `mask` to, or removes it from, the mark on the filesystem that holds `object`.
fn mark_filesystem(group: impl AsFd, action: u32, mask: u64, object: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both descriptors are borrowed and so open for the whole call, and a null path is the
    // documented way to mark the object that the descriptor itself refers to.
    let outcome = unsafe {
        libc::fanotify_mark(
            group.as_fd().as_raw_fd(),
            action | libc::FAN_MARK_FILESYSTEM,
            mask,
            object.as_raw_fd(),
            std::ptr::null(),
        )
    };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Reads whatever is queued; nothing queued is a length of zero, not an error.
pub(crate) fn read_queue(group: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    match rustix::io::retry_on_intr(|| rustix::io::read(group.as_fd(), &mut *buffer)) {
        Err(rustix::io::Errno::AGAIN) => Ok(0),
        outcome => Ok(outcome?),
    }
}
