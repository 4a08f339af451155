//! Many entries of a map by one system call, which the loader's library has not.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Commands of bpf(2).
const DELETE_ELEM: libc::c_long = 3;
const UPDATE_BATCH: libc::c_long = 26;

/// The part of `union bpf_attr` for batches.
#[derive(Default)]
#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    elem_flags: u64,
    flags: u64,
}

/// The part of it for one entry.
#[derive(Default)]
#[repr(C)]
struct Element {
    map: u32,
    reserved: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Puts all entries into a map, those in the place of others that are there.
///
/// # Errors
/// E2BIG when there is no room, ENOMEM; some entries are then there and some are not.
pub(super) fn put<K: aya::Pod, V: aya::Pod>(map: BorrowedFd<'_>, keys: &[K], values: &[V]) -> io::Result<()> {
    assert_eq!(keys.len(), values.len());
    if keys.is_empty() {
        return Ok(());
    }
    let mut batch = Batch {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: u32::try_from(keys.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        map: map.as_raw_fd().cast_unsigned(),
        ..Batch::default()
    };
    // SAFETY: the map's key and value sizes are those of K and V (aya has compared them when the map was opened),
    // both slices hold `count` of them, and the kernel only reads them.
    unsafe { bpf(UPDATE_BATCH, &mut batch) }
}

/// Takes an entry out; one that is not there is no error.
///
/// # Errors
/// None that a map of our own gives.
pub(super) fn remove<K: aya::Pod>(map: BorrowedFd<'_>, key: &K) -> io::Result<()> {
    let mut element = Element {
        map: map.as_raw_fd().cast_unsigned(),
        key: std::ptr::from_ref(key) as u64,
        ..Element::default()
    };
    // SAFETY: the map's key size is that of K, and the kernel only reads it.
    match unsafe { bpf(DELETE_ELEM, &mut element) } {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        outcome => outcome,
    }
}

/// # Safety
/// `attributes` must be those that the command takes, and what they point to must be there.
unsafe fn bpf<A>(command: libc::c_long, attributes: &mut A) -> io::Result<()> {
    let attributes: *mut A = attributes;
    // SAFETY: the caller's promise; the kernel takes no more than the size that it is told.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<A>()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
