//! Getting hold of a mount in the namespace of somebody who may want to lead us astray.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Component;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use super::{Kind, Mount, Visitor, is_local, kind};

impl Visitor {
    /// Opens the directory that is mounted there, for reading, in the namespace that this thread is in: name by name,
    /// through no link. No name is looked up on a mount before the kernel has said who keeps its files, and what is said
    /// of a mount that is held open can't become that of another. So nobody is asked who might never answer, whatever is
    /// mounted meanwhile.
    ///
    /// An overlay on the way is taken for what the kernel keeps, though its layers may not be, and a disk may not
    /// answer: let a thread do it for which nobody waits.
    ///
    /// # Errors
    /// ESTALE when something else is mounted there or on the way by now, or what somebody else keeps; ENOTDIR for a plain
    /// file, and at a link; EINVAL for a filesystem that is not local or not what the table says; those of the look-up.
    pub fn open(&self, mount: &Mount) -> io::Result<OwnedFd> {
        if !is_local(mount) {
            return Err(Errno::INVAL.into());
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = rustix::fs::openat(CWD, c"/", flags | OFlags::DIRECTORY, Mode::empty())?;
        let mut on = self.vouched(at.as_fd())?;
        for component in mount.point.components() {
            let name = match component {
                Component::Normal(name) => name,
                Component::RootDir => continue,
                _ => return Err(Errno::INVAL.into()),
            };
            let next = rustix::fs::openat(&at, name, flags, Mode::empty())?;
            let (id, what) = look(next.as_fd())?;
            if what != FileType::Directory {
                return Err(Errno::NOTDIR.into());
            }
            if id != on {
                on = self.vouched(next.as_fd())?;
            }
            at = next;
        }
        if on != mount.id {
            return Err(Errno::STALE.into());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let object = rustix::fs::openat(&at, c".", flags, Mode::empty())?;
        let magic = rustix::fs::fstatfs(&object)?.f_type.cast_unsigned();
        if !super::kind::fits(&mount.filesystem, magic) {
            return Err(Errno::INVAL.into());
        }
        Ok(object)
    }

    /// The mount that something open lies on, if it is known who keeps its files. Read after it was opened: while it is
    /// open no other mount has its number.
    fn vouched(&self, file: BorrowedFd<'_>) -> io::Result<u64> {
        let (id, _) = look(file)?;
        let is_kept = self.mounts()?.iter().any(|mount| mount.id == id && kind(mount) != Kind::Foreign);
        if is_kept { Ok(id) } else { Err(Errno::STALE.into()) }
    }
}

/// The mount that a file lies on, and what it is. Who keeps it is not asked.
fn look(file: BorrowedFd<'_>) -> io::Result<(u64, FileType)> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(file, c"", flags, StatxFlags::MNT_ID | StatxFlags::TYPE)?;
    Ok((stat.stx_mnt_id, FileType::from_raw_mode(stat.stx_mode.into())))
}
