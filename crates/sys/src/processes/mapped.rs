//! What a process runs, and which files it has mapped to be executed.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};

use super::walk::Processes;
use crate::state::State;

/// A file that a process has mapped executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
    /// The device of the filesystem, as in [`crate::mounts::Mount::device`]. On btrfs `st_dev` is another.
    pub device: u64,
    /// The number that the kernel knows the inode by. On btrfs and overlays it is not enough to name a file there,
    /// or is another than `st_ino`: see [`Processes::state`].
    pub inode: u64,
}

/// What of a process is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The program it runs.
    Program,
    /// A file it has mapped.
    Mapped(Mapping),
}

impl Processes {
    /// Where `/proc` shows that part of a process, relative to `/proc`: a link that leads to the file even when it
    /// was deleted or lies in another mount namespace.
    pub fn link(task: &str, part: Part) -> String {
        match part {
            Part::Program => format!("{task}/exe"),
            Part::Mapped(mapping) => format!("{task}/map_files/{:x}-{:x}", mapping.start, mapping.end),
        }
    }

    /// What stands in /proc for the process: its own entry or, when its first thread has ended before others, one
    /// of those. `None` for kernel threads and ended processes, which run nothing.
    pub fn task(&self, pid: i32) -> Option<String> {
        let runs = |task: &String| {
            !matches!(
                rustix::fs::readlinkat(&self.proc, format!("{task}/exe"), Vec::new()),
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH)
            )
        };
        Some(pid.to_string()).filter(runs).or_else(|| {
            let threads = super::numbers(format!("/proc/{pid}/task"));
            threads.map(|thread| format!("{pid}/task/{thread}")).find(runs)
        })
    }

    /// The state of the file that a link of /proc leads to. `None` when there is none any more, or when it is no
    /// plain file.
    pub fn state(&self, link: &str) -> Option<State> {
        State::at(&self.proc, link).ok().flatten()
    }

    /// Where the file is that a link of /proc leads to, with " (deleted)" behind it when it was removed.
    ///
    /// # Errors
    /// ENOENT when the process is gone.
    pub fn path(&self, link: &str) -> io::Result<PathBuf> {
        let path = rustix::fs::readlinkat(&self.proc, link, Vec::new())?;
        Ok(std::ffi::OsString::from_vec(path.into_bytes()).into())
    }

    /// Takes hold of what a link of /proc leads to without opening it: nobody is asked or waited for.
    ///
    /// # Errors
    /// ENOENT when the process is gone; EPERM for mapped files without CAP_SYS_ADMIN.
    pub fn hold(&self, link: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.proc, link, flags, Mode::empty())?)
    }

    /// The files that a process has mapped executable, its program among them; a file may be told more than once.
    /// Asks no filesystem.
    ///
    /// # Errors
    /// ENOENT or ESRCH when the process is gone; EACCES when it is not ours to look at.
    pub fn mapped(&self, task: &str) -> io::Result<Vec<Mapping>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let maps = rustix::fs::openat(&self.proc, format!("{task}/maps"), flags, Mode::empty())?;
        match query_all(&maps) {
            // Linux before 6.11.
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => read_all(maps),
            outcome => outcome,
        }
    }
}

/// `struct procmap_query`, absent from libc.
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    flags: u64,
    address: u64,
    start: u64,
    end: u64,
    mapping_flags: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    major: u32,
    minor: u32,
    name_size: u32,
    build_id_size: u32,
    name: u64,
    build_id: u64,
}

/// `PROCMAP_QUERY`: `_IOWR('f', 17, struct procmap_query)`.
const QUERY: u64 = (3 << 30) | ((size_of::<Query>() as u64) << 16) | ((b'f' as u64) << 8) | 17;
const EXECUTABLE: u64 = 0x04;
const COVERING_OR_NEXT: u64 = 0x10;
const FILE_BACKED: u64 = 0x20;

fn query_all(maps: &OwnedFd) -> io::Result<Vec<Mapping>> {
    let mut found = Vec::new();
    let mut address = 0;
    loop {
        let mut query = Query {
            size: size_of::<Query>() as u64,
            flags: EXECUTABLE | COVERING_OR_NEXT | FILE_BACKED,
            address,
            ..Query::default()
        };
        // SAFETY: `maps` is open, and `query` has the layout and says the size of the structure that this request
        // reads and fills in. It offers no room for name and build id, so nothing else is written.
        if unsafe { libc::ioctl(maps.as_raw_fd(), QUERY as _, &raw mut query) } < 0 {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(libc::ENOENT) { Ok(found) } else { Err(error) };
        }
        found.push(Mapping {
            start: query.start,
            end: query.end,
            device: rustix::fs::makedev(query.major, query.minor),
            inode: query.inode,
        });
        address = query.end;
    }
}

