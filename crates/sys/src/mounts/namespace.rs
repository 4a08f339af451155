//! The mount namespaces of the machine: containers, services, users' own.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use super::{Mount, table};

/// A mount namespace. **It lives as long as this does**, with all that is mounted there: let go of it soon.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
    /// Its number: while the machine runs no other gets it (before Linux 6.12: while it exists).
    pub id: u64,
    /// The number by which /proc shows it; another may get it when this one is gone.
    pub inode: u64,
    /// Who made it had our own rights or more; in others whoever is a user of this machine mounts what it likes.
    pub is_of_our_users: bool,
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether the mount namespace of a process was made by somebody with our own rights or more, as
/// [`Namespace::is_of_our_users`].
///
/// # Errors
/// ENOENT when the process is gone.
pub fn is_of_our_users(pid: i32) -> io::Result<bool> {
    let users = rustix::fs::stat(c"/proc/self/ns/user")?.st_ino;
    Ok(owner(open(format!("/proc/{pid}/ns/mnt").as_str())?.as_fd()) == Some(users))
}

/// The mount namespace of a process, if it is that of this [`Namespace::id`].
///
/// # Errors
/// ENOENT when the process is gone; ESRCH when it is in another one by now, or another process has its number.
pub fn namespace_of(pid: i32, id: u64) -> io::Result<Namespace> {
    let users = rustix::fs::stat(c"/proc/self/ns/user")?.st_ino;
    let fd = open(format!("/proc/{pid}/ns/mnt").as_str())?;
    let inode = rustix::fs::fstat(&fd)?.st_ino;
    let mut info = Info::asked();
    // Both kinds of number are asked for: which one names a namespace depends on the kernel.
    let is_it = id == inode || (ask(fd.as_fd(), GET_INFO, &mut info).is_ok() && info.id == id);
    if !is_it {
        return Err(Errno::SRCH.into());
    }
    let is_of_our_users = owner(fd.as_fd()) == Some(users);
    Ok(Namespace { fd, id, inode, is_of_our_users })
}

/// All mount namespaces that this process may enter, its own first, one after the other: there can be more of them
/// than descriptors. Since Linux 6.12 the kernel lists them, also those where no process is; before, they are those of
/// the processes.
///
/// # Errors
/// Those of looking into /proc.
pub fn namespaces() -> io::Result<Namespaces> {
    let users = rustix::fs::stat(c"/proc/self/ns/user")?.st_ino;
    let own = open(c"/proc/self/ns/mnt")?;
    let mut info = Info::asked();
    let is_listed = ask(own.as_fd(), GET_INFO, &mut info).is_ok()
        && !matches!(ask_for(own.as_fd(), GET_NEXT, &mut Info::asked()), Err(Errno::NOTTY | Errno::INVAL));
    let inode = rustix::fs::fstat(&own)?.st_ino;
    let id = if is_listed { info.id } else { inode };
    let rest = if is_listed {
        Rest::Listed { at: own.try_clone()?, direction: GET_NEXT }
    } else {
        Rest::OfProcesses { pids: crate::processes::all().collect(), seen: BTreeSet::from([id]) }
    };
    let own = Namespace { fd: own, id, inode, is_of_our_users: true };
    Ok(Namespaces { users, own: own.fd.try_clone()?, first: Some(own), rest })
}

/// The mount namespaces, one after the other.
#[derive(Debug)]
pub struct Namespaces {
    users: u64,
    own: OwnedFd,
    first: Option<Namespace>,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    /// The kernel tells the next of each, and the one before.
    Listed {
        at: OwnedFd,
        direction: libc::Ioctl,
    },
    OfProcesses {
        pids: Vec<i32>,
        seen: BTreeSet<u64>,
    },
}

impl Iterator for Namespaces {
    type Item = Namespace;

