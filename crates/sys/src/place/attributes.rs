//! What a file carries besides its bytes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

/// All extended attributes of an open file, ACLs and file capabilities among them; those of the `trusted.`
/// kind only with CAP_SYS_ADMIN. None where the filesystem has no such thing.
///
/// # Errors
/// EBADF for an O_PATH descriptor; EIO.
pub fn xattrs(file: BorrowedFd<'_>) -> io::Result<Vec<(OsString, Vec<u8>)>> {
    let names = match grow(|buffer| rustix::fs::flistxattr(file, buffer)) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        outcome => outcome?,
    };
    let mut attributes = Vec::new();
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = OsStr::from_bytes(name);
        match grow(|buffer| rustix::fs::fgetxattr(file, name, buffer)) {
            Ok(value) => attributes.push((name.to_owned(), value)),
            // Removed since it was listed.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(attributes)
}

/// Sets these attributes and leaves others alone. Set the owner first: a change of owner drops capabilities.
///
/// # Errors
/// The first that could not be set ends it: EPERM without the privilege its kind needs, EOPNOTSUPP where the
/// filesystem has no such kind.
pub fn set_xattrs(file: BorrowedFd<'_>, attributes: &[(OsString, Vec<u8>)]) -> io::Result<()> {
    for (name, value) in attributes {
        rustix::fs::fsetxattr(file, name, value, XattrFlags::empty())?;
    }
    Ok(())
}

/// Sets when the file was last read and last changed, in nanoseconds since 1970 (negative: before).
///
/// # Errors
/// EPERM when the file is another user's.
pub fn set_times_ns(file: BorrowedFd<'_>, read: i64, changed: i64) -> io::Result<()> {
    let times = Timestamps { last_access: timespec(read), last_modification: timespec(changed) };
    Ok(rustix::fs::futimens(file, &times)?)
}

fn timespec(nanoseconds: i64) -> Timespec {
    const SECOND: i64 = 1_000_000_000;
    Timespec { tv_sec: nanoseconds.div_euclid(SECOND), tv_nsec: nanoseconds.rem_euclid(SECOND) as _ }
}

/// Calls with ever more room until the answer fits; nothing holds it still between two calls.
fn grow(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    // The kernel's own bound for names and for a value is 64 KiB.
    let mut buffer = vec![0; 256];
    loop {
        match call(&mut buffer) {
            Err(Errno::RANGE) if buffer.len() < 64 * 1024 => buffer.resize(buffer.len() * 16, 0),
            outcome => {
                buffer.truncate(outcome?);
                return Ok(buffer);
            }
        }
    }
}
