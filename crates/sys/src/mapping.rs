//! Files in memory that processes share without copying them.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags};

use crate::socket::ALL_SEALS;

/// The bytes of a sealed file in memory, which everyone who maps it shares. They never change and never go away
/// while the mapping lives, whoever else holds the file.
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// Maps a whole file for reading.
    ///
    /// # Errors
    /// `InvalidInput` when the file is not sealed against every change (writing, shrinking, growing, further
    /// seals): it could change or end under whoever reads it. ENOMEM.
    pub fn of_sealed(file: BorrowedFd<'_>) -> io::Result<Self> {
        // What can't be sealed at all is EINVAL.
        let seals = rustix::fs::fcntl_get_seals(file)?;
        if !seals.contains(ALL_SEALS) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file is not sealed"));
        }
        let length = usize::try_from(rustix::fs::fstat(file)?.st_size)
            .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        if length == 0 {
            return Ok(Self { start: NonNull::dangling(), length });
        }
        // SAFETY: the kernel chooses where, so that nothing is replaced; the length is not zero.
        let start =
            unsafe { rustix::mm::mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, 0)? };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` bytes from `start` on are mapped for reading until `drop`. The seals, which can't be
        // taken back, keep every process from writing to them and from shortening the file beneath them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: it was mapped by `of_sealed` with this length, and no slice of it outlives `self`.
            let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({} bytes)", self.length)
    }
}

// SAFETY: it is memory that nobody writes to.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{Unsealed, memfd_sealed};
    use rustix::fs::SealFlags;
    use std::io::Write;
    use std::os::fd::{AsFd, OwnedFd};

    #[test]
    fn what_is_sealed_is_read_without_a_copy() {
        let file = memfd_sealed("test", b"some bytes").unwrap();
        let mapping = Mapping::of_sealed(file.as_fd()).unwrap();
        assert_eq!(&*mapping, b"some bytes");
        assert!(rustix::io::write(&file, b"others").is_err());
        assert!(rustix::fs::ftruncate(&file, 0).is_err());
        drop(file);
        assert_eq!(&*mapping, b"some bytes", "the mapping outlives the descriptor");
        let empty = memfd_sealed("test", b"").unwrap();
        assert!(Mapping::of_sealed(empty.as_fd()).unwrap().is_empty());
    }

    #[test]
    fn what_could_change_is_not_mapped() {
        let mut open = Unsealed::new("test").unwrap();
        open.write_all(b"bytes").unwrap();
        let file: OwnedFd = open.0.into();
        assert!(Mapping::of_sealed(file.as_fd()).is_err());
        for seal in [SealFlags::WRITE, SealFlags::GROW, SealFlags::SHRINK] {
            rustix::fs::fcntl_add_seals(&file, seal).unwrap();
            assert!(Mapping::of_sealed(file.as_fd()).is_err(), "{seal:?} is not enough");
        }
        rustix::fs::fcntl_add_seals(&file, SealFlags::SEAL).unwrap();
        assert_eq!(&*Mapping::of_sealed(file.as_fd()).unwrap(), b"bytes");
        let ordinary = tempfile::tempfile().unwrap();
        assert!(Mapping::of_sealed(ordinary.as_fd()).is_err());
    }
}
