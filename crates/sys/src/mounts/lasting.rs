//! What a filesystem is known by, wherever it is mounted and whatever its device's number.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct fsuuid2 { __u8 len; __u8 uuid[16]; }` of <linux/fs.h>.
#[repr(C)]
struct Uuid {
    length: u8,
    bytes: [u8; 16],
}

/// `FS_IOC_GETFSUUID`, _IOR(0x15, 0, struct fsuuid2).
const GET_UUID: u32 = 0x8011_1500;
const BTRFS: u64 = 0x9123_683e;

/// The name of the filesystem of an open directory: its UUID, on btrfs with that of the subvolume; before Linux 6.9,
/// and where a filesystem has no UUID, what `statfs` calls its id, which for some holds only until it is unmounted.
/// A copy of an image has the name of the original.
///
/// # Errors
/// Those of `fstatfs`; none are known of a descriptor that is open.
pub fn lasting_name(directory: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut uuid = Uuid { length: 0, bytes: [0; 16] };
    // SAFETY: the kernel writes one `fsuuid2`, which is what `uuid` is, during the call; the descriptor is borrowed, so open.
    let outcome = unsafe { libc::ioctl(directory.as_raw_fd(), GET_UUID as _, &raw mut uuid) };
    let id = crate::handle::fsid(directory)?;
    if outcome < 0 || uuid.length == 0 || uuid.bytes == [0; 16] {
        return Ok(id.to_vec());
    }
    let magic = rustix::fs::fstatfs(directory)?.f_type.cast_unsigned();
    let mut name = uuid.bytes.to_vec();
    if magic == BTRFS {
        name.extend(id);
    }
    Ok(name)
}
