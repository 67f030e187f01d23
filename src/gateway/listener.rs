//! Listening addresses: bind, accept, and how a fresh connection becomes one that speaks HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use super::handshakes::Place;
use super::parked::Peer;
use super::tls::{AcceptError, WireStream};
use super::{Gateway, client_certificate, connection, proxy_protocol};
use crate::config::limits::TCP_USER_TIMEOUT;
use crate::telemetry::metrics::{SHED_TOTAL, TLS_HANDSHAKES_TOTAL};

/// What is spoken on an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Tls,
    /// HTTP from a balancer that ends TLS itself.
    Plain,
}

/// A bound address.
pub struct Listener {
    listener: TcpListener,
    speaks: Speaks,
}

impl Gateway {
    /// Binds every configured address.
    ///
    /// # Errors
    /// Names the address that could not be bound.
    pub fn bind(&self) -> io::Result<Vec<Listener>> {
        let listen = &self.config.listen;
        let tls = listen.address.iter().map(|address| (*address, Speaks::Tls));
        let plain = listen.plain_address.iter().map(|address| (*address, Speaks::Plain));
        tls.chain(plain)
            .map(|(address, speaks)| {
                let listener = bind(address, listen.reuse_port, listen.backlog);
                let listener = listener.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
                Ok(Listener { listener, speaks })
            })
            .collect()
    }
}

/// Binds with the backlog asked for, which `TcpListener::bind` would not.
fn bind(address: SocketAddr, reuse_port: bool, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    if address.is_ipv6() {
        // 0.0.0.0 and [::] side by side, each for its own.
        socket.set_only_v6(true)?;
    }
    prepare_sockets(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    TcpListener::from_std(socket.into())
}

impl Listener {
    /// The address bound, with the port the system chose.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until the gateway drains.
    pub async fn run(self, gateway: Arc<Gateway>) {
        let mut draining = gateway.draining.subscribe();
        let beat = gateway.accepting.begin();
        loop {
            // Nobody is accepted whose handshake could not begin: the kernel's queue holds them meanwhile.
            let place = tokio::select! {
                place = gateway.handshakes.place() => place,
                () = gateway.accepting.asked() => {
                    beat.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                _ = draining.wait_for(|draining| *draining) => return,
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = gateway.accepting.asked() => {
                    beat.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                _ = draining.wait_for(|draining| *draining) => return,
            };
            match accepted {
                Ok((stream, peer)) if gateway.active() < gateway.config.limits.connections_max => {
                    tokio::spawn(welcome(gateway.clone(), stream, peer, self.speaks, place));
                }
                Ok(_) => metrics::counter!(SHED_TOTAL.name, "limit" => "connections_max").increment(1),
                Err(error) => {
                    // Out of descriptors, mostly: those who are held stay, and waiting is all that helps.
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// From a bare socket to one that speaks HTTP, in a limited time.
async fn welcome(gateway: Arc<Gateway>, stream: TcpStream, address: SocketAddr, speaks: Speaks, mut place: Place) {
    let mut active = connection::Active::new(&gateway);
    let ready = tokio::select! {
        ready = tokio::time::timeout(gateway.config.limits.handshake, prepare(&gateway, &mut active, (stream, address, speaks))) => ready.ok().flatten(),
        () = place.wanted() => None,
    };
    drop(place);
    if let Some((stream, peer)) = ready {
        connection::serve(gateway, active, stream, peer, connection::Begin::Fresh).await;
    }
}

async fn prepare(
    gateway: &Gateway,
    active: &mut connection::Active,
    (mut stream, address, speaks): (TcpStream, SocketAddr, Speaks),
) -> Option<(WireStream, Peer)> {
    let ip = address.ip().to_canonical();
    let is_trusted = gateway.is_trusted(ip);
    let mut peer = Peer { ip, port: address.port(), trusts_forwarded: speaks == Speaks::Plain };
    if speaks == Speaks::Plain && !is_trusted {
        tracing::debug!(%peer, "refused: plain_address is for trusted_proxies");
        return None;
    }
    let mut early = Vec::new();
    if gateway.config.listen.proxy_protocol {
        if !is_trusted {
            tracing::debug!(%peer, "refused: a PROXY protocol address is for trusted_proxies");
            return None;
        }
        let (device, rest) =
            proxy_protocol::read(&mut stream).await.inspect_err(|error| tracing::debug!(%peer, ?error, "no PROXY header")).ok()?;
        if let Some(device) = device {
            peer = Peer { ip: device.ip().to_canonical(), port: device.port(), ..peer };
        }
        early = rest;
    }
    // A balancer that does not say for whom it comes may come as often as it likes.
    if !gateway.is_trusted(peer.ip) {
        active.stranger = Some(gateway.crowd.meet(&gateway.config.limits, peer.ip)?);
    }
    if speaks == Speaks::Plain {
        return Some((WireStream::plain(stream, early), peer));
    }
    match gateway.acceptor.accept(stream, early).await {
        Ok(accepted) => {
            metrics::counter!(TLS_HANDSHAKES_TOTAL.name, "kind" => if accepted.resumed { "resumed" } else { "full" }).increment(1);
            active.certificate = accepted.client_certificate.as_deref().map(client_certificate::header);
            Some((accepted.stream, peer))
        }
        Err(error) => {
            if !matches!(error, AcceptError::HungUp) {
                metrics::counter!(TLS_HANDSHAKES_TOTAL.name, "kind" => "failed").increment(1);
                tracing::debug!(%peer, error = error.label(), "handshake failed");
            }
            None
        }
    }
}

/// Answers must go out at once, and one that never arrives must show. Accepted sockets have the options of the one that listens,
/// which saves each connection two system calls.
fn prepare_sockets(listening: &Socket) -> io::Result<()> {
    listening.set_tcp_nodelay(true)?;
    listening.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[tokio::test]
    async fn accepted_sockets_do_not_delay_and_give_up() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = bind(address.parse().expect("an address"), false, 16).expect("a free port");
            let _device = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
            let (stream, _) = listener.accept().await.expect("accepted");
            let socket = SockRef::from(&stream);
            assert!(socket.tcp_nodelay().expect("known"), "{address}");
            assert_eq!(socket.tcp_user_timeout().expect("known"), Some(TCP_USER_TIMEOUT), "{address}");
        }
    }
}
