//! What root on this machine may ask of the warden, through `warden.sock` in the data directory. It answers when
//! the agent does not.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::socket::Kind;
use wire::link::v1::warden_request::Request as Asked;
use wire::link::{frame, v1};

/// The socket's name in the data directory.
pub(super) const SOCKET: &str = "warden.sock";
/// How long who asks may take to do so.
const HANDSHAKE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// How long a warden may take to answer.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
const LARGEST: usize = 8192;

/// What may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// How the guard is; the lever is looked at first.
    Status,
    /// To try a guard again that only observes because it crashed too often.
    Engage,
}

/// How warden and guard are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `deny`, `observe`, `released`, or `none` where nothing is guarded.
    pub level: String,
    /// Why it is not `deny`; empty otherwise.
    pub notice: String,
    /// The warden's process.
    pub warden: i32,
    /// The guard's; 0 while there is none.
    pub guard: i32,
    /// The agent's; 0 while there is none.
    pub work: i32,
    /// Whether the guard has said that rules are in force.
    pub in_force: bool,
    /// How often the guard ended without being asked to, since the warden's start.
    pub guard_deaths: u64,
    /// How long nothing was denied after the last of them.
    pub last_gap: Option<Duration>,
    /// Which guard it is: they are counted.
    pub guard_number: u64,
}

/// Why a warden did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silent {
    /// None runs on this data directory.
    #[error("no warden runs here")]
    Absent,
    /// One is there, and stands still.
    #[error("the warden (process {0}) does not answer")]
    Hangs(i32),
}

/// Asks the warden of a data directory.
///
/// # Errors
/// When it does not answer.
pub fn ask(data_dir: &Path, request: Request) -> Result<Status, Silent> {
    let Ok(socket) = sys::socket::connect(&data_dir.join(SOCKET), Kind::Packets) else {
        return Err(Silent::Absent);
    };
    let pid = sys::socket::peer_pid(socket.as_fd()).unwrap_or_default();
    converse(&socket, request).map_err(|_| Silent::Hangs(pid))
}

fn converse(socket: &OwnedFd, request: Request) -> io::Result<Status> {
    let asked = match request {
        Request::Status => Asked::Status(true),
        Request::Engage => Asked::Engage(true),
    };
    let request = frame::body(&v1::WardenRequest { request: Some(asked) });
    sys::socket::send(socket.as_fd(), &request, &[], true)?;
    let mut packet = [0; LARGEST];
    let length = receive(socket, &mut packet, PATIENCE)?;
    let status: v1::WardenStatus = frame::decode(&packet[..length])?;
    Ok(Status {
        level: status.level,
        notice: status.notice,
        warden: status.warden_pid,
        guard: status.guard_pid,
        work: status.work_pid,
        in_force: status.in_force,
        guard_deaths: status.guard_deaths,
        last_gap: status.last_gap_ms.map(Duration::from_millis),
        guard_number: status.guard_number,
    })
}

/// Takes the next question, if it comes at once and from root.
pub(super) fn hear(listener: &OwnedFd) -> Option<(OwnedFd, Request)> {
    let socket = sys::socket::accept(listener.as_fd()).ok()?;
    if !matches!(sys::socket::peer_uid(socket.as_fd()), Ok(0)) {
        return None;
    }
    let mut packet = [0; LARGEST];
    let length = receive(&socket, &mut packet, HANDSHAKE).ok()?;
    let request = frame::decode::<v1::WardenRequest>(&packet[..length]).ok()?;
    let request = match request.request? {
        Asked::Status(_) => Request::Status,
        Asked::Engage(_) => Request::Engage,
    };
    Some((socket, request))
}

/// Answers; who does not listen goes without.
pub(super) fn answer(socket: &OwnedFd, status: &Status) {
    let status = frame::body(&v1::WardenStatus {
        level: status.level.clone(),
        notice: status.notice.clone(),
        warden_pid: status.warden,
        guard_pid: status.guard,
        work_pid: status.work,
        in_force: status.in_force,
        guard_deaths: status.guard_deaths,
        last_gap_ms: status.last_gap.map(|gap| u64::try_from(gap.as_millis()).unwrap_or(u64::MAX)),
        guard_number: status.guard_number,
    });
    let _ = sys::socket::send(socket.as_fd(), &status, &[], true);
}

fn receive(socket: &OwnedFd, packet: &mut [u8], patience: Timespec) -> io::Result<usize> {
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&patience))?;
    if ready == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let received = sys::socket::receive(socket.as_fd(), packet, &mut [])?;
    if received.length == 0 || received.truncated {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(received.length)
}
