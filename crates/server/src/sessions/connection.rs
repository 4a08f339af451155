//! One connection, from Hello to its end.
//!
//! Five loops run side by side: what the machine says is heard, its sightings, its samples and its inspections are taken
//! in, and what it must know is told. None waits for another, so a large batch delays no order. The first that ends ends all.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use model::MachineId;
use model::log::Position;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use wire::link::{Malformed, PROTOCOL, frame, v1};

use super::{Plane, Presence, Seat, hear, inspect, receive, tell};
use crate::store::{Attach, StoreError};

/// How long a new connection may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// Batches of sightings that may wait for the store before the machine is made to wait.
const BATCHES: usize = 4;
/// Acknowledgements that may wait for the machine to read.
const ANSWERS: usize = 64;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the machine has gone")]
    Gone,
    #[error("another connection of the same machine has taken its place, or the server stops")]
    Replaced,
    #[error("it did not say who it is within {} s", HELLO_WITHIN.as_secs())]
    NoHello,
    #[error("the machine speaks protocol {0}, this server speaks {PROTOCOL}: upgrade the older one")]
    Protocol(u32),
    #[error("the machine does not read what it is sent")]
    Stuck,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Serves one connection until it ends, and says in the log why it did.
pub(super) async fn serve(plane: Arc<Plane>, mut stream: UnixStream, connection: u64) {
    let guest = match greet(&plane, &mut stream).await {
        Ok(greeted) => greeted,
        Err(why) => return tracing::warn!(connection, %why, "session.not_attached"),
    };
    let machine = guest.machine;
    let (hold, replaced) = oneshot::channel();
    let _seated = Seated::take(&plane, machine, connection, hold);
    tracing::info!(%machine, connection, "session.attached");
    let why = attached(&plane, stream, guest, replaced).await;
    match &why {
        Ended::Gone | Ended::Replaced => tracing::info!(%machine, connection, %why, "session.ended"),
        _ => tracing::warn!(%machine, connection, %why, "session.ended"),
    }
}

/// Who has said Hello, and how far machine and server are with each other.
#[derive(Clone, Copy)]
pub(super) struct Guest {
    pub(super) machine: MachineId,
    /// The rules it has.
    pub(super) position: Position,
    /// The last batch of its sightings that the store has.
    pub(super) ingested: u64,
    /// Version of what its inspection makes; 0 if it inspects nothing.
    pub(super) inspects: u32,
}

/// Hears who it is. Its rows in the store are fresh afterwards.
async fn greet(plane: &Plane, stream: &mut UnixStream) -> Result<Guest, Ended> {
    let first = timeout(HELLO_WITHIN, next(stream)).await.map_err(|_| Ended::NoHello)??;
    let Some(v1::up::Message::Hello(hello)) = first.ok_or(Ended::Gone)?.message else {
        return Err(Malformed("hello").into());
    };
    if hello.protocol != PROTOCOL {
        return Err(Ended::Protocol(hello.protocol));
    }
    let machine = MachineId::try_from(hello.machine.as_slice()).map_err(|_| Malformed("machine"))?;
    let position = hello.position.map(Position::from).unwrap_or_default();
    let attached = plane
        .store
        .attach(Attach {
            organization: plane.organization,
            machine,
            host_name: hello.host_name,
            os_platform: hello.os_platform,
            os_version: hello.os_version,
            kernel: hello.kernel,
            architecture: hello.architecture,
            agent_version: hello.agent_version,
            addresses: hello.addresses,
            position,
        })
        .await?;
    Ok(Guest { machine, position, ingested: attached.ingested, inspects: hello.inspection_version })
}

async fn attached(plane: &Plane, stream: UnixStream, guest: Guest, replaced: oneshot::Receiver<()>) -> Ended {
    let machine = guest.machine;
    let (reader, writer) = stream.into_split();
    let (answer, answers) = mpsc::channel(ANSWERS);
    let (batch, batches) = mpsc::channel(BATCHES);
    let (piece, pieces) = mpsc::channel(receive::PIECES);
    let (record, records) = mpsc::channel(inspect::RECORDS);
    let fresh = Notify::new();
    let hand_on = hear::HandOn { batches: batch, pieces: piece, records: record, answers: answer.clone() };
    let ended = tokio::select! {
        ended = hear::run(plane, machine, reader, hand_on) => ended,
        ended = receive::run(plane, machine, pieces, answer.clone()) => ended,
        ended = inspect::run(plane, guest, records, &fresh, answer.clone()) => ended,
        ended = hear::take_in(plane, machine, batches, &fresh, answer) => ended,
        ended = tell::run(plane, guest, writer, answers) => ended,
        // Nothing is ever sent on it: it ends with the seat.
        _ = replaced => return Ended::Replaced,
    };
    ended.err().unwrap_or(Ended::Gone)
}

/// The next message; none at the end of the stream between two messages.
pub(super) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<v1::Up>, Ended> {
    let mut head = [0; 4];
    if stream.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut head[1..]).await?;
    let mut body = vec![0; frame::length(head)?];
    stream.read_exact(&mut body).await?;
    Ok(Some(frame::decode(&body)?))
}

/// The machine's seat, for as long as this connection has it.
struct Seated<'a> {
    plane: &'a Plane,
    machine: MachineId,
    connection: u64,
}

impl<'a> Seated<'a> {
    fn take(plane: &'a Plane, machine: MachineId, connection: u64, hold: oneshot::Sender<()>) -> Self {
        let presence = Presence { since: plane.clock.now(), heartbeat: None };
        plane.present().insert(machine, Seat { presence, _hold: hold, connection });
        Self { plane, machine, connection }
    }
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        let mut present = self.plane.present();
        if present.get(&self.machine).is_some_and(|seat| seat.connection == self.connection) {
            present.remove(&self.machine);
        }
    }
}
