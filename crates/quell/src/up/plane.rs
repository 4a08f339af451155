//! The server, on threads of its own within this process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use model::{MachineId, OrganizationId};
use server::Server;
use server::config::{Config, RateLimit};
use server::samples::Limits;
use tokio::sync::oneshot;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::profile::Profile;

/// A running server.
pub(super) struct Plane {
    facts: Facts,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What the server says of itself once it serves.
struct Facts {
    address: SocketAddr,
    organization: OrganizationId,
    machine: MachineId,
    client_id: String,
    client_secret: String,
}

impl Plane {
    /// Starts it, and returns once it listens. The application of the last start goes on with its secret.
    pub(super) fn start(
        data_dir: &Path,
        listen: SocketAddr,
        rate_limit: RateLimit,
        samples: Limits,
        last: Option<Profile>,
    ) -> Result<Self, Failure> {
        let config = Config {
            data_dir: data_dir.to_owned(),
            listen,
            link_socket: data_dir.join("link.sock"),
            rate_limit,
            public_url: None,
            samples,
            host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        };
        let secret = last.map(|profile| profile.client_secret);
        let (stop, stopped) = oneshot::channel();
        let (started, answer) = mpsc::channel();
        let run = move || serve(config, secret, &started, stopped);
        let thread =
            thread::Builder::new().name("server".to_owned()).spawn(run).map_err(anyhow::Error::from)?;
        let facts = answer.recv().map_err(|_| {
            Failure::new(Exit::Failed, "the server ended before it was up; its last words are above")
        })??;
        Ok(Self { facts, stop, thread })
    }

    /// How to reach it, and as whom.
    pub(super) fn profile(&self, data_dir: &Path) -> Profile {
        let Facts { address, organization, machine, client_id, client_secret } = &self.facts;
        Profile {
            base_url: format!("http://{address}"),
            token_url: format!("http://{address}/{organization}/oauth2/v2.0/token"),
            tenant_id: organization.to_string(),
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            machine_id: machine.to_string(),
            data_dir: data_dir.to_owned(),
        }
    }

    /// Where the API is served.
    pub(super) fn address(&self) -> SocketAddr {
        self.facts.address
    }

    /// Whose it is.
    pub(super) fn organization(&self) -> OrganizationId {
        self.facts.organization
    }

    /// Which machine this is to it.
    pub(super) fn machine(&self) -> MachineId {
        self.facts.machine
    }

    /// Finishes the calls under way, and ends it.
    pub(super) fn stop(self) {
        // Both fail only when it has ended by itself.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// Serves until it is told to stop, or nobody is left to tell it.
fn serve(
    config: Config,
    secret: Option<String>,
    started: &mpsc::Sender<anyhow::Result<Facts>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    runtime.block_on(async {
        match Server::start(config, secret).await {
            Ok(server) => {
                let facts = Facts {
                    address: server.address,
                    organization: server.organization,
                    machine: server.machine,
                    client_id: server.credentials.client_id.to_string(),
                    client_secret: server.credentials.client_secret.clone(),
                };
                // Where nobody waits any more, `stopped` says so too.
                let _ = started.send(Ok(facts));
                let _ = stopped.await;
                server.stop().await;
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
}