    fn next(&mut self) -> Option<Namespace> {
        if let Some(own) = self.first.take() {
            return Some(own);
        }
        let (fd, id) = match &mut self.rest {
            Rest::Listed { at, direction } => loop {
                let mut info = Info::asked();
                match ask_for(at.as_fd(), *direction, &mut info) {
                    Ok(fd) => {
                        *at = fd.try_clone().ok()?;
                        break (fd, info.id);
                    }
                    Err(_) if *direction == GET_NEXT => {
                        *direction = GET_PREVIOUS;
                        *at = self.own.try_clone().ok()?;
                    }
                    Err(_) => return None,
                }
            },
            Rest::OfProcesses { pids, seen } => loop {
                // Processes end while they are looked at.
                let path = format!("/proc/{}/ns/mnt", pids.pop()?);
                let Ok(stat) = rustix::fs::stat(path.as_str()) else { continue };
                if seen.insert(stat.st_ino)
                    && let Ok(fd) = open(path.as_str())
                {
                    break (fd, stat.st_ino);
                }
            },
        };
        let is_of_our_users = owner(fd.as_fd()) == Some(self.users);
        let inode = rustix::fs::fstat(&fd).map_or(0, |stat| stat.st_ino);
        Some(Namespace { fd, id, inode, is_of_our_users })
    }
}

fn open(path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// A thread's leave to go into other mount namespaces. It can't come back with all it had: **let the thread end
/// afterwards.** Its working directory and root are those of the namespace it is in.
#[derive(Debug)]
pub struct Visitor {
    /// Our own /proc: the other namespaces may have none, or another one.
    proc: OwnedFd,
    of_this_thread: PhantomData<*const ()>,
}

impl Visitor {
    /// For the calling thread, which is still where it was.
    ///
    /// # Errors
    /// Those of opening /proc.
    pub fn new() -> io::Result<Self> {
        let proc = rustix::fs::open(c"/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        // SAFETY: of all that threads share, only root, working directory and umask stop being shared, and no
        // memory or descriptor.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }?;
        Ok(Self { proc, of_this_thread: PhantomData })
    }

    /// Goes there.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN and CAP_SYS_CHROOT.
    pub fn enter(&self, namespace: &Namespace) -> io::Result<()> {
        Ok(rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))?)
    }

    /// What is mounted where this thread is.
    ///
    /// # Errors
    /// As [`super::current`].
    pub fn mounts(&self) -> io::Result<Vec<Mount>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.proc, c"thread-self/mountinfo", flags, Mode::empty())?;
        let mut text = Vec::new();
        File::from(file).read_to_end(&mut text)?;
        table::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

/// The number of the user namespace that a namespace belongs to; `None` when that is above our own.
fn owner(namespace: BorrowedFd<'_>) -> Option<u64> {
    /// `NS_GET_USERNS`.
    const GET_USERS: libc::Ioctl = 0xb701;
    // SAFETY: the request takes no argument; the descriptor is borrowed, so open.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), GET_USERS) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the call succeeded, so `fd` is a new descriptor that nobody else knows.
    let users = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::fs::fstat(&users).ok().map(|stat| stat.st_ino)
}

/// `struct mnt_ns_info`.
#[repr(C)]
struct Info {
    size: u32,
    mounts: u32,
    id: u64,
}

impl Info {
    fn asked() -> Self {
        Self { size: size_of::<Self>() as u32, mounts: 0, id: 0 }
    }
}

/// `_IOR(0xb7, n, struct mnt_ns_info)` for `NS_MNT_GET_INFO`, `NS_MNT_GET_NEXT` and `NS_MNT_GET_PREV`.
const GET_INFO: libc::Ioctl = request(10);
const GET_NEXT: libc::Ioctl = request(11);
const GET_PREVIOUS: libc::Ioctl = request(12);

const fn request(number: libc::Ioctl) -> libc::Ioctl {
    (2 << 30) | ((size_of::<Info>() as libc::Ioctl) << 16) | (0xb7 << 8) | number
}

fn ask(namespace: BorrowedFd<'_>, request: libc::Ioctl, info: &mut Info) -> Result<(), Errno> {
    call(namespace, request, info).map(drop)
}

/// As [`ask`], of a request that answers with a descriptor.
fn ask_for(namespace: BorrowedFd<'_>, request: libc::Ioctl, info: &mut Info) -> Result<OwnedFd, Errno> {
    let fd = call(namespace, request, info)?;
    // SAFETY: the call succeeded, so `fd` is a new descriptor (close-on-exec) that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call(namespace: BorrowedFd<'_>, request: libc::Ioctl, info: &mut Info) -> Result<i32, Errno> {
    // SAFETY: `info` is the structure that these requests fill in, says truthfully how large it is, and outlives
    // the call; the descriptor is borrowed, so open.
    let outcome = unsafe { libc::ioctl(namespace.as_raw_fd(), request, std::ptr::from_mut(info)) };
    if outcome < 0 {
        let error = io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok(outcome)
}
