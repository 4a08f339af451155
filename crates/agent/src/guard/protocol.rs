//! What guard and agent say to each other on `guard.sock`.
//!
//! The agent connects twice and says first which of the two a connection is. On *questions* the guard sends a
//! `Question` with the file's descriptor, and the agent a `Hashed`. On *control* the agent sends a `Snapshot`
//! as a sealed file, and with it the sealed file of the rules' base, if there is one, or a `Mark` with a descriptor;
//! the guard sends `GuardReport`s. Each message is one packet.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use sys::identity::Stat;
use sys::socket::Received;

/// The socket's name in the data directory.
pub(super) const SOCKET: &str = "guard.sock";
/// First packet of a connection on which files are hashed.
pub(super) const QUESTIONS: &[u8] = b"questions";
/// First packet of a connection on which rules go in and reports come out.
pub(super) const CONTROL: &[u8] = b"control";
/// The packet that carries a snapshot.
pub(super) const SNAPSHOT: &[u8] = b"snapshot";
/// The packet that brings a filesystem begins so; a `Mark` follows, and with it comes something on the filesystem.
pub(super) const MARK: &[u8] = b"mark ";
/// The packet that asks which filesystems are marked.
pub(super) const MARKS: &[u8] = b"marks";
/// Begins the packet that asks for the last answers about something; an `Explain` follows.
pub(super) const EXPLAIN: &[u8] = b"explain";
/// No packet is longer: the longest is a report with a path, and one with all guarded paths.
pub(super) const LARGEST: usize = 128 << 10;

/// A file in the state in which somebody saw it. Guard and worker hold the same open file, so that its inode
/// number is proof enough of which file it is.
pub(super) fn sight(stat: &Stat) -> [u8; 32] {
    let mut bytes = [0; 32];
    let parts = [stat.device, stat.inode, stat.ctime_ns.cast_unsigned(), stat.size];
    for (slot, part) in bytes.chunks_exact_mut(8).zip(parts) {
        slot.copy_from_slice(&part.to_le_bytes());
    }
    bytes
}

/// Receives one packet; `None` when the other end has closed. A packet that did not fit is an error.
pub(super) fn receive<'b>(
    socket: BorrowedFd<'_>,
    buffer: &'b mut [u8],
    file: &mut Option<OwnedFd>,
) -> io::Result<Option<&'b [u8]>> {
    receive_with(socket, buffer, std::slice::from_mut(file))
}

/// As [`receive`], for a packet that comes with up to as many files.
pub(super) fn receive_with<'b>(
    socket: BorrowedFd<'_>,
    buffer: &'b mut [u8],
    files: &mut [Option<OwnedFd>],
) -> io::Result<Option<&'b [u8]>> {
    files.fill_with(|| None);
    let Received { length, truncated, .. } = sys::socket::receive(socket, buffer, files)?;
    if truncated {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet was too long"));
    }
    Ok(if length == 0 { None } else { Some(&buffer[..length]) })
}
