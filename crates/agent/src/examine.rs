//! One look at one path: is a file worth knowing there, and which?

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Digests;
use model::facts::Facts;
use rustix::fs::{Mode, OFlags};
use sha2::Digest;
use sys::identity::{Identity, Stat};
use sys::place::{open_beneath, open_on_mount};

use crate::digest;
use crate::elsewhere;
use crate::inventory::Known;
use crate::vouched::Vouched;

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The copy that was known already, untouched.
    Unchanged,
    /// A copy of an executable file.
    Copy(Known),
    /// Nothing that matters: no file, or none that a machine can run.
    Nothing,
    /// It is being written; its closing is told.
    Busy,
    /// It is larger than was to be read.
    Large,
}

/// How often a file that changes under the reader is read again before it counts as being written.
const ATTEMPTS: usize = 3;
/// No larger file is read in one piece.
const SMALL: u64 = 64 << 10;

/// A directory to look in, and its inode.
#[derive(Debug)]
pub(crate) struct Within {
    pub(crate) directory: OwnedFd,
    pub(crate) inode: u64,
    /// Whoever rules there may mount anything over a name.
    pub(crate) is_elsewhere: bool,
}

impl Within {
    /// The directory that a path lies in, without following a link anywhere on the way: one could lead to a
    /// filesystem that never answers. None when it is not there.
    ///
    /// # Errors
    /// When it is there and can't be opened.
    pub(crate) fn of(path: &Path) -> io::Result<Option<Self>> {
        use rustix::io::Errno;
        let Some(parent) = path.parent() else { return Ok(None) };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY;
        let there = elsewhere::directory(parent, flags);
        let is_elsewhere = there.is_some();
        let here = || {
            let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let below = match parent.strip_prefix("/").map_err(|_| io::ErrorKind::InvalidInput)? {
                below if below.as_os_str().is_empty() => Path::new("."),
                below => below,
            };
            open_beneath(root.as_fd(), below, flags)
        };
        let directory = match there.unwrap_or_else(here) {
            Ok(directory) => directory,
            Err(error) => {
                return match Errno::from_io_error(&error) {
                    Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
                    _ => Err(error),
                };
            }
        };
        let inode = Stat::of(directory.as_fd())?.inode;
        Ok(Some(Self { directory, inode, is_elsewhere }))
    }

    /// Opens what has a name in it. Elsewhere no other mount is entered for it.
    ///
    /// # Errors
    /// Those of opening it; EXDEV for another mount elsewhere.
    pub(crate) fn place(&self, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
        if self.is_elsewhere {
            return open_on_mount(self.directory.as_fd(), Path::new(name), flags);
        }
        Ok(rustix::fs::openat(&self.directory, name, flags | OFlags::CLOEXEC, Mode::empty())?)
    }
}

/// Looks at a name in a directory. Unlike a verdict this holds no lease while it reads: it must never delay a writer, and
/// what it records is corrected by the next look. Files above `largest` are not read; those that are read are counted.
/// Of a large one it asks first, with a lease that ends at once, whether what it reads can be vouched for.
///
/// # Errors
/// When the file is there and can't be read.
pub(crate) fn examine(
    within: &Within,
    name: &OsStr,
    known: Option<&Known>,
    largest: u64,
    count: &AtomicU64,
    vouched: &Vouched,
) -> io::Result<Found> {
    let Some(place) = find(within, name)? else { return Ok(Found::Nothing) };
    let mut before = Stat::of(place.as_fd())?;
    if !before.is_regular || before.size == 0 {
        return Ok(Found::Nothing);
    }
    if known.is_some_and(|known| known.is_unchanged(&before)) {
        return Ok(Found::Unchanged);
    }
    if before.size > largest {
        return Ok(Found::Large);
    }
    let file = open(place.as_fd())?;
    count.fetch_add(1, Ordering::Relaxed);
    for _ in 0..ATTEMPTS {
        let claim = (before.size > SMALL).then(|| vouched.claim(file.as_fd())).flatten();
        let read =
            if before.size <= SMALL { read_small(file.as_fd(), before.size)? } else { read(file.as_fd())? };
        let Some((digests, facts)) = read else { return Ok(Found::Nothing) };
        let after = Stat::of(file.as_fd())?;
        if same(&before, &after) && facts.size == after.size {
            if claim.is_some() {
                vouched.keep(claim, &Identity::of(file.as_fd())?, digests, &facts);
            }
            return Ok(Found::Copy(Known { directory: within.inode, ..Known::new(digests, facts, &after) }));
        }
        before = after;
    }
    Ok(Found::Busy)
}

