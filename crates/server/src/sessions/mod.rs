//! Attached machines: who is there, and one connection each.

mod connection;
mod hear;
mod inspect;
mod receive;
mod speak;
mod tell;

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Clock, MachineId, OrganizationId, Sha256, Time};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use wire::link::v1;

use crate::hints::Hints;
use crate::samples::Samples;
use crate::store::Store;

/// The machines that are attached. Clones share it; dropping the last one closes socket and connections.
#[derive(Clone)]
pub struct Sessions {
    plane: Arc<Plane>,
    _door: Arc<Door>,
}

/// An attached machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Presence {
    /// Since when.
    pub since: Time,
    /// The last it said of itself; none until it first did.
    pub heartbeat: Option<v1::Heartbeat>,
}

impl Sessions {
    /// Listens for this organization's machines on a local socket. Only root and our own user may connect.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When something else stands at `path`, or another server listens there.
    pub fn listen(
        path: &Path,
        store: Store,
        hints: Hints,
        organization: OrganizationId,
        clock: Arc<dyn Clock>,
        samples: Samples,
    ) -> io::Result<Self> {
        clear(path)?;
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        // The file was just made by us, so its owner is who we are.
        let ourselves = std::fs::metadata(path)?.uid();
        let plane = Arc::new(Plane {
            store,
            hints,
            organization,
            clock,
            samples,
            present: Mutex::default(),
            inspecting: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&plane), ourselves)).abort_handle();
        let door = Door { path: path.to_owned(), accepting, plane: Arc::clone(&plane) };
        Ok(Self { plane, _door: Arc::new(door) })
    }

    /// What an attached machine last said; none if it is not attached.
    pub fn attached(&self, machine: MachineId) -> Option<Presence> {
        self.plane.present().get(&machine).map(|seat| seat.presence.clone())
    }
}

/// What every connection works with.
struct Plane {
    store: Store,
    hints: Hints,
    organization: OrganizationId,
    clock: Arc<dyn Clock>,
    samples: Samples,
    present: Mutex<HashMap<MachineId, Seat>>,
    /// Files about which a machine was asked that has not answered: no other is, meanwhile.
    inspecting: Mutex<HashMap<Sha256, MachineId>>,
}

/// The one connection that a machine has.
struct Seat {
    presence: Presence,
    /// Dropped when another connection of the machine takes its place.
    _hold: oneshot::Sender<()>,
    /// Which connection it is.
    connection: u64,
}

impl Plane {
    /// Nothing that could panic runs under this lock.
    fn present(&self) -> MutexGuard<'_, HashMap<MachineId, Seat>> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing that could panic runs under this lock, either.
    fn inspecting(&self) -> MutexGuard<'_, HashMap<Sha256, MachineId>> {
        self.inspecting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The socket: as long as it is there, machines come in.
struct Door {
    path: PathBuf,
    accepting: AbortHandle,
    plane: Arc<Plane>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
        // Each connection ends when its seat is gone.
        self.plane.present().clear();
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

/// Removes a socket that a server left behind when it was killed.
fn clear(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let refused = |why: &str| io::Error::new(io::ErrorKind::AddrInUse, format!("{} {why}", path.display()));
    if !found.file_type().is_socket() {
        return Err(refused("is no socket: it is not replaced"));
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(refused("is served by another process"));
    }
    std::fs::remove_file(path)
}

async fn accept(listener: UnixListener, plane: Arc<Plane>, ourselves: u32) {
    let mut connection = 0;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Most likely too many open files: some will be closed.
                tracing::warn!(%error, "session.accept_failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(why) = may_enter(&stream, ourselves) {
            tracing::warn!(why, "session.refused");
            continue;
        }
        connection += 1;
        tokio::spawn(connection::serve(Arc::clone(&plane), stream, connection));
    }
}

fn may_enter(stream: &UnixStream, ourselves: u32) -> Result<(), String> {
    let peer = stream.peer_cred().map_err(|error| format!("who connects is unknown: {error}"))?;
    if peer.uid() == 0 || peer.uid() == ourselves {
        return Ok(());
    }
    Err(format!("user {} may not connect, only root and user {ourselves}", peer.uid()))
}
