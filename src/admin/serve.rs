//! Sockets of the internal address → router. A bounded number of connections, each with bounded time for a head.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::config::limits::{INTERNAL_CONNECTIONS_MAX, INTERNAL_REQUEST_TIME};

/// Requests that are under way when the process leaves get this long.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Makes a stream to speak HTTP over of an accepted socket: itself, or TLS.
pub trait Acceptor: Clone + Send + Sync + 'static {
    /// The stream.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Runs in the connection's own task, for `INTERNAL_REQUEST_TIME` at most.
    fn accept(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// Whether what it makes may leave the machine.
    fn is_encrypted(&self) -> bool;
}

/// HTTP as it is; loopback only.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Acceptor for Plain {
    type Io = TcpStream;

    async fn accept(&self, stream: TcpStream) -> io::Result<TcpStream> {
        Ok(stream)
    }

    fn is_encrypted(&self) -> bool {
        false
    }
}

impl Acceptor for tokio_rustls::TlsAcceptor {
    type Io = tokio_rustls::server::TlsStream<TcpStream>;

    async fn accept(&self, stream: TcpStream) -> io::Result<Self::Io> {
        tokio_rustls::TlsAcceptor::accept(self, stream).await
    }

    fn is_encrypted(&self) -> bool {
        true
    }
}

/// Serves until `shutdown` resolves, then lets requests under way finish for two seconds. An error at once when the
/// token would cross a network unencrypted.
pub async fn serve<A: Acceptor>(
    listener: TcpListener,
    acceptor: A,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !acceptor.is_encrypted() && !address.ip().is_loopback() {
        return Err(io::Error::other(format!(
            "internal.address {address} is not loopback and has no TLS: the token would be readable on the network"
        )));
    }
    let (leave, leaving) = watch::channel(());
    let places = Arc::new(Semaphore::new(INTERNAL_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let admitted = async {
            // The semaphore is never closed; were it, no connection would be admitted.
            let Ok(place) = places.clone().acquire_owned().await else { return std::future::pending().await };
            (listener.accept().await, place)
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (accepted, place) = admitted => match accepted {
                Ok((stream, peer)) => {
                    let connection = connection(stream, peer, acceptor.clone(), router.clone(), leaving.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                // Out of descriptors, as a rule: what frees one is time.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the internal address");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    leave.send_replace(());
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_ANSWERS, finished).await.is_err() {
        tracing::warn!("internal requests were cut off at shutdown");
    }
    Ok(())
}

/// One connection, until the peer or `leaving` ends it.
async fn connection<A: Acceptor>(stream: TcpStream, peer: SocketAddr, acceptor: A, router: Router, mut leaving: watch::Receiver<()>) {
    // Small answers should not wait for a peer's delayed acknowledgement; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let io = match tokio::time::timeout(INTERNAL_REQUEST_TIME, acceptor.accept(stream)).await {
        Ok(Ok(io)) => io,
        Ok(Err(error)) => return tracing::debug!(%error, "internal handshake failed"),
        Err(_) => return tracing::debug!("internal handshake took too long"),
    };
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(answer(&mut router, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(INTERNAL_REQUEST_TIME)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(io), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        _ = leaving.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "internal connection ended");
    }
}

async fn answer(router: &mut Router, request: hyper::Request<hyper::body::Incoming>) -> axum::response::Response {
    match Service::<hyper::Request<_>>::call(router, request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
