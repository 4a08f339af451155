//! The kernel tells: this changed, this ran.
//!
//! Nobody waits for the reader. What it does not read in time is lost, and [`WatchEvent::Overflow`] says that
//! something was.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use super::event::{EventBuffer, Record, Records, field};
use crate::handle::FileHandle;

/// A group that is told what happened on the marked filesystems, by directory and name.
#[derive(Debug)]
pub struct WatchGroup {
    fd: OwnedFd,
}

/// What to be told of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchMask {
    /// Files written and closed, created, removed, moved; directories created, removed, moved.
    pub changes: bool,
    /// Files executed.
    pub executions: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent<'b> {
    /// Events were lost, or came in a form that cannot be read: what is known of the marked filesystems may
    /// be out of date.
    Overflow,
    /// A name in a directory changed, or the file of that name did.
    Change {
        /// What happened to it.
        what: Changes,
        /// The filesystem, as [`crate::handle::fsid`] gives it.
        fsid: [u8; 8],
        /// The directory; open it by [`FileHandle::open`].
        dir: FileHandle,
        /// The name in the directory; "." when the directory itself is meant.
        name: &'b OsStr,
        /// The process that did it; 0 when it is outside our process namespace.
        pid: i32,
    },
}

/// What happened to a name. The kernel joins events of one name, so several may be true at once and their
/// order is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes(u64);

impl From<u64> for Changes {
    /// Of the kernel's bits.
    fn from(mask: u64) -> Self {
        Self(mask)
    }
}

impl Changes {
    /// A descriptor open for writing was closed.
    pub fn closed_write(self) -> bool {
        self.0 & libc::FAN_CLOSE_WRITE != 0
    }

    /// It was moved away from this name.
    pub fn moved_from(self) -> bool {
        self.0 & libc::FAN_MOVED_FROM != 0
    }

    /// It was moved to this name.
    pub fn moved_to(self) -> bool {
        self.0 & libc::FAN_MOVED_TO != 0
    }

    /// The name was created: a new file, directory, or hard link.
    pub fn created(self) -> bool {
        self.0 & libc::FAN_CREATE != 0
    }

    /// The name was removed; the file may have others.
    pub fn deleted(self) -> bool {
        self.0 & libc::FAN_DELETE != 0
    }

    /// The file was executed.
    pub fn executed(self) -> bool {
        self.0 & libc::FAN_OPEN_EXEC != 0
    }

    /// It is a directory, so that all below it has moved with it.
    pub fn is_dir(self) -> bool {
        self.0 & libc::FAN_ONDIR != 0
    }
}

impl WatchGroup {
    /// Makes a group without marks, that never blocks its reader and queues at most
    /// `fs.fanotify.max_queued_events` events (16384 unless changed).
    ///
    /// # Errors
    /// EINVAL before Linux 5.9, EMFILE when the user has too many groups.
    pub fn new() -> io::Result<Self> {
        const FLAGS: u32 = libc::FAN_CLASS_NOTIF
            | libc::FAN_REPORT_DFID_NAME
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK
            | libc::FAN_UNLIMITED_MARKS;
        Ok(Self { fd: super::init(FLAGS, libc::O_RDONLY | libc::O_CLOEXEC)? })
    }

    /// Sets what is told of the filesystem of `dir`. It replaces what was set before; a mask of nothing ends
    /// it.
    ///
    /// # Errors
    /// ENODEV where the filesystem has no id, EXDEV in a btrfs subvolume, EOPNOTSUPP where it has no file
    /// handles.
    pub fn mark_filesystem(&self, dir: BorrowedFd<'_>, mask: WatchMask) -> io::Result<()> {
        // Attributes are left out: they change without the content, and often.
        const CHANGES: u64 = libc::FAN_CLOSE_WRITE
            | libc::FAN_MOVED_FROM
            | libc::FAN_MOVED_TO
            | libc::FAN_CREATE
            | libc::FAN_DELETE
            | libc::FAN_ONDIR;
        const EXECUTIONS: u64 = libc::FAN_OPEN_EXEC;

        let chosen = |wanted: bool, bits: u64| if wanted { bits } else { 0 };
        let wanted = chosen(mask.changes, CHANGES) | chosen(mask.executions, EXECUTIONS);
        let unwanted = (CHANGES | EXECUTIONS) & !wanted;
        if wanted != 0 {
            super::mark_filesystem(self, libc::FAN_MARK_ADD, wanted, dir)?;
        }
        if unwanted == 0 {
            return Ok(());
        }
        match super::mark_filesystem(self, libc::FAN_MARK_REMOVE, unwanted, dir) {
            // There was no mark, so nothing to take from it.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            outcome => outcome,
        }
    }

    /// Takes what is queued, without waiting; nothing queued is an empty iterator.
    ///
    /// # Errors
    /// None are known of a group that is open.
    pub fn read<'b>(&self, buffer: &'b mut EventBuffer) -> io::Result<WatchEvents<'b>> {
        let length = super::read_queue(self, &mut buffer.bytes)?;
        Ok(WatchEvents { records: Records::new(&buffer.bytes[..length]) })
    }
}

impl AsFd for WatchGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The events of one read.
#[derive(Debug, Clone)]
pub struct WatchEvents<'b> {
    records: Records<'b>,
}

impl<'b> Iterator for WatchEvents<'b> {
    type Item = WatchEvent<'b>;

    fn next(&mut self) -> Option<WatchEvent<'b>> {
        let record = self.records.next()?;
        // Whatever cannot be told by name must be told as lost, or a change would go unnoticed.
        Some(record.ok().and_then(change).unwrap_or(WatchEvent::Overflow))
    }
}

/// The change that a record tells; `None` for an overflow, and for a change without directory and name.
fn change(record: Record<'_>) -> Option<WatchEvent<'_>> {
    if record.mask & libc::FAN_Q_OVERFLOW != 0 {
        return None;
    }
    let mut infos = record.infos;
    while !infos.is_empty() {
        // struct fanotify_event_info_header { __u8 info_type; __u8 pad; __u16 len; }
        let [kind] = field(infos, 0)?;
        let length = usize::from(u16::from_ne_bytes(field(infos, 2)?));
        let (info, rest) = infos.split_at_checked(length.max(4))?;
        if kind == libc::FAN_EVENT_INFO_TYPE_DFID_NAME {
            let (fsid, dir, name) = directory_and_name(info)?;
            return Some(WatchEvent::Change { what: Changes(record.mask), fsid, dir, name, pid: record.pid });
        }
        infos = rest;
    }
    None
}

/// Reads header, `fsid`, `struct file_handle` and a name that ends with a zero.
fn directory_and_name(info: &[u8]) -> Option<([u8; 8], FileHandle, &OsStr)> {
    let fsid = field(info, 4)?;
    let length = u32::from_ne_bytes(field(info, 12)?) as usize;
    let kind = i32::from_ne_bytes(field(info, 16)?);
    let (handle, name) = info.get(20..)?.split_at_checked(length)?;
    let end = name.iter().position(|&byte| byte == 0)?;
    let name = &name[..end];
    // No directory holds such a name; joined to a path it would lead elsewhere.
    if name.is_empty() || name.contains(&b'/') {
        return None;
    }
    Some((fsid, FileHandle::from_parts(kind, handle)?, OsStr::from_bytes(name)))
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
