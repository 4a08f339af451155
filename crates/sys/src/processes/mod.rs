//! The processes of this machine, as /proc shows them.
//!
//! All of it is a look at something that moves: a process may end, and its id be reused, between two calls.
//! To act on one, take hold of it by [`crate::pidfd::open`] and look once more.

mod mapped;
mod walk;

pub use mapped::{Mapping, Part};
pub use walk::Processes;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A descriptor of another process, and the file behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFile {
    /// The number of the descriptor in that process.
    pub number: i32,
    /// The device of the file.
    pub device: u64,
    /// Its inode number.
    pub inode: u64,
}

/// The ids of all processes (not threads); none when /proc cannot be read.
pub fn all() -> impl Iterator<Item = i32> {
    numbers("/proc".into())
}

/// Opens the program that a process runs, even when its file was deleted or lies in another mount namespace.
/// The descriptor is close-on-exec.
///
/// # Errors
/// ENOENT for kernel threads and ended processes; EACCES without CAP_SYS_PTRACE for those of others.
pub fn executable(pid: i32) -> io::Result<OwnedFd> {
    Ok(fs::File::open(format!("/proc/{pid}/exe"))?.into())
}

/// The path of that program in its mount namespace, with " (deleted)" behind it when it was removed.
///
/// # Errors
/// As [`executable`].
pub fn executable_path(pid: i32) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe"))
}

/// The arguments that a process was started with, its name first. The process can change them, so they prove
/// nothing. Empty for kernel threads and ended processes.
///
/// # Errors
/// ENOENT or ESRCH when the process is gone.
pub fn arguments(pid: i32) -> io::Result<Vec<OsString>> {
    Ok(split_arguments(&fs::read(format!("/proc/{pid}/cmdline"))?))
}

/// What a process has open; nothing when it is gone or not ours to look at. Waits for no filesystem: the
/// kernel answers from what it knows of an open file, except that network filesystems may ask their server.
pub fn open_files(pid: i32) -> impl Iterator<Item = OpenFile> {
    let directory = format!("/proc/{pid}/fd");
    numbers(directory.clone()).filter_map(move |number| {
        let file = fs::metadata(format!("{directory}/{number}")).ok()?;
        Some(OpenFile { number, device: file.dev(), inode: file.ino() })
    })
}

/// The parent of a process; 0 for init, the first kernel thread, and where it is outside our namespace.
///
/// # Errors
/// As [`arguments`].
pub fn parent(pid: i32) -> io::Result<i32> {
    Ok(status(pid)?.parent)
}

/// Whether it is a thread of the kernel, which runs no file.
///
/// # Errors
/// As [`arguments`].
pub fn is_kernel_thread(pid: i32) -> io::Result<bool> {
    /// `PF_KTHREAD`.
    const KERNEL_THREAD: u32 = 0x0020_0000;
    Ok(status(pid)?.flags & KERNEL_THREAD != 0)
}

/// When a process was started, in clock ticks since boot. With its id, it names the process for as long as
/// the machine runs.
///
/// # Errors
/// As [`arguments`].
pub fn start_time(pid: i32) -> io::Result<u64> {
    Ok(status(pid)?.start_time)
}

/// The time that [`start_time`] counts, now.
pub fn now() -> u64 {
    // USER_HZ, in which the kernel speaks to programs, is 100 on all that we run on.
    const TICK: i64 = 10_000_000;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    (now.tv_sec * 100 + now.tv_nsec / TICK).cast_unsigned()
}

/// What is used of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    parent: i32,
    flags: u32,
    start_time: u64,
}

fn status(pid: i32) -> io::Result<Status> {
    parse_status(&fs::read(format!("/proc/{pid}/stat"))?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse_status(line: &[u8]) -> Option<Status> {
    // A process chooses its own name, with blanks and brackets as it likes; no field behind it has any.
    let name_end = line.iter().rposition(|&byte| byte == b')')?;
    let mut fields = str::from_utf8(&line[name_end + 1..]).ok()?.split_ascii_whitespace();
    // proc(5) counts from 1; the state behind the name is field 3.
    Some(Status {
        parent: fields.nth(1)?.parse().ok()?,
        flags: fields.nth(4)?.parse().ok()?,
        start_time: fields.nth(12)?.parse().ok()?,
    })
}

fn split_arguments(bytes: &[u8]) -> Vec<OsString> {
    let Some(bytes) = bytes.strip_suffix(b"\0").or((!bytes.is_empty()).then_some(bytes)) else {
        return Vec::new();
    };
    bytes.split(|&byte| byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect()
}

/// The names in a directory that are numbers.
fn numbers(directory: String) -> impl Iterator<Item = i32> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| str::from_utf8(entry.file_name().as_bytes()).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields_behind_it() {
        let line = b"77 (evil) S 1 (a) R 42 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 99 88\n";
        assert_eq!(parse_status(line), Some(Status { parent: 42, flags: 4_194_560, start_time: 12345 }));
        for line in [&b""[..], b"77 (", b"77 (a)", b"77 (a) S", b"77 (a) S x 1 1 1 1 1", b"77 (a) \xff 1"] {
            assert_eq!(parse_status(line), None);
        }
    }

    #[test]
    fn arguments_may_be_empty_but_not_lost() {
        assert_eq!(split_arguments(b""), Vec::<OsString>::new());
        assert_eq!(split_arguments(b"ls\0-l\0"), ["ls", "-l"]);
        assert_eq!(split_arguments(b"ls\0\0"), ["ls", ""]);
        assert_eq!(split_arguments(b"a title set by the process"), ["a title set by the process"]);
    }

    #[test]
    fn this_process_sees_itself() {
        let pid = std::process::id().cast_signed();
        assert!(all().any(|each| each == pid));
        assert_eq!(executable_path(pid).unwrap(), std::env::current_exe().unwrap());
        assert_eq!(arguments(pid).unwrap(), std::env::args_os().collect::<Vec<_>>());
        assert_eq!(parent(pid).unwrap(), std::os::unix::process::parent_id().cast_signed());
        assert!(!is_kernel_thread(pid).unwrap());
        assert!(start_time(pid).unwrap() > 0);
        let program = fs::File::from(executable(pid).unwrap());
        let meant = fs::metadata(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(program.metadata().unwrap().ino(), meant.ino());
        assert!(open_files(pid).any(|file| (file.device, file.inode) == (meant.dev(), meant.ino())));
    }
}