/// The regular file at a path, opened as for a look: no link is followed, nobody is waited for. None when there is none.
///
/// # Errors
/// When it is there and can't be opened.
pub(crate) fn open_at(path: &Path) -> io::Result<Option<OwnedFd>> {
    let (Some(within), Some(name)) = (Within::of(path)?, path.file_name()) else { return Ok(None) };
    match find(&within, name)? {
        Some(place) if Stat::of(place.as_fd())?.is_regular => open(place.as_fd()).map(Some),
        _ => Ok(None),
    }
}

/// None for what no machine can run.
fn read(file: BorrowedFd<'_>) -> io::Result<Option<(Digests, Facts)>> {
    let size = Stat::of(file)?.size;
    if !digest::look(file, size)?.file_type.is_executable() {
        return Ok(None);
    }
    digest::hash_idly(file).map(Some)
}

/// As [`read`], by as few calls as can be: most files are small. Whoever finds another length than it had reads again.
fn read_small(file: BorrowedFd<'_>, size: u64) -> io::Result<Option<(Digests, Facts)>> {
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default() + 1];
    let head = bytes.len().min(inspect::HEAD);
    let mut length = rustix::io::pread(file, &mut bytes[..head], 0)?;
    let facts = inspect::facts(&bytes[..length], 0);
    if !facts.file_type.is_executable() {
        return Ok(None);
    }
    if length == head && head < bytes.len() {
        length += rustix::io::pread(file, &mut bytes[head..], head as u64)?;
    }
    let bytes = &bytes[..length];
    let digests = Digests {
        sha256: model::Sha256(sha2::Sha256::digest(bytes).into()),
        sha1: model::Sha1(sha1::Sha1::digest(bytes).into()),
        md5: model::Md5(md5::Md5::digest(bytes).into()),
    };
    Ok(Some((digests, Facts { size: length as u64, ..facts })))
}

fn same(before: &Stat, after: &Stat) -> bool {
    (before.ctime_ns, before.size) == (after.ctime_ns, after.size)
}

/// What has a name in a directory. No link is followed, and what is no regular file is not opened at all: a reader,
/// however short, would let the writer of a pipe go on, and lose what it writes.
fn find(within: &Within, name: &OsStr) -> io::Result<Option<OwnedFd>> {
    use rustix::io::Errno;
    match within.place(name, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(place) => Ok(Some(place)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
            Some(Errno::XDEV) if within.is_elsewhere => Ok(None),
            _ => Err(error),
        },
    }
}

/// Opens what is known to be a regular file, without waiting for anybody or touching its times.
fn open(place: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    match rustix::fs::open(&again, flags | OFlags::NOATIME, Mode::empty()) {
        Err(rustix::io::Errno::PERM) => Ok(rustix::fs::open(&again, flags, Mode::empty())?),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn examine(path: &Path, known: Option<&Known>) -> io::Result<Found> {
        let Some(within) = Within::of(path)? else { return Ok(Found::Nothing) };
        let name = path.file_name().unwrap_or(OsStr::new("."));
        super::examine(&within, name, known, u64::MAX, &AtomicU64::new(0), &Vouched::default())
    }

    #[test]
    fn a_small_file_and_a_large_one_are_read_alike() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        for size in [11, 4095, 4096, 4097, SMALL as usize, SMALL as usize + 1] {
            let mut content = b"#!/bin/sh\n".to_vec();
            content.resize(size, b'x');
            std::fs::write(&path, &content).unwrap();
            let Found::Copy(known) = examine(&path, None).unwrap() else { panic!("{size}") };
            let (digests, facts) = digest::hash_plainly(File::open(&path).unwrap().as_fd()).unwrap();
            assert_eq!((known.digests, known.facts), (digests, facts), "{size}");
        }
    }

    #[test]
    fn only_what_can_run_is_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        let Found::Copy(known) = examine(&script, None).unwrap() else { panic!("a script is a file") };
        assert_eq!(examine(&script, Some(&known)).unwrap(), Found::Unchanged);

        let text = dir.path().join("text");
        std::fs::write(&text, "hello").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&script, &link).unwrap();
        for path in [text.as_path(), link.as_path(), dir.path(), Path::new("/nowhere")] {
            assert_eq!(examine(path, None).unwrap(), Found::Nothing, "{path:?}");
        }
    }

    #[test]
    fn no_link_on_the_way_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("real/script"), "#!/bin/sh\n").unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        assert!(matches!(examine(&dir.path().join("real/script"), None).unwrap(), Found::Copy(_)));
        assert_eq!(examine(&dir.path().join("link/script"), None).unwrap(), Found::Nothing);
    }

    #[test]
    fn whoever_waits_for_the_reader_of_a_pipe_goes_on_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        let writer = std::thread::spawn({
            let path = path.clone();
            move || File::options().write(true).open(path).map(drop)
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(examine(&path, None).unwrap(), Found::Nothing);
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!writer.is_finished(), "a look is no reader");
        drop(File::open(&path).unwrap());
        writer.join().unwrap().unwrap();
    }
}
