//! The kernel asks: may this file run?
//!
//! From the moment a [`Question`] is queued until it is answered, the process that called `execve` waits,
//! without limit. So **whoever takes a question owes it an answer**, by [`PermissionGroup::answer`]:
//!
//! - A [`Question`] that is dropped unanswered closes its descriptor and nothing else: its opener goes on
//!   waiting until the group is closed.
//! - A [`Questions`] that is dropped early permits all it has not yet given out.
//! - A group that is closed, also by the death of the process, permits everything outstanding. But a child
//!   that the process forks holds a copy of the group until its exec has succeeded: if that very exec is
//!   asked about, the child waits for an answer and keeps the group open that would give it. So **the owner
//!   of a group starts no processes**; helpers are started before the group is made.
//! - A file that cannot be opened for its question is *denied* by the kernel itself, and nobody is asked
//!   ([`PermissionGroup::unopened`]): without a descriptor left (the owner of a group needs room in
//!   `RLIMIT_NOFILE`, [`crate::process::raise_descriptor_limit`]), on a filesystem that was shut down, or while
//!   somebody else holds a write lease on it. Files are opened without waiting, so nobody's lease, and no FIFO
//!   without a writer, keeps the reader of a group from its next question.

use std::collections::BTreeSet;
use std::io;
use std::iter::FusedIterator;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use super::event::{EventBuffer, Record, Records};

/// A group that is asked before a file of a marked filesystem is executed.
#[derive(Debug)]
pub struct PermissionGroup {
    fd: OwnedFd,
    mask: u64,
    can_refuse_busy: bool,
    skipped: AtomicU64,
    unopened: AtomicU64,
}

/// What a group is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Execs.
    Execs,
    /// Every open, and execs: an exec is asked about twice, as an exec and as an open. Costs a round trip at each
    /// open on the marked filesystems.
    Opens,
}

/// One exec or open that waits for its answer.
#[derive(Debug)]
pub struct Question {
    /// The file that is to run, open for reading. **Its number is the name of the question**: answer before
    /// closing it, and with this descriptor, not a duplicate.
    pub file: OwnedFd,
    /// The process that asked; 0 when it is outside our process namespace.
    pub pid: i32,
    /// It is to run; otherwise it is opened, whatever for.
    pub executes: bool,
}

/// What the opener is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The file runs.
    Permit,
    /// `execve` fails with EPERM.
    Deny,
    /// `execve` fails with ETXTBSY, which says "somebody writes to it, try again". Where the kernel cannot
    /// say so ([`PermissionGroup::can_refuse_busy`]) it is a plain denial.
    Busy,
}

impl PermissionGroup {
    /// Makes a group without marks, that never blocks its reader.
    ///
    /// Where the kernel can refuse with another error than EPERM (since Linux 6.14), it is of the class that sees a
    /// file before all others do, which alone may. Elsewhere it must not be: with such a group on a filesystem,
    /// Linux 6.12 of Debian 12 lets writers open what is being executed, and no content is sure.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN in the initial user namespace; ENOSYS or EINVAL where the kernel was
    /// built without permission events.
    pub fn new(about: About) -> io::Result<Self> {
        let first = init(libc::FAN_CLASS_PRE_CONTENT).ok().filter(|fd| accepts_busy(fd.as_fd()));
        let can_refuse_busy = first.is_some();
        let fd = first.map_or_else(|| init(libc::FAN_CLASS_CONTENT), Ok)?;
        let mask = match about {
            About::Execs => libc::FAN_OPEN_EXEC_PERM,
            About::Opens => libc::FAN_OPEN_EXEC_PERM | libc::FAN_OPEN_PERM,
        };
        Ok(Self { fd, mask, can_refuse_busy, skipped: AtomicU64::default(), unopened: AtomicU64::default() })
    }

    /// Whether [`Answer::Busy`] reaches the opener as ETXTBSY.
    pub fn can_refuse_busy(&self) -> bool {
        self.can_refuse_busy
    }

    /// How many events were passed over because they asked nothing or could not be understood. It stays zero
    /// on a kernel that keeps its word.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// How many openers the kernel has refused by itself because it could not open their file for us. Before Linux
    /// 6.13 it does not tell of those refused for a lease, nor of those behind another question of the same read.
    pub fn unopened(&self) -> u64 {
        self.unopened.load(Ordering::Relaxed)
    }

    /// Asks from now on about all execs, or opens, on the filesystem of `dir`, through whichever mount.
    ///
    /// # Errors
    /// ENODEV or EXDEV where the filesystem cannot be marked as a whole; EINVAL for pseudo filesystems.
    pub fn mark_filesystem(&self, dir: BorrowedFd<'_>) -> io::Result<()> {
        super::mark_filesystem(self, libc::FAN_MARK_ADD, self.mask, dir)
    }

