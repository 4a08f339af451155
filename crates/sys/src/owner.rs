//! Whose a process is.

use std::io;
use std::os::fd::AsRawFd;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// More than the lines of `/proc/PID/status` up to the one that names the user.
const HEAD: usize = 512;

/// The real user of a process, in the eyes of this user namespace. Not by the owner of its directory in `/proc`:
/// a process that may not be dumped shows root's there.
///
/// # Errors
/// ESRCH or ENOENT when the process has ended; `InvalidData` when the kernel's text has no such line.
pub fn of(pid: i32) -> io::Result<u32> {
    match told_by_pidfd(pid) {
        Some(user) => Ok(user),
        None => told_by_proc(pid),
    }
}

/// What Linux 6.13 and later say of a process that is held by a pidfd: a third of what the text costs. The members
/// stand as in the kernel's first version of its structure.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    pid: u32,
    thread_group: u32,
    parent: u32,
    real_user: u32,
    others: [u32; 7],
    exit_code: i32,
}

/// `_IOWR(0xff, 11, struct pidfd_info)`, of its first version.
const GET_INFO: libc::c_ulong = 0xc040_ff0b;
/// Users and groups are wanted, and were told.
const CREDENTIALS: u64 = 2;

fn told_by_pidfd(pid: i32) -> Option<u32> {
    // Not by a filter behind it: rustix panics on a negative id.
    let pid = if pid > 0 { Pid::from_raw(pid) } else { None };
    let process = pidfd_open(pid?, PidfdFlags::empty()).ok()?;
    let mut info = Info { mask: CREDENTIALS, ..Info::default() };
    // SAFETY: the request's number holds the size of `Info`, beyond which the kernel writes nothing; `info` is
    // plain numbers, mutable and outlives the call; the descriptor is open.
    let outcome = unsafe { libc::ioctl(process.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (outcome == 0 && info.mask & CREDENTIALS != 0).then_some(info.real_user)
}

fn told_by_proc(pid: i32) -> io::Result<u32> {
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
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    fn a_process_is_its_users() {
        let this = i32::try_from(std::process::id()).unwrap();
        assert_eq!(of(this).unwrap(), rustix::process::getuid().as_raw());
        assert!(of(i32::MAX).is_err());
        assert!(of(-1).is_err());
    }

    #[test]
    fn both_ways_tell_the_same() {
        assert_eq!(size_of::<Info>(), 64);
        let own = rustix::process::getuid();
        let user = if own.is_root() { 1234 } else { own.as_raw() };
        let mut child = std::process::Command::new("sleep").arg("60").uid(user).spawn().unwrap();
        let pid = child.id().cast_signed();
        let told = told_by_pidfd(pid);
        let by_proc = told_by_proc(pid);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(by_proc.unwrap(), user);
        match told {
            Some(told) => assert_eq!(told, user),
            None => eprintln!("not run: this kernel tells nothing by pidfd"),
        }
        assert_eq!(told_by_pidfd(i32::MAX), None);
    }

    #[test]
    fn a_name_that_looks_like_the_line_does_not_count() {
        // The kernel escapes line breaks in names, so that the name can't begin a line.
        assert_eq!(parse(b"Name:\tx\\nUid:\t0\nUmask:\t0022\nUid:\t1000\t0\t0\t0\n"), Some(1000));
        assert_eq!(parse(b"Name:\tx\n"), None);
    }
}
