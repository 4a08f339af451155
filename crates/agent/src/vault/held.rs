//! A copy that is about to be taken: opened, checked, and closed to writers.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::{ActId, FileId, OrderId, Time, VaultId};
use rustix::fs::IFlags;
use rustix::io::Errno;

use super::fixed;
use super::metadata::Metadata;
use super::place::{Place, directory};
use super::refusal::Refusal;
use super::resting::Resting;
use crate::digest::{Unsteady, hash_plainly};
use crate::elsewhere;
use crate::vouched::Vouched;

/// How long a writer may still take.
const PATIENCE: Duration = Duration::from_secs(1);

/// A copy that was found: a path, and the inode that lay there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// The device of the inode.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

/// On whose behalf a copy is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taking {
    /// The act.
    pub act: ActId,
    /// Its order.
    pub order: OrderId,
    /// What the copy must be, by its digest.
    pub wanted: FileId,
}

/// No writer gets in as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) place: Place,
    pub(super) file: File,
    /// All that the journal is to know; where it will rest is not decided yet.
    pub(super) resting: Resting,
    /// Before the lease was taken.
    since: Instant,
}

impl Held {
    /// Opens the copy and makes sure, by its digest, that it is the one wanted. It is read unless nothing about it has
    /// changed since its content was certain.
    pub(super) fn of(copy: Found, why: Taking, now: Time, vouched: &Vouched) -> Result<Self, Refusal> {
        let place = Place::of(&copy.path)?;
        let path = || copy.path.clone();
        let gone = |reason| Refusal::Gone { path: path(), reason };
        let file = place.open().map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => gone("nothing is there any more"),
            Some(Errno::LOOP) => gone("a symbolic link is there now"),
            None => gone("it is no plain file"),
            Some(_) => Refusal::Io { doing: "opened", path: path(), error },
        })?;
        let looked = |error| Refusal::Io { doing: "looked at", path: path(), error };
        if !place.has_on_its_mount(file.as_fd()).map_err(looked)? {
            return Err(gone("it is a mount point by itself: unmount it, and order it again"));
        }
        let metadata = Metadata::of(file.as_fd()).map_err(looked)?;
        let since = Instant::now();
        let hashed = vouched.hash_steadily(file.as_fd(), PATIENCE).map_err(|unsteady| match unsteady {
            Unsteady::Busy => Refusal::Busy { path: path() },
            Unsteady::Changed => gone("it changed while it was read"),
            Unsteady::Unreadable(error) => Refusal::Io { doing: "read", path: path(), error },
        })?;
        if (hashed.stat.device, hashed.stat.inode) != (copy.device, copy.inode) {
            return Err(gone("another file is there now"));
        }
        if !why.wanted.names(&hashed.digests) {
            return Err(gone("its content is another now"));
        }
        let there = elsewhere::holding(&copy.path);
        let resting = Resting {
            id: VaultId::random(),
            act: why.act,
            order: why.order,
            wanted: why.wanted,
            path: path(),
            mount: place.mount.point.clone(),
            elsewhere: there.map(|there| (there.lasting.clone(), there.mount.root.clone())),
            parent: place.parent().map_err(looked)?,
            flags: fixed::bits(fixed::of(file.as_fd())),
            digests: hashed.digests,
            size: hashed.facts.size,
            metadata,
            device: copy.device,
            inode: copy.inode,
            link_of: None,
            rests_at: PathBuf::new(),
            renamed: false,
            quarantined: now,
        };
        Ok(Self { place, file, resting, since })
    }

    /// The journal is to know only of bytes that are on the disk: those of a file that was just written may still be
    /// in memory alone, and a power cut would leave the vault an empty file.
    pub(super) fn make_durable(&self) -> Result<(), Refusal> {
        let synced = self.file.sync_all();
        synced.map_err(Refusal::when("made durable, which comes before it is moved", &self.resting.path))
    }

    /// Whether `moved`, opened anew after a rename, is this copy.
    pub(super) fn is(&self, moved: BorrowedFd<'_>) -> io::Result<bool> {
        let (meant, moved_stat) = (rustix::fs::fstat(&self.file)?, rustix::fs::fstat(moved)?);
        if (meant.st_dev, meant.st_ino) == (moved_stat.st_dev, moved_stat.st_ino) {
            return Ok(true);
        }
        // An overlay copies a file up when it is renamed, and may then show it as another inode.
        Ok(self.place.mount.filesystem == "overlay"
            && Metadata::of(moved)?.is_like(&self.resting.metadata)
            && hash_plainly(moved)?.0 == self.resting.digests)
    }

    /// Whether every writer was kept out since the copy was hashed: nobody came, or those who did have not
    /// waited long enough yet for the kernel to let them in.
    pub(super) fn kept_writers_out(&self) -> bool {
        self.since.elapsed() < lease_break_time() || sys::lease::is_whole(self.file.as_fd()).unwrap_or(false)
    }

    /// Why a change of the copy's name was refused.
    pub(super) fn explain(&self, doing: &'static str, error: io::Error) -> Refusal {
        let path = &self.resting.path;
        if Errno::from_io_error(&error) == Some(Errno::PERM) {
            let fixed = |flags: Result<IFlags, Errno>| {
                flags.is_ok_and(|flags| flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND))
            };
            if fixed(rustix::fs::ioctl_getflags(&self.file)) {
                return Refusal::Immutable { path: path.clone() };
            }
            let parent = path.parent().map(ToOwned::to_owned).unwrap_or_default();
            if directory(&parent).is_ok_and(|dir| fixed(rustix::fs::ioctl_getflags(&dir))) {
                return Refusal::Immutable { path: parent };
            }
        }
        if Errno::from_io_error(&error) == Some(Errno::OVERFLOW) {
            return Refusal::Unmapped { doing, path: path.clone() };
        }
        Refusal::Io { doing, path: path.clone(), error }
    }
}

/// How long the kernel lets those wait who want to write to a leased file.
fn lease_break_time() -> Duration {
    let text = std::fs::read_to_string("/proc/sys/fs/lease-break-time").unwrap_or_default();
    Duration::from_secs(text.trim().parse().unwrap_or(0))
}
