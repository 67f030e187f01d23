//! Connections of a stand-in, plain or TLS.

use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::http;
use super::shared::Shared;

/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    /// New ones are reset.
    Refusing,
}

/// Takes connections until the stand-in is dropped.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, mut door: watch::Receiver<Door>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // The sender never says anything that ends us but by going away.
            gone = door.changed() => if gone.is_err() { return } else { continue },
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors: others must close theirs first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if *door.borrow() == Door::Refusing {
            reset(stream);
        } else {
            tokio::spawn(connection(stream, shared.clone(), door.clone()));
        }
    }
}

/// Closes with a reset.
fn reset(stream: TcpStream) {
    // If it does not work the connection is closed the ordinary way, which is a refusal too.
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// Serves one connection until it, or the stand-in, ends.
async fn connection(stream: TcpStream, shared: Arc<Shared>, mut door: watch::Receiver<Door>) {
    // Only costs latency if it fails.
    let _ = stream.set_nodelay(true);
    let serving = async {
        match shared.options.tls.clone() {
            None => serve(stream, shared).await,
            Some(tls) => secured(stream, tls, shared).await,
        }
    };
    tokio::select! {
        () = serving => {}
        () = async { while door.changed().await.is_ok() {} } => {}
    }
}

async fn secured(stream: TcpStream, tls: Arc<ServerConfig>, shared: Arc<Shared>) {
    let handshake = TlsAcceptor::from(tls).accept(stream);
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
        serve(stream, shared).await;
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(move |request| http::serve(shared.clone(), request));
    // Errors are the other side's business: it sees a closed connection.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
