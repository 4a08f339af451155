//! What any user of this machine may ask: to go past a warning. On a socket of its own, in a directory of its own,
//! since all else is root's alone.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sys::socket::Kind;
use wire::link::{frame, v1};

use super::bypass::bypass;
use super::deadline::Timed;
use super::visitors::Visitors;
use super::{Reply, Request, encode, hear, say, understand};
use crate::core::Core;

/// Where the sockets are by which users reach agents.
pub(crate) const DIRECTORY: &str = "/run/quell";
/// How long a user may take to ask, and again to hear the answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where users reach the agent of this data directory.
pub(crate) fn socket(data_dir: &Path) -> PathBuf {
    let name = model::Sha256(Sha256::digest(data_dir.as_os_str().as_bytes()).into()).to_string();
    Path::new(DIRECTORY).join(format!("{}.sock", &name[..12]))
}

/// Answers users until the agent stops.
///
/// # Errors
/// When the socket can't be made.
pub(crate) fn serve(core: &Arc<Core>, data_dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(DIRECTORY)?;
    let path = socket(data_dir);
    let listener = sys::socket::listen(&path, Kind::Stream)?;
    fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    let visitors = Visitors::default();
    while !core.halt.is_asked() {
        if let Err(error) = welcome(core, &listener, &visitors) {
            tracing::debug!(%error, "a user was not answered");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

/// Takes the next connection and leaves it to a thread; one that there is no room for is closed.
fn welcome(core: &Arc<Core>, listener: &OwnedFd, visitors: &Visitors) -> io::Result<()> {
    let socket = sys::socket::accept(listener.as_fd())?;
    let user = sys::socket::peer_uid(socket.as_fd())?;
    let Some(visit) = visitors.admit(user) else { return Ok(()) };
    let core = Arc::clone(core);
    std::thread::Builder::new().name("user".to_owned()).spawn(move || {
        if let Err(error) = converse(&core, user, &UnixStream::from(socket)) {
            tracing::debug!(%error, user, "a user was not answered");
        }
        drop(visit);
    })?;
    Ok(())
}

fn converse(core: &Core, user: u32, stream: &UnixStream) -> io::Result<()> {
    let request = frame::read::<v1::LocalRequest>(&mut Timed::new(stream, PATIENCE))?;
    let Some(request) = request else { return Ok(()) };
    let reply = match understand(request) {
        Some(Request::Bypass(file, comment)) => bypass(core, user, &file, &comment),
        _ => Reply::Refused("only root may ask for that".to_owned()),
    };
    say(&mut Timed::new(stream, PATIENCE), reply)
}

/// Asks the agent of this data directory, as whoever this process belongs to.
///
/// # Errors
/// When no agent answers, or who answers is not root.
pub fn ask_as_user(data_dir: &Path, request: &Request) -> anyhow::Result<Reply> {
    let path = socket(data_dir);
    let mut stream = UnixStream::connect(&path)
        .map_err(|error| anyhow::anyhow!("{}: {error}; does the agent run?", path.display()))?;
    anyhow::ensure!(sys::socket::peer_uid(stream.as_fd())? == 0, "{} is not root's", path.display());
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    frame::write(&mut stream, &v1::LocalRequest { request: Some(encode(request)) })?;
    hear(&mut stream)
}
