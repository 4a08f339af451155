//! Whose a process is.

use std::io;

use rustix::fs::{CWD, Mode, OFlags};

/// More than the lines of `/proc/PID/status` up to the one that names the user.
const HEAD: usize = 512;

/// The real user of a process, in the eyes of this user namespace. Not by the owner of its directory in `/proc`:
/// a process that may not be dumped shows root's there.
///
/// # Errors
/// ESRCH or ENOENT when the process has ended; `InvalidData` when the kernel's text has no such line.
pub fn of(pid: i32) -> io::Result<u32> {
    let status = rustix::fs::openat(
        CWD,
        format!("/proc/{pid}/status"),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut head = [0; HEAD];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(&status, &mut head))?;
    parse(&head[..length])
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/status has no user"))
}

fn parse(status: &[u8]) -> Option<u32> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    let first = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?;
    std::str::from_utf8(first).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_its_users() {
        let this = i32::try_from(std::process::id()).unwrap();
        assert_eq!(of(this).unwrap(), rustix::process::getuid().as_raw());
        assert!(of(i32::MAX).is_err());
    }

    #[test]
    fn a_name_that_looks_like_the_line_does_not_count() {
        // The kernel escapes line breaks in names, so that the name can't begin a line.
        assert_eq!(parse(b"Name:\tx\\nUid:\t0\nUmask:\t0022\nUid:\t1000\t0\t0\t0\n"), Some(1000));
        assert_eq!(parse(b"Name:\tx\n"), None);
    }
}
