//! Connections that come back.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use sys::socket::Kind;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait before trying again: longer each time, until it has worked.
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    pub(super) fn sleep(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }

    pub(super) fn reset(&mut self) {
        self.0 = FIRST_PAUSE;
    }
}

/// Connects, and says what for.
pub(super) fn connect(path: &Path, purpose: &[u8]) -> io::Result<OwnedFd> {
    let socket = sys::socket::connect(path, Kind::Packets)?;
    sys::socket::send(socket.as_fd(), purpose, &[], false)?;
    Ok(socket)
}
