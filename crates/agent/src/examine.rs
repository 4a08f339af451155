//! One look at one path: is a file worth knowing there, and which?

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use sys::identity::{Identity, Stat};
use sys::place::open_beneath;

use crate::digest;
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
}

/// How often a file that changes under the reader is read again before it counts as being written.
const ATTEMPTS: usize = 3;

/// Looks at `path`. Unlike a verdict this holds no lease while it reads: it must never delay a writer, and what it
/// records is corrected by the next look. Of a large file it asks first, with a lease that ends at once, whether what it
/// reads can be vouched for.
///
/// # Errors
/// When the file is there and can't be read.
pub(crate) fn examine(path: &Path, known: Option<&Known>, vouched: &Vouched) -> io::Result<Found> {
    let Some(file) = open(path)? else { return Ok(Found::Nothing) };
    for _ in 0..ATTEMPTS {
        let before = Identity::of(file.as_fd())?;
        if !before.is_regular {
            return Ok(Found::Nothing);
        }
        if known.is_some_and(|known| known.is_unchanged(&before)) {
            return Ok(Found::Unchanged);
        }
        if !digest::look(file.as_fd(), before.size)?.file_type.is_executable() {
            return Ok(Found::Nothing);
        }
        let claim = vouched.claim(file.as_fd());
        let (digests, facts) = digest::hash_idly(file.as_fd())?;
        let after = Identity::of(file.as_fd())?;
        if same(&before, &after) && facts.size == after.size {
            vouched.keep(claim, &after, digests, &facts);
            return Ok(Found::Copy(Known::new(digests, facts, &after)));
        }
    }
    Ok(Found::Busy)
}

fn same(before: &Stat, after: &Stat) -> bool {
    (before.ctime_ns, before.size) == (after.ctime_ns, after.size)
}

/// Opens a regular file's path without following a link anywhere on it (one could lead to a filesystem that
/// never answers), and without waiting for anybody or touching its times. What is no regular file is not opened
/// at all: a reader, however short, would let the writer of a pipe go on, and lose what it writes.
fn open(path: &Path) -> io::Result<Option<File>> {
    use rustix::io::Errno;
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let below = path.strip_prefix("/").map_err(|_| io::ErrorKind::InvalidInput)?;
    let place = match open_beneath(root.as_fd(), below, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(place) => place,
        Err(error) => {
            return match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
                _ => Err(error),
            };
        }
    };
    if !Identity::of(place.as_fd())?.is_regular {
        return Ok(None);
    }
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(&again, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::open(&again, flags, Mode::empty()),
        other => other,
    };
    Ok(Some(file?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examine(path: &Path, known: Option<&Known>) -> io::Result<Found> {
        super::examine(path, known, &Vouched::default())
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
