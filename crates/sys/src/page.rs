//! One page of memory that two processes share: each writes its own words, and reads the other's.
//!
//! The page is a file in memory whose size is sealed, so that neither process can take it from under the other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Bytes mapped; a memory page of most machines, and part of one elsewhere.
const SIZE: usize = 4096;
/// 64-bit words in a page.
pub const WORDS: usize = SIZE / size_of::<AtomicU64>();

/// A shared page, mapped. All words are zero at first.
#[derive(Debug)]
pub struct Page {
    file: OwnedFd,
    words: NonNull<AtomicU64>,
}

// SAFETY: the mapping belongs to this value alone and lasts until it is dropped; through it only atomics are
// reached, which any thread may use.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// Makes one. `name` shows in /proc only.
    ///
    /// # Errors
    /// ENOMEM, EMFILE; `InvalidInput` for a name with a zero in it.
    pub fn new(name: &str) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
            // Linux before 6.3 cannot promise that it is never executed.
            Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create(name, flags)?,
            outcome => outcome?,
        };
        rustix::fs::ftruncate(&file, SIZE as u64)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Self::map(file)
    }

    /// Maps one that another process has made.
    ///
    /// # Errors
    /// `InvalidData` when the file is none of these: a file that may shrink would end who reads it.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let sealed = rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
        if !sealed || rustix::fs::fstat(&file)?.st_size.cast_unsigned() < SIZE as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a shared page"));
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
        let start = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                0,
            )?
        };
        let words = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { file, words })
    }

    /// A word. Zero bits and any others are a number.
    ///
    /// # Panics
    /// When there is no such word.
    pub fn word(&self, number: usize) -> &AtomicU64 {
        assert!(number < WORDS, "a page has {WORDS} words");
        // SAFETY: `words` points to WORDS aligned 64-bit words, mapped until `self` is dropped; the file cannot
        // shrink below them; whoever else maps them uses atomics as well, or could only confuse the number.
        unsafe { self.words.add(number).as_ref() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `map`, and no reference into it outlives `self`.
        let _ = unsafe { rustix::mm::munmap(self.words.as_ptr().cast(), SIZE) };
    }
}

impl AsFd for Page {
    /// To pass on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn both_see_what_one_writes() {
        let one = Page::new("page").unwrap();
        let other = Page::map(one.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(other.word(WORDS - 1).load(Relaxed), 0);
        one.word(WORDS - 1).store(7, Relaxed);
        assert_eq!(other.word(WORDS - 1).load(Relaxed), 7);
        drop(one);
        assert_eq!(other.word(WORDS - 1).load(Relaxed), 7);
    }

    #[test]
    fn a_file_that_may_shrink_is_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE as u64).unwrap();
        assert!(Page::map(file.into()).is_err());
        assert!(Page::map(super::super::socket::memfd_sealed("short", b"x").unwrap()).is_err());
    }
}
