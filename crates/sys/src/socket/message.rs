//! Messages that carry open files. Nothing here allocates: the guard sends from its hot path.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// The most files that one message carries.
pub const MAX_FILES: usize = 8;

/// What came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes in the buffer; 0 when the other end has closed (or sent an empty packet).
    pub length: usize,
    /// Files in the slots, from the first on.
    pub files: usize,
    /// Bytes or files did not fit and are lost.
    pub truncated: bool,
}

/// Sends bytes and, with them, descriptors of open files; returns how many bytes were taken (of a packet:
/// all). Files need at least one byte to travel with on a stream.
///
/// # Errors
/// `WouldBlock` when `nonblocking` and the other end has not received enough yet; EPIPE or
/// ECONNRESET when it has closed (no signal is raised); `InvalidInput` for more than [`MAX_FILES`]; EMSGSIZE for a packet too big.
pub fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    files: &[BorrowedFd<'_>],
    nonblocking: bool,
) -> io::Result<usize> {
    // Alignment leaves room for one file more, which a receiver may not have.
    if files.len() > MAX_FILES {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, nonblocking);
    let bytes = [IoSlice::new(bytes)];
    Ok(rustix::io::retry_on_intr(|| rustix::net::sendmsg(socket, &bytes, &mut control, flags))?)
}

/// Receives bytes into `buffer` and the files that came with them, close-on-exec, into `slots`. Files
/// without a slot are closed.
///
/// # Errors
/// Those of `recvmsg`; `WouldBlock` when the socket is non-blocking and nothing is there.
pub fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    slots: &mut [Option<OwnedFd>],
) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::io::retry_on_intr(|| {
        let mut bytes = [IoSliceMut::new(buffer)];
        rustix::net::recvmsg(socket, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;

    let mut free = slots.iter_mut();
    let mut files = 0;
    let mut truncated = message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    for file in rights.flatten() {
        if let Some(slot) = free.next() {
            *slot = Some(file);
            files += 1;
        } else {
            truncated = true;
        }
    }
    Ok(Received { length: message.bytes, files, truncated })
}
