//! Getting hold of a mount by its path, and of no other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};

use super::{Mount, kind};
use crate::place::open_beneath;

/// Opens what is mounted, for reading: a directory, or a plain file where that is mounted alone. **Only for a mount
/// that [`super::Tree::way`] calls clear, of a local filesystem**: the table may be older than what is there, so
/// that even then the look-up can meet somebody who does not answer; let a thread do it for which nobody waits.
///
/// # Errors
/// ESTALE when something else is there now; EINVAL for another kind of file, and for a filesystem that is
/// not what the table says; those of the look-up.
pub fn open(mount: &Mount) -> io::Result<OwnedFd> {
    let root = rustix::fs::open(c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let below = match mount.point.strip_prefix("/") {
        Ok(below) if below.as_os_str().is_empty() => Path::new("."),
        Ok(below) => below,
        Err(_) => return Err(rustix::io::Errno::INVAL.into()),
    };
    let place = open_beneath(root.as_fd(), below, OFlags::PATH | OFlags::NOFOLLOW)?;
    let object = match expect(place.as_fd(), mount)? {
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(&place, c".", flags, Mode::empty())?
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let file = open_beneath(root.as_fd(), below, flags)?;
            expect(file.as_fd(), mount)?;
            file
        }
        _ => return Err(rustix::io::Errno::INVAL.into()),
    };
    // Now that it is known to be on that mount, nobody but the kernel is asked.
    let magic = rustix::fs::fstatfs(&object)?.f_type.cast_unsigned();
    if !kind::fits(&mount.filesystem, magic) {
        return Err(rustix::io::Errno::INVAL.into());
    }
    Ok(object)
}

/// What kind of file was opened, if it lies on that mount. Who keeps the file is not asked.
fn expect(file: BorrowedFd<'_>, mount: &Mount) -> io::Result<FileType> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(file, c"", flags, StatxFlags::MNT_ID | StatxFlags::TYPE)?;
    if stat.stx_mnt_id != mount.id {
        return Err(rustix::io::Errno::STALE.into());
    }
    Ok(FileType::from_raw_mode(stat.stx_mode.into()))
}
