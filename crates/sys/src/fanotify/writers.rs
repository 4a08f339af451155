//! The kernel tells: somebody who could write to this file no longer can.
//!
//! For filesystems whose ctime does not tell every change. On tmpfs a page that was read through a shared
//! writable mapping is afterwards written through it without any trace in the inode. But whoever maps a file so
//! holds it open for writing, and the kernel queues the event *before* it counts the writer out. So after a
//! [`crate::lease`] was granted, which needs a count of zero, all writers there ever were are in this queue.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::event::{EventBuffer, Record, Records, field};
use crate::handle::FileHandle;

/// A group that is told of files that were open for writing and are closed.
#[derive(Debug)]
pub struct WriterGroup {
    fd: OwnedFd,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// A descriptor of this file that was open for writing is gone, and so are its mappings. The handle is that
    /// of [`FileHandle::of`].
    File(FileHandle),
    /// Events were lost, or came in a form that cannot be read: it may have been any file.
    Any,
}

impl WriterGroup {
    /// Makes a group without marks, that never blocks its reader and queues at most
    /// `fs.fanotify.max_queued_events` events.
    ///
    /// # Errors
    /// EINVAL before Linux 5.1, EMFILE when the user has too many groups.
    pub fn new() -> io::Result<Self> {
        const FLAGS: u32 = libc::FAN_CLASS_NOTIF
            | libc::FAN_REPORT_FID
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK
            | libc::FAN_UNLIMITED_MARKS;
        Ok(Self { fd: super::init(FLAGS, libc::O_RDONLY | libc::O_CLOEXEC)? })
    }

    /// Tells from now on of the files on the filesystem of `dir`, by whatever mount they are written.
    ///
    /// # Errors
    /// ENODEV where the filesystem has no id, EOPNOTSUPP where it has no file handles.
    pub fn mark_filesystem(&self, dir: BorrowedFd<'_>) -> io::Result<()> {
        super::mark_filesystem(self, libc::FAN_MARK_ADD, libc::FAN_CLOSE_WRITE, dir)
    }

    /// Takes what is queued, as far as the buffer goes, without waiting and without allocating.
    ///
    /// # Errors
    /// None are known of a group that is open.
    pub fn read<'b>(
        &self,
        buffer: &'b mut EventBuffer,
    ) -> io::Result<impl Iterator<Item = Closed> + use<'b>> {
        let length = super::read_queue(self, &mut buffer.bytes)?;
        Ok(Records::new(&buffer.bytes[..length])
            .map(|record| record.ok().and_then(file).unwrap_or(Closed::Any)))
    }
}

impl AsFd for WriterGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The file that a record tells of; `None` for an overflow, and for a file without a handle.
fn file(record: Record<'_>) -> Option<Closed> {
    if record.mask & libc::FAN_Q_OVERFLOW != 0 {
        return None;
    }
    let mut infos = record.infos;
    while !infos.is_empty() {
        // struct fanotify_event_info_header { __u8 info_type; __u8 pad; __u16 len; }
        let [kind] = field(infos, 0)?;
        let length = usize::from(u16::from_ne_bytes(field(infos, 2)?));
        let (info, rest) = infos.split_at_checked(length.max(4))?;
        if kind == libc::FAN_EVENT_INFO_TYPE_FID {
            // Then __kernel_fsid_t (8), and struct file_handle: length, kind, bytes.
            let length = u32::from_ne_bytes(field(info, 12)?) as usize;
            let kind = i32::from_ne_bytes(field(info, 16)?);
            let bytes = info.get(20..)?.get(..length)?;
            return Some(Closed::File(FileHandle::from_parts(kind, bytes)?));
        }
        infos = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::event::encode;
    use super::*;

    fn told(mask: u64, infos: &[u8]) -> Vec<Closed> {
        let bytes = encode(mask, -1, 7, infos);
        Records::new(&bytes).map(|record| record.ok().and_then(file).unwrap_or(Closed::Any)).collect()
    }

    fn info(kind: u8, handle: &[u8]) -> Vec<u8> {
        let length = (20 + handle.len()) as u16;
        let mut bytes = vec![kind, 0];
        bytes.extend(length.to_ne_bytes());
        bytes.extend([9; 8]);
        bytes.extend((handle.len() as u32).to_ne_bytes());
        bytes.extend(1_i32.to_ne_bytes());
        bytes.extend(handle);
        bytes
    }

    #[test]
    fn a_file_is_named_by_its_handle() {
        let handle = FileHandle::from_parts(1, b"handle").unwrap();
        let infos = info(libc::FAN_EVENT_INFO_TYPE_FID, b"handle");
        assert_eq!(told(libc::FAN_CLOSE_WRITE, &infos), [Closed::File(handle)]);
        let behind = [info(77, b"what is this"), infos].concat();
        assert_eq!(told(libc::FAN_CLOSE_WRITE, &behind), [Closed::File(handle)]);
    }

    #[test]
    fn whatever_cannot_be_read_may_have_been_any_file() {
        let good = info(libc::FAN_EVENT_INFO_TYPE_FID, b"handle");
        assert_eq!(told(libc::FAN_Q_OVERFLOW, &good), [Closed::Any]);
        assert_eq!(told(libc::FAN_CLOSE_WRITE, b""), [Closed::Any]);
        for end in 1..good.len() {
            assert_eq!(told(libc::FAN_CLOSE_WRITE, &good[..end]), [Closed::Any], "cut at {end}");
        }
    }
}
