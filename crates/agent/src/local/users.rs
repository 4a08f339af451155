//! What any user of this machine may ask: to go past a warning. On a socket of its own, in a directory of its own,
//! since all else is root's alone.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsFd;
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
use super::{Reply, Request, encode, hear, say, understand};
use crate::core::Core;

const DIRECTORY: &str = "/run/quell";
/// Users are answered one after the other, and nobody keeps others waiting longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where users reach the agent of this data directory.
fn socket(data_dir: &Path) -> PathBuf {
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
    while !core.halt.is_asked() {
        let answered = sys::socket::accept(listener.as_fd()).and_then(|socket| {
            let user = sys::socket::peer_uid(socket.as_fd())?;
            converse(core, user, UnixStream::from(socket))
        });
        if let Err(error) = answered {
            tracing::debug!(%error, "a user was not answered");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

fn converse(core: &Core, user: u32, mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some(request) = frame::read::<v1::LocalRequest>(&mut stream)? else { return Ok(()) };
    let reply = match understand(request) {
        Some(Request::Bypass(file, comment)) => bypass(core, user, &file, &comment),
        _ => Reply::Refused("only root may ask for that".to_owned()),
    };
    say(&mut stream, reply)
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