    /// Asks no longer about the filesystem of `dir`. Questions already queued must still be answered.
    ///
    /// # Errors
    /// ENOENT when it was not marked.
    pub fn unmark_filesystem(&self, dir: BorrowedFd<'_>) -> io::Result<()> {
        super::mark_filesystem(self, libc::FAN_MARK_REMOVE, self.mask, dir)
    }

    /// Asks about nothing any more. Questions already queued must still be answered.
    ///
    /// # Errors
    /// None are known.
    pub fn unmark_all(&self) -> io::Result<()> {
        // The kernel looks at no object when it removes all marks.
        super::mark_filesystem(self, libc::FAN_MARK_FLUSH, 0, self.as_fd())
    }

    /// The devices (as `st_dev`) of the filesystems that are asked about, by the kernel's own account: one that was
    /// unmounted for good is not among them, nor another that got its number since.
    ///
    /// # Errors
    /// Those of reading /proc.
    pub fn marked(&self) -> io::Result<BTreeSet<u64>> {
        let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.fd.as_raw_fd()))?;
        Ok(told.lines().filter_map(marked_device).collect())
    }

    /// Takes what is queued, without waiting and without allocating; nothing queued is an empty iterator. So is a
    /// first question whose file could not be opened, before Linux 6.13: more may wait behind it.
    ///
    /// # Errors
    /// EBADF, EINVAL or EFAULT should mean a mistake of ours; before Linux 6.13 it may also be what a filesystem
    /// says when it is to open the first file, which the kernel has then denied. `InvalidData` when the kernel speaks
    /// another version of the protocol.
    pub fn read<'b>(&'b self, buffer: &'b mut EventBuffer) -> io::Result<Questions<'b>> {
        let length = match super::read_queue(self, &mut buffer.bytes) {
            Err(error) if is_of_the_file(&error) => {
                self.unopened.fetch_add(1, Ordering::Relaxed);
                0
            }
            outcome => outcome?,
        };
        let records = Records::new(&buffer.bytes[..length]);
        if records.clone().next().is_some_and(|first| first.is_err()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "fanotify: unknown event format"));
        }
        Ok(Questions { group: self, records })
    }

    /// Answers the question whose [`Question::file`] is `file`.
    ///
    /// # Errors
    /// ENOENT when no such question waits: answered before, or its opener was killed.
    pub fn answer(&self, file: BorrowedFd<'_>, answer: Answer) -> io::Result<()> {
        let response = match answer {
            Answer::Permit => libc::FAN_ALLOW,
            Answer::Busy if self.can_refuse_busy => DENY_BUSY,
            Answer::Busy | Answer::Deny => libc::FAN_DENY,
        };
        respond(self.as_fd(), file.as_raw_fd(), response)
    }
}

impl AsFd for PermissionGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The questions of one read. Those not taken out of it are permitted when it is dropped.
#[derive(Debug)]
pub struct Questions<'b> {
    group: &'b PermissionGroup,
    records: Records<'b>,
}

impl Iterator for Questions<'_> {
    type Item = Question;

    fn next(&mut self) -> Option<Question> {
        for record in &mut self.records {
            match record {
                Ok(Record { mask, fd, pid, .. })
                    if mask & (libc::FAN_OPEN_EXEC_PERM | libc::FAN_OPEN_PERM) != 0 && fd >= 0 =>
                {
                    // SAFETY: the kernel opened `fd` for this very event and told it to this read alone;
                    // the walk passes each record once, so it gets exactly one owner.
                    let file = unsafe { OwnedFd::from_raw_fd(fd) };
                    let executes = mask & libc::FAN_OPEN_EXEC_PERM != 0;
                    return Some(Question { file, pid, executes });
                }
                // The kernel has denied it by itself, and waits for no answer.
                Ok(Record { mask, .. }) if mask & (libc::FAN_OPEN_EXEC_PERM | libc::FAN_OPEN_PERM) != 0 => {
                    self.group.unopened.fetch_add(1, Ordering::Relaxed)
                }
                // An overflow, which an unlimited queue never has; or bytes that are no event.
                _ => self.group.skipped.fetch_add(1, Ordering::Relaxed),
            };
        }
        None
    }
}

impl FusedIterator for Questions<'_> {}

impl Drop for Questions<'_> {
    fn drop(&mut self) {
        let group = self.group;
        for question in self {
            // It fails only when the opener no longer waits.
            let _ = group.answer(question.file.as_fd(), Answer::Permit);
        }
    }
}

