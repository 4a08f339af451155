//! Signals, as descriptors that can be waited for.

use std::ffi::c_int;
use std::os::fd::OwnedFd;

use rustix::pipe::PipeFlags;

/// Readable when one of these signals has come. From then on they no longer end the process.
///
/// # Errors
/// EMFILE; EINVAL for a signal that nobody can catch.
pub(crate) fn told_of(signals: &[c_int]) -> std::io::Result<OwnedFd> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, write.try_clone()?)?;
    }
    Ok(read)
}

/// Forgets those that have come, however many: the next one is news again.
pub(crate) fn drain(told: &OwnedFd) {
    // It fails only when there is nothing.
    while rustix::io::read(told, &mut [0; 64]).is_ok_and(|read| read == 64) {}
}
