//! The plane: what is known of files and machines, what people ordered, and the API that says so.
//!
//! A request walks through `api` (edge, gate, one file per endpoint) to the store's verbs and back out through
//! `wire::rest`. Machines are told by the sessions; what moves without a request is a chore.

#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
pub mod hints;
pub mod lists;
pub mod operator;
pub mod samples;
pub mod store;

mod api;
mod app;
pub mod chores;
mod policing;
pub mod sessions;
pub mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use model::hold::KeyChange;
use model::{Clock, MachineId, OrganizationId};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::{Edge, Failures, Limits};
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::lists::Lists;
use crate::operator::OperatorKey;
use crate::samples::Samples;
use crate::sessions::Sessions;
use crate::store::Store;
use crate::tokens::{Credentials, Tokens};

/// The server of a deployment of one node.
pub struct Server;

/// A server that runs. Dropping it ends it without a farewell.
pub struct Running {
    /// Where the API is served.
    pub address: SocketAddr,
    /// The organization: the `{tenant}` of the token endpoint.
    pub organization: OrganizationId,
    /// The machine the server runs on.
    pub machine: MachineId,
    /// With which the first tokens can be had.
    pub credentials: Credentials,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    chores: JoinHandle<()>,
}

impl Server {
    /// Opens store and sockets, and serves. `known_secret` is the first application's secret as its owner kept
    /// it; when it is not the stored one, a new secret takes its place.
    pub async fn start(config: Config, known_secret: Option<String>) -> anyhow::Result<Running> {
        refuse_the_open_network(config.listen)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(&config.data_dir, Arc::clone(&clock))?;
        let home = store.home(&config.host_name).await?;
        let tokens = Tokens::open(&config.data_dir, Arc::clone(&clock))?;
        keep_operator_key(&store, &config.data_dir, home.organization).await?;
        let credentials = tokens::first_application(&store, home.organization, known_secret).await?;

        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!("{} can't be listened on; choose another with --listen ADDR:PORT", config.listen)
        })?;
        let address = listener.local_addr()?;
        let hints = store.hints().clone();
        let samples = Samples::open(&config.data_dir, config.samples)?;
        let lists = Lists::open(&config.data_dir)?;
        let sessions = Sessions::listen(
            &config.link_socket,
            store.clone(),
            hints,
            home.organization,
            Arc::clone(&clock),
            samples.clone(),
        )
        .with_context(|| format!("the agent's socket {} can't be served", config.link_socket.display()))?;
        let chores = tokio::spawn(chores::run(store.clone(), samples.clone(), lists.clone()));
        let app = Arc::new(App {
            store,
            samples,
            lists,
            sessions,
            tokens,
            limits: Limits::new(config.rate_limit),
            failures: Failures::default(),
            clock,
            home,
            public_url: config.public_url.map(|url| url.trim_end_matches('/').to_owned()),
            address,
        });
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(api::serve(listener, Edge::new(&app), stopped));
        let (organization, machine) = (home.organization, home.machine);
        Ok(Running { address, organization, machine, credentials, stop, serving, chores })
    }
}

impl Running {
    /// Takes no more calls, finishes those under way, and closes the store.
    pub async fn stop(mut self) {
        // Errors mean that it has ended already, or was cut off as wished.
        let _ = self.stop.send(true);
        let _ = (&mut self.serving).await;
        self.chores.abort();
        let _ = (&mut self.chores).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
        self.chores.abort();
    }
}

/// Makes the operator key at the first start. Later its private half may be elsewhere; what machines are told is the
/// public half that the store has kept.
async fn keep_operator_key(
    store: &Store,
    data_dir: &std::path::Path,
    organization: OrganizationId,
) -> anyhow::Result<()> {
    take_replacement(store, data_dir, organization).await?;
    let path = OperatorKey::path(data_dir);
    let kept = store.operator_key(organization).await?;
    let key = match (path.exists(), kept) {
        (true, _) => OperatorKey::read(&path)?,
        (false, None) => OperatorKey::make(data_dir)?,
        (false, Some(_)) => return Ok(()),
    };
    let kept = store.keep_operator_key(organization, key.public()).await?;
    if kept == key.public() {
        return Ok(());
    }
    // A change that was cut short after it counted.
    if OperatorKey::read(&OperatorKey::next_path(data_dir)).is_ok_and(|next| next.public() == kept) {
        return Ok(OperatorKey::settle_next(data_dir)?);
    }
    let was_before = store.operator_key_changes(organization).await?;
    anyhow::ensure!(
        was_before.iter().any(|change| change.from == key.public()),
        "{} is not the operator key {} that the store knows: put that one in its place, or move this one away. If an \
         older database was restored, rename this one to {}: root then takes it on machines that do not have it yet",
        path.display(),
        operator::fingerprint(&kept),
        OperatorKey::replacement_path(data_dir).display()
    );
    tracing::warn!(path = %path.display(), "this operator key counts no more: another has followed; remove the file");
    Ok(())
}

/// Who rules the data directory has put a key there in the place of a lost one. Machines don't take it by themselves.
async fn take_replacement(
    store: &Store,
    data_dir: &std::path::Path,
    organization: OrganizationId,
) -> anyhow::Result<()> {
    let place = OperatorKey::replacement_path(data_dir);
    if !place.exists() {
        return Ok(());
    }
    let to = match OperatorKey::read(&place) {
        Ok(key) => key.public(),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(
                error,
                "the key that is to replace the lost one can't be read: the one of now goes on"
            );
            return Ok(());
        }
    };
    // Otherwise it is the first one, or was cut short here before.
    if let Some(from) = store.operator_key(organization).await?.filter(|kept| *kept != to) {
        let change = KeyChange { from, to, signature: Vec::new() };
        store
            .change_operator_key(organization, None, change, "the private half of the one before is lost")
            .await?;
        tracing::warn!(
            key = operator::fingerprint(&to),
            "another operator key, which the one before has not signed: root has to take it on each machine"
        );
    }
    Ok(OperatorKey::settle(data_dir, &place)?)
}

/// Tokens and secrets don't travel in the clear.
fn refuse_the_open_network(listen: SocketAddr) -> anyhow::Result<()> {
    anyhow::ensure!(
        listen.ip().is_loopback(),
        "{listen} is not a loopback address, and the API is served without TLS: secrets and tokens would travel \
         in the clear. Listen on 127.0.0.1:{port} or [::1]:{port}, put a proxy with TLS in front of it, and name \
         that with --public-url https://HOST",
        port = listen.port()
    );
    Ok(())
}
