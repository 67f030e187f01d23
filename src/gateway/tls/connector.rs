//! The device's end: a connected socket → a stream to speak HTTP on. For simulated devices, which are as many as those the
//! gateway holds and have to be as small.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::handshake::{DeviceSide, Handshake, Next};
use super::received::Received;
use super::stream::WireStream;
use super::wire::Wire;

/// Why a socket did not become a stream.
#[derive(Debug)]
pub enum ConnectError {
    /// The socket failed, or the server hung up.
    Io(io::Error),
    /// The handshake failed; where an alert is due, it was sent.
    Handshake(rustls::Error),
}

/// Shakes hands as a device. `config` must have `enable_secret_extraction`. Dropping the future closes the socket; there is no
/// time limit in here. Session tickets go to the configuration's store as long as the stream is not taken apart.
///
/// # Errors
/// See [`ConnectError`]; the socket is closed then.
pub async fn connect(config: Arc<ClientConfig>, name: ServerName<'static>, mut stream: TcpStream) -> Result<WireStream, ConnectError> {
    let mut handshake = Box::new(Handshake::<DeviceSide>::of_device(config, name).map_err(ConnectError::Handshake)?);
    loop {
        match handshake.advance() {
            Ok(Next::Send) => {
                stream.write_all(&handshake.outgoing).await.map_err(ConnectError::Io)?;
                handshake.outgoing.clear();
            }
            Ok(Next::Receive) => {
                handshake.incoming.reserve(READ_BYTES);
                if stream.read_buf(&mut handshake.incoming).await.map_err(ConnectError::Io)? == 0 {
                    return Err(ConnectError::Io(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            Ok(Next::Finish) => break,
            Err(error) => {
                // Whether the alert arrives changes nothing here.
                let _ = stream.write_all(&handshake.outgoing).await;
                return Err(ConnectError::Handshake(error));
            }
        }
    }
    let done = handshake.finish().map_err(ConnectError::Handshake)?;
    let tickets = Tickets { kernel: done.kernel, begun: Vec::new() };
    let stream = WireStream::from_parts(stream, Wire::Tls(done.keys), Received::from_ciphertext(done.early));
    Ok(stream.with_tickets(tickets))
}

/// Takes session tickets (RFC 8446 section 4.6.1) to where the next handshake finds them.
pub(super) struct Tickets {
    kernel: KernelConnection<ClientConnectionData>,
    /// A message whose end is in the next record.
    begun: Vec<u8>,
}

impl Tickets {
    /// Handshake messages as they came. What is no ticket, or not a good one, is left alone: devices live without.
    pub(super) fn take(&mut self, record: &[u8]) {
        self.begun.extend_from_slice(record);
        while let &[kind, a, b, c, ref rest @ ..] = &self.begun[..] {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            if length > MESSAGE_BYTES_MAX {
                self.begun.clear();
                return;
            }
            let Some(message) = rest.get(..length) else { return };
            if kind == NEW_SESSION_TICKET {
                // One that cannot be used is one that is not used.
                let _ = self.kernel.handle_new_session_ticket(message);
            }
            self.begun.drain(..4 + length);
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Io(error) => write!(f, "{error}"),
            ConnectError::Handshake(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ConnectError {}

/// One read of a handshake: a server's hello, chain and Finished are two to four KB.
const READ_BYTES: usize = 4_096;
/// A ticket of pushgate is some 200 bytes; with a chain of device certificates inside it can be a few KB.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
const NEW_SESSION_TICKET: u8 = 4;
