//! Read leases: the proof that nobody can write to a file while it is hashed.
//!
//! A lease stands between the kernel's question, which comes before exec shuts writers out, and that moment.
//! While it is held, whoever opens the file for writing waits, up to `fs.lease-break-time`; so it is held for
//! milliseconds. It belongs to the *open file*: a descriptor that was received or duplicated holds the same
//! lease, and closing the last of them releases it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The outcome of asking for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Nobody has the file open for writing, and nobody will until it is released.
    Held,
    /// Somebody has the file open for writing, so what is read from it proves nothing.
    Writer,
}

/// Asks for a read lease on a file that is open for reading only.
///
/// Call [`ignore_break_signals`] first: the lease's end is announced by a signal that would end the process.
///
/// # Errors
/// EACCES when the file is another user's and CAP_LEASE is lacking; EINVAL where the filesystem has no
/// leases, or the file is none that can have one. EAGAIN is no error but [`Lease::Writer`]; a file opened
/// for writing by `file` itself counts as one.
pub fn take_read(file: BorrowedFd<'_>) -> io::Result<Lease> {
    match set(file, libc::F_RDLCK) {
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(Lease::Writer),
        outcome => outcome.map(|()| Lease::Held),
    }
}

/// Gives the lease up; writers that wait go on.
///
/// # Errors
/// EAGAIN when there is no lease on the file.
pub fn release(file: BorrowedFd<'_>) -> io::Result<()> {
    set(file, libc::F_UNLCK)
}

/// Whether the lease is as it was taken. When not, a writer waits for it to end, or got in after
/// `fs.lease-break-time` had passed.
///
/// # Errors
/// None are known for a descriptor that is open.
pub fn is_whole(file: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: F_GETLEASE takes nothing and touches no memory of ours; `file` is borrowed, so open.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) } {
        outcome if outcome < 0 => Err(io::Error::last_os_error()),
        kind => Ok(kind == libc::F_RDLCK),
    }
}

/// Whether the kernel gives leases at all: root can switch them off. Where nothing tells, it is taken to.
pub fn are_given() -> bool {
    std::fs::read_to_string("/proc/sys/fs/leases-enable").map_or(true, |told| is_on(&told))
}

fn is_on(told: &str) -> bool {
    told.trim() != "0"
}

/// Ignores SIGIO in the whole process. Programs it starts inherit that, as they do every ignored signal.
///
/// # Errors
/// None are known.
pub fn ignore_break_signals() -> io::Result<()> {
    // SAFETY: SIG_IGN is no function of ours, so nothing can be called at a bad moment; SIGIO is a signal
    // that may be ignored.
    let previous = unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    if previous == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn set(file: BorrowedFd<'_>, kind: i32) -> io::Result<()> {
    // SAFETY: F_SETLEASE takes an integer and touches no memory of ours; `file` is borrowed, so open.
    let outcome = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_zero_switches_leases_off() {
        assert!(!is_on("0\n"));
        assert!(is_on("1\n") && is_on(""));
    }
}