/// As [`PermissionGroup::marked`], for all groups of another process.
///
/// # Errors
/// Those of reading /proc: ENOENT when it has ended.
pub fn marked_by(pid: i32) -> io::Result<BTreeSet<u64>> {
    let mut marked = BTreeSet::new();
    for descriptor in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let descriptor = descriptor?;
        // Closed meanwhile, it is none.
        let behind = std::fs::read_link(descriptor.path()).unwrap_or_default();
        if behind.as_os_str() == "anon_inode:[fanotify]" {
            let path = format!("/proc/{pid}/fdinfo/{}", descriptor.file_name().to_string_lossy());
            marked.extend(std::fs::read_to_string(path)?.lines().filter_map(marked_device));
        }
    }
    Ok(marked)
}

/// `fanotify sdev:27 mflags:0 mask:40000 ignored_mask:0`; the device is in the kernel's own encoding.
fn marked_device(line: &str) -> Option<u64> {
    let mut words = line.strip_prefix("fanotify sdev:")?.split(' ');
    let device = u32::from_str_radix(words.next()?, 16).ok()?;
    let mask = words.find_map(|word| word.strip_prefix("mask:"))?;
    let mask = u64::from_str_radix(mask, 16).ok()?;
    (mask & libc::FAN_OPEN_EXEC_PERM != 0).then(|| rustix::fs::makedev(device >> 20, device & 0xf_ffff))
}

/// `FAN_DENY_ERRNO(ETXTBSY)`: the errno rides in the highest byte.
const DENY_BUSY: u32 = libc::FAN_DENY | (libc::ETXTBSY.cast_unsigned() << 24);

/// Since Linux 6.13: an event whose file could not be opened comes with the error, and not the error instead of
/// the event.
const REPORT_FD_ERROR: u32 = 0x2000;

fn init(class: u32) -> io::Result<OwnedFd> {
    const FLAGS: u32 =
        libc::FAN_CLOEXEC | libc::FAN_NONBLOCK | libc::FAN_UNLIMITED_QUEUE | libc::FAN_UNLIMITED_MARKS;
    // The kernel opens the file of a question within our read: whoever waits there answers nobody. Files do not mind.
    const FILE: i32 = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_LARGEFILE | libc::O_NONBLOCK;
    // Hashing a file is no reason to write its inode back. A kernel that objects to a wish gets its way.
    let wishes = [(REPORT_FD_ERROR, libc::O_NOATIME), (0, libc::O_NOATIME)];
    for (flag, file_flag) in wishes {
        match super::init(FLAGS | class | flag, FILE | file_flag) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            outcome => return outcome,
        }
    }
    super::init(FLAGS | class, FILE)
}

/// Whether a read failed because the kernel could not open the first question's file, and not because of how we read.
fn is_of_the_file(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|errno| !matches!(errno, libc::EBADF | libc::EINVAL | libc::EFAULT))
}

/// Refuses a question that nobody asked. A kernel that understands the answer misses the question (ENOENT);
/// one that does not objects to the answer first (EINVAL).
fn accepts_busy(group: BorrowedFd<'_>) -> bool {
    let outcome = respond(group, i32::MAX, DENY_BUSY);
    matches!(outcome, Err(error) if error.raw_os_error() == Some(libc::ENOENT))
}

fn respond(group: BorrowedFd<'_>, question: i32, response: u32) -> io::Result<()> {
    // struct fanotify_response { __s32 fd; __u32 response; }
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&question.to_ne_bytes());
    bytes[4..].copy_from_slice(&response.to_ne_bytes());
    rustix::io::retry_on_intr(|| rustix::io::write(group, &bytes))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mistakes_of_ours_are_errors_of_reading() {
        for errno in [libc::EMFILE, libc::ENFILE, libc::EIO, libc::ENOKEY, libc::ENOMEM, libc::EPERM] {
            assert!(is_of_the_file(&io::Error::from_raw_os_error(errno)), "{errno}");
        }
        for errno in [libc::EBADF, libc::EINVAL, libc::EFAULT] {
            assert!(!is_of_the_file(&io::Error::from_raw_os_error(errno)), "{errno}");
        }
    }

    #[test]
    fn what_the_kernel_says_of_its_marks() {
        let device = |line: &str| {
            marked_device(line).map(|device| (rustix::fs::major(device), rustix::fs::minor(device)))
        };
        assert_eq!(device("fanotify sdev:27 mflags:0 mask:40000 ignored_mask:0"), Some((0, 39)));
        assert_eq!(device("fanotify sdev:801001 mflags:0 mask:50000 ignored_mask:0"), Some((8, 4097)));
        assert_eq!(device("fanotify sdev:27 mflags:0 mask:0 ignored_mask:40000"), None, "it asks nothing");
        for line in
            ["fanotify flags:203 event-flags:8000", "pos:\t0", "fanotify ino:5 sdev:27 mask:40000", ""]
        {
            assert_eq!(device(line), None, "{line}");
        }
    }
}
