//! The connection of a device: TLS over TCP, or plain TCP for talking to a backend directly. The record layer is the gateway's,
//! in the device's hands: so a device that waits weighs as little as the gateway's side of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};

use super::DeviceError;
use crate::gateway::tls::{ConnectError, WireStream, connect as shake_hands};

/// Connects from `source`, if given, and shakes hands.
pub(super) async fn connect(
    target: SocketAddr,
    source: Option<IpAddr>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
) -> Result<WireStream, DeviceError> {
    let stream = connect_tcp(target, source).await.map_err(DeviceError::Connect)?;
    match tls {
        None => Ok(WireStream::plain(stream, Vec::new())),
        Some((config, name)) => shake_hands(config, name, stream).await.map_err(|error| match error {
            ConnectError::Io(error) => DeviceError::Connect(error),
            ConnectError::Handshake(error) => DeviceError::Tls(error),
        }),
    }
}

async fn connect_tcp(target: SocketAddr, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
