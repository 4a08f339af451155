//! Unix sockets between processes of one machine, and what is sent over them.

mod memfd;
mod message;

pub(crate) use memfd::ALL_SEALS;
pub use memfd::{Unsealed, memfd_sealed, read_all};
pub use message::{MAX_FILES, Received, receive, send};

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As messages, whole and in order.
    Packets,
    /// As a stream without bounds.
    Stream,
}

/// Listens at `path`, for this user alone (mode 0600). A socket file that nobody listens at any more is
/// replaced.
///
/// # Errors
/// EADDRINUSE when somebody listens there, or `path` is no socket; EINVAL when it is longer than 107 bytes.
pub fn listen(path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = new(kind)?;
    remove_stale(path, kind)?;
    rustix::net::bind(&socket, &address)?;
    // Nobody can connect before `listen`, so there is no moment at which others could.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, 128)?;
    Ok(socket)
}

/// Connects to who listens at `path`.
///
/// # Errors
/// ENOENT or ECONNREFUSED when nobody does; EPROTOTYPE when it is of the other kind.
pub fn connect(path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    let socket = new(kind)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Waits for the next who connects.
///
/// # Errors
/// Those of `accept4`; EMFILE when there is no descriptor for it.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::retry_on_intr(|| rustix::net::accept_with(listener, SocketFlags::CLOEXEC))?)
}

/// Two sockets connected to each other.
///
/// # Errors
/// EMFILE when there are no descriptors for them.
pub fn pair(kind: Kind) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, socket_type(kind), SocketFlags::CLOEXEC, None)?)
}

/// The user who connected, or listened, at the other end.
///
/// # Errors
/// ENOTCONN or ENODATA when there is no other end.
pub fn peer_uid(socket: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(peer(socket)?.uid)
}

/// The process that did; 0 when it is outside our process namespace. It may have handed the socket on.
///
/// # Errors
/// As [`peer_uid`].
pub fn peer_pid(socket: BorrowedFd<'_>) -> io::Result<i32> {
    Ok(peer(socket)?.pid)
}

/// Sets how many bytes may wait to be received; the kernel doubles it for its own use and caps it at
/// `net.core.wmem_max`, unless we may go beyond.
///
/// # Errors
/// None are known for a socket.
pub fn set_send_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    rustix::net::sockopt::set_socket_send_buffer_size_force(socket, bytes)
        .or_else(|_| rustix::net::sockopt::set_socket_send_buffer_size(socket, bytes))?;
    Ok(())
}

fn new(kind: Kind) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, socket_type(kind), SocketFlags::CLOEXEC, None)?)
}

fn socket_type(kind: Kind) -> SocketType {
    match kind {
        Kind::Packets => SocketType::SEQPACKET,
        Kind::Stream => SocketType::STREAM,
    }
}

fn remove_stale(path: &Path, kind: Kind) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && connect(path, kind).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// By hand, because rustix's `UCred` cannot hold the process id 0, which the kernel may give.
fn peer(socket: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: `peer` is of the type that SO_PEERCRED fills in, `length` is its size, and both outlive the
    // call; `socket` is borrowed, so open.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(peer) }
}
