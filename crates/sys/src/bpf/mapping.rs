//! Having the kernel judge a file, by a mapping of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use super::Event;

/// Makes the kernel judge what a process was refused because nobody knew it ([`Outcome::Unknown`] at
/// [`Hook::Protect`]): the next one need not be refused.
///
/// # Errors
/// EPERM when it is denied; `NotFound` when the process has ended or mapped something else since; EAGAIN when somebody
/// has a lease on it.
pub fn have_judged(event: &Event) -> io::Result<()> {
    let (process, from, to) = (event.process, event.mapped.start, event.mapped.end);
    let file = open_at_once(Path::new(&format!("/proc/{process}/map_files/{from:x}-{to:x}")))?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    map_executable(file.as_fd())
}

/// Opens a file to be read, and waits for nobody who has a lease on it or was to open it as well.
pub(super) fn open_at_once(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Maps the first page of a file so that it could be executed, and unmaps it: the programs judge it thereby.
///
/// # Errors
/// EPERM when the file is denied, EACCES when it lies on a filesystem where nothing is executed.
pub fn map_executable(file: BorrowedFd<'_>) -> io::Result<()> {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    let page = rustix::param::page_size();
    // SAFETY: the kernel chooses a place where nothing is, and nothing looks at it before it is unmapped again.
    unsafe {
        let at =
            mmap(std::ptr::null_mut(), page, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE, file, 0)?;
        Ok(munmap(at, page)?)
    }
}
