//! Hearing of mounts when they are made.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::Namespace;
use crate::fanotify;

/// Tells when something was mounted or unmounted in the namespace of this process: polls ready for *priority* then
/// (`POLLPRI`), once for each change or for several.
#[derive(Debug)]
pub struct Changes(File);

impl Changes {
    /// From now on.
    ///
    /// # Errors
    /// Those of opening a file in /proc.
    pub fn own() -> io::Result<Self> {
        File::open("/proc/self/mountinfo").map(Self)
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Tells when something is mounted or unmounted in the namespaces it was told of: polls readable then. It does not
/// keep a namespace alive, as its open mount table would.
#[derive(Debug)]
pub struct MountGroup(OwnedFd);

impl MountGroup {
    /// Tells of no namespace yet.
    ///
    /// # Errors
    /// EINVAL before Linux 6.15.
    pub fn new() -> io::Result<Self> {
        const REPORT_MOUNTS: u32 = 0x4000;
        let flags = REPORT_MOUNTS | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        fanotify::init(flags, libc::O_RDONLY | libc::O_CLOEXEC).map(Self)
    }

    /// Tells from now on of that namespace.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN over it; ENOSPC at the limit of marks.
    pub fn add(&self, namespace: &Namespace) -> io::Result<()> {
        const NAMESPACE: u32 = 0x110;
        const ATTACHED: u64 = 0x0100_0000;
        const DETACHED: u64 = 0x0200_0000;
        // SAFETY: both descriptors are borrowed and so open for the whole call, and a null path is the documented
        // way to mark the object that the descriptor itself refers to.
        let outcome = unsafe {
            libc::fanotify_mark(
                self.0.as_raw_fd(),
                libc::FAN_MARK_ADD | NAMESPACE,
                ATTACHED | DETACHED,
                namespace.as_fd().as_raw_fd(),
                std::ptr::null(),
            )
        };
        if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Takes note, so that it polls ready for the next change only.
    ///
    /// # Errors
    /// None are known of a group that is open.
    pub fn drain(&self) -> io::Result<()> {
        let mut events = [0; 4096];
        // Who mounts all the time does not keep us here: what is left polls ready again.
        for _ in 0..256 {
            if fanotify::read_queue(self, &mut events)? == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl AsFd for MountGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
