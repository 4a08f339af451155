//! Processes that cannot be mistaken: a process id is reused, a pidfd is not.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process, held so that no other can take its place.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

/// Takes hold of process `pid`.
///
/// Between learning `pid` and this call the id may have passed to another process: look at what was meant
/// (executable, start time) once more afterwards.
///
/// # Errors
/// ESRCH when there is none; EINVAL when `pid` is a thread; `InvalidInput` when it is not positive.
pub fn open(pid: i32) -> io::Result<PidFd> {
    // Not by a filter behind it: rustix panics on a negative id.
    let pid = if pid > 0 { Pid::from_raw(pid) } else { None };
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(PidFd(pidfd_open(pid, PidfdFlags::empty())?))
}

impl PidFd {
    /// Sends SIGKILL. The process ends soon afterwards; see [`Self::wait_ended`].
    ///
    /// # Errors
    /// ESRCH when it has ended already; EPERM when it is not ours to end.
    pub fn kill(&self) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.0, Signal::KILL)?)
    }

    /// Whether the process has ended. It may still wait for its parent to notice.
    pub fn has_ended(&self) -> bool {
        self.wait_ended(Duration::ZERO)
    }

    /// Waits up to `patience` for the process to end, and says whether it has.
    pub fn wait_ended(&self, patience: Duration) -> bool {
        let deadline = Instant::now().checked_add(patience);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                outcome => return outcome.is_ok_and(|ready| ready > 0),
            }
        }
    }
}

impl AsFd for PidFd {
    /// Readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
