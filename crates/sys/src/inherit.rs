//! Descriptors that a child process is started with.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::FdFlags;

/// Lets children have this descriptor, and returns its number there. From now on *every* child has it, until
/// [`keep`] is called: nobody else may start one meanwhile.
///
/// # Errors
/// None are known for an open descriptor.
pub fn give(file: BorrowedFd<'_>) -> io::Result<RawFd> {
    rustix::io::fcntl_setfd(file, FdFlags::empty())?;
    Ok(file.as_raw_fd())
}

/// Keeps a descriptor from the children to come.
///
/// # Errors
/// As [`give`].
pub fn keep(file: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(file, FdFlags::CLOEXEC)?)
}

/// Takes over a descriptor that this process was started with. To be called before anything else opens files:
/// the number means whatever is open under it.
///
/// # Errors
/// EBADF when nothing is.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: borrowed for the two calls below only, both of which fail with EBADF where nothing is open. The
    // number itself stays open, owned by nobody, so that no owner of it is betrayed either.
    let given = unsafe { BorrowedFd::borrow_raw(number) };
    let owned = rustix::io::fcntl_dupfd_cloexec(given, 3)?;
    rustix::io::fcntl_setfd(given.as_fd(), FdFlags::CLOEXEC)?;
    Ok(owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_there_and_what_is_kept_is_not() {
        let file = super::super::socket::memfd_sealed("given", b"given").unwrap();
        let read = |number: RawFd| {
            let path = format!("/proc/self/fd/{number}");
            std::process::Command::new("cat").arg(path).output().unwrap().stdout
        };
        let number = give(file.as_fd()).unwrap();
        assert_eq!(read(number), b"given");
        keep(file.as_fd()).unwrap();
        assert_eq!(read(number), b"");
        let taken = take(number).unwrap();
        assert_eq!(super::super::socket::read_all(taken.as_fd()).unwrap(), b"given");
        assert_eq!(take(-1).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }
}
