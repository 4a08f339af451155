//! Bytes that are handed over as a file nobody can change any more.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

/// A file in memory that is being written. `name` shows in /proc only.
#[derive(Debug)]
pub struct Unsealed(pub(crate) File);

impl Unsealed {
    /// An empty one.
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
        Ok(Self(file.into()))
    }

    /// Ends the writing, for everyone and for ever: whoever receives the file may map it without fear that it
    /// changes or shrinks.
    ///
    /// # Errors
    /// EBUSY while it is mapped for writing.
    pub fn seal(self) -> io::Result<OwnedFd> {
        rustix::fs::fcntl_add_seals(&self.0, ALL_SEALS)?;
        Ok(self.0.into())
    }
}

impl io::Write for Unsealed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What makes a file in memory unchangeable, and keeps it so.
pub(crate) const ALL_SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// A sealed file in memory that holds `bytes`; see [`Unsealed`].
///
/// # Errors
/// As [`Unsealed::new`].
pub fn memfd_sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = Unsealed::new(name)?;
    file.0.write_all(bytes)?;
    file.seal()
}

/// All bytes of a file, from its start, wherever its offset stands; the offset is left alone.
///
/// # Errors
/// Those of reading; ESPIPE for a pipe or a socket.
pub fn read_all(file: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let size = usize::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0);
    // One byte more than it says, so that a file of that size needs no second growth to see its end.
    let mut bytes = vec![0; size.saturating_add(1)];
    let mut length = 0;
    loop {
        if length == bytes.len() {
            bytes.resize(length.saturating_mul(2), 0);
        }
        let at = length as u64;
        match rustix::io::retry_on_intr(|| rustix::io::pread(file.as_fd(), &mut bytes[length..], at))? {
            0 => break,
            read => length += read,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