fn read_all(maps: OwnedFd) -> io::Result<Vec<Mapping>> {
    let mut text = Vec::new();
    io::Read::read_to_end(&mut std::fs::File::from(maps), &mut text)?;
    Ok(text.split(|&byte| byte == b'\n').filter_map(parse_line).collect())
}

/// `7f1c0000-7f1c1000 r-xp 00001000 08:02 173521   /usr/lib/libc.so.6`; none when it is not executable or has no
/// file.
fn parse_line(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.split(|&byte| byte == b' ').map(|field| str::from_utf8(field).ok());
    let (start, end) = fields.next()??.split_once('-')?;
    let permissions = fields.next()??;
    let _offset = fields.next()?;
    let (major, minor) = fields.next()??.split_once(':')?;
    let inode = fields.next()??.parse().ok()?;
    let hexadecimal = |text| u64::from_str_radix(text, 16).ok();
    let number = |text| u32::from_str_radix(text, 16).ok();
    (permissions.as_bytes().get(2) == Some(&b'x') && inode != 0).then_some(Mapping {
        start: hexadecimal(start)?,
        end: hexadecimal(end)?,
        device: rustix::fs::makedev(number(major)?, number(minor)?),
        inode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn both_ways_to_ask_tell_the_same_of_this_process() {
        let maps = || OwnedFd::from(std::fs::File::open("/proc/self/maps").unwrap());
        let read = read_all(maps()).unwrap();
        let own = std::fs::metadata("/proc/self/exe").unwrap();
        assert!(read.iter().any(|mapping| (mapping.device, mapping.inode) == (own.dev(), own.ino())));
        match query_all(&maps()) {
            Ok(asked) => assert_eq!(asked, read),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOTTY), "an older kernel"),
        }
    }

    #[test]
    fn only_executable_files_count() {
        let line = b"7f00-7f10 r-xp 00001000 fe:02 173521                     /usr/lib/a b (deleted)";
        let device = rustix::fs::makedev(0xfe, 2);
        let mapping = Mapping { start: 0x7f00, end: 0x7f10, device, inode: 173_521 };
        assert_eq!(parse_line(line), Some(mapping));
        let others: [&[u8]; 5] = [
            b"7f00-7f10 r--p 00001000 fe:02 173521 /usr/lib/a",
            b"7f00-7f10 r-xp 00000000 00:00 0      [vdso]",
            b"7f00-7f10 r-xp 00000000 00:00",
            b"",
            b"\xff",
        ];
        assert!(others.into_iter().all(|line| parse_line(line).is_none()));
    }

    #[test]
    fn the_parts_of_this_process_lead_to_its_files() {
        let processes = Processes::open().unwrap();
        let own = processes.task(std::process::id().cast_signed()).unwrap();
        let program = processes.state(&Processes::link(&own, Part::Program)).unwrap();
        let meant = std::fs::metadata("/proc/self/exe").unwrap();
        assert_eq!((program.device, program.inode), (meant.dev(), meant.ino()));
        let path = processes.path(&Processes::link(&own, Part::Program)).unwrap();
        assert_eq!(path, std::env::current_exe().unwrap());
        let held = processes.hold(&Processes::link(&own, Part::Program)).unwrap();
        let held = std::fs::File::from(held);
        assert_eq!(held.metadata().unwrap().ino(), meant.ino());
        assert!(processes.task(i32::MAX).is_none());
    }

    #[test]
    fn a_process_is_seen_by_a_thread_that_is_left() {
        // Its first thread ends, the other sleeps.
        let script = "import ctypes, threading, time; t = threading.Thread(target=time.sleep, args=(60,)); \
                      t.start(); print('ready', flush=True); ctypes.CDLL(None).pthread_exit(None)";
        let child = std::process::Command::new("python3")
            .args(["-c", script])
            .stdout(std::process::Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            println!("not run: there is no python3");
            return;
        };
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
        let processes = Processes::open().unwrap();
        let pid = child.id().cast_signed();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let task = loop {
            let task = processes.task(pid).unwrap();
            if task.contains("/task/") || std::time::Instant::now() > deadline {
                break task;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        let seen = (
            processes.state(&Processes::link(&task, Part::Program)),
            processes.mapped(&task).map(|all| all.is_empty()),
        );
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(task.contains("/task/"), "{task}");
        assert!(matches!(seen, (Some(_), Ok(false))), "{seen:?}");
    }
}
