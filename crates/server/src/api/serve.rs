//! Connections: who may have one, and for how long.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::Edge;
use super::pace::Paced;

/// Who sends the head of a request more slowly is gone.
const HEAD: Duration = Duration::from_secs(10);
/// Who does not acknowledge what we send for so long is gone; see also [`Paced`].
const STALLED: Duration = Duration::from_secs(60);
/// More connections wait in the kernel,
const CONNECTIONS: usize = 4096;
/// also those for which no descriptors are to be had: half of them are left for store and machines, which must
/// go on however many callers there are.
fn places() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    share_of(limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX))
}

fn share_of(descriptors: usize) -> usize {
    (descriptors / 2).clamp(1, CONNECTIONS)
}

/// At the end, calls under way have so long.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves the API until `stop` says so or is gone; then finishes what is under way.
pub(crate) async fn serve(listener: TcpListener, edge: Edge, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(places()));
    let graceful = GracefulShutdown::new();
    // Owned here, so that whoever ends this ends every connection.
    let mut connections = JoinSet::new();
    loop {
        let ((stream, peer), place) = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        // Both only make things better; a socket that refuses them is still served.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, STALLED.as_millis() as u32);
        connections.spawn(attend(stream, peer, place, edge.clone(), graceful.watcher()));
    }
    drop(listener);
    if tokio::time::timeout(FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::warn!("calls were still under way at the end and are cut off");
    }
    connections.shutdown().await;
}

type Accepted = ((TcpStream, SocketAddr), OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Accepted {
    let place = match Arc::clone(places).acquire_owned().await {
        Ok(place) => place,
        // Nobody closes it.
        Err(_) => std::future::pending().await,
    };
    loop {
        match listener.accept().await {
            Ok(connection) => return (connection, place),
            Err(error) => {
                // Out of descriptors, mostly: others will be closed.
                tracing::warn!(%error, "a connection could not be accepted; trying again");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn attend(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    edge: Edge,
    watcher: Watcher,
) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let edge = edge.clone();
        async move { Ok::<_, Infallible>(edge.answer(request.map(Body::new), peer.ip()).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(Paced::new(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
    drop(place);
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_his_answer_loses_connection_and_place() {
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let edge = Edge::from(Router::new().route("/", get(async || vec![0_u8; 1 << 20])));
        let (mut reader, ours) = duplex(4096);
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let graceful = GracefulShutdown::new();
        let serving = tokio::spawn(attend(ours, peer, place, edge, graceful.watcher()));
        reader.write_all(b"GET / HTTP/1.1\r\nHost: quell.test\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        reader.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        // Nothing more is read.
        serving.await.unwrap();
        assert_eq!(places.available_permits(), 1);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() < 1 << 20);
    }

    #[test]
    fn callers_never_take_the_last_descriptor() {
        for (descriptors, share) in
            [(0, 1), (1, 1), (1024, 512), (1 << 20, CONNECTIONS), (usize::MAX, CONNECTIONS)]
        {
            assert_eq!(share_of(descriptors), share);
        }
    }
}
