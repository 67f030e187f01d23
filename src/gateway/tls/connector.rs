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

#[cfg(test)]
mod tests {
    use rustls::SupportedProtocolVersion;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::version::{TLS12, TLS13};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::super::Acceptor;
    use super::*;

    fn config(root: &str, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let mut config = builder.with_protocol_versions(&[version]).unwrap().with_root_certificates(roots).with_no_client_auth();
        config.enable_secret_extraction = true;
        Arc::new(config)
    }

    /// Accepts once, gives back what it reads; says whether a session was resumed.
    fn echo(listener: &Arc<TcpListener>, acceptor: &Arc<Acceptor>) -> JoinHandle<bool> {
        let (listener, acceptor) = (Arc::clone(listener), Arc::clone(acceptor));
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut accepted) = acceptor.accept(stream, Vec::new()).await else { return false };
            let mut buffer = [0; 64];
            while let Ok(count @ 1..) = accepted.stream.read(&mut buffer).await {
                accepted.stream.write_all(&buffer[..count]).await.unwrap();
                accepted.stream.flush().await.unwrap();
            }
            accepted.resumed
        })
    }

    async fn ask(stream: &mut WireStream, text: &[u8]) {
        stream.write_all(text).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, text);
    }

    fn scene() -> (Arc<Acceptor>, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        (Arc::new(Acceptor::from_pem(&chain, &key).unwrap()), chain)
    }

    #[tokio::test]
    async fn a_device_speaks_both_versions_resumes_and_can_be_taken_apart_between_two_exchanges() {
        let (acceptor, root) = scene();
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        for version in [&TLS12, &TLS13] {
            let config = config(&root, version);
            for is_second in [false, true] {
                let serving = echo(&listener, &acceptor);
                let stream = TcpStream::connect(address).await.unwrap();
                let mut stream = connect(Arc::clone(&config), "localhost".try_into().unwrap(), stream).await.unwrap();
                ask(&mut stream, b"one").await;
                let (socket, wire, received) = stream.into_parts().expect("all is sent");
                assert!(received.is_empty(), "tickets are not data");
                let mut stream = WireStream::from_parts(socket, wire, received);
                ask(&mut stream, b"two").await;
                drop(stream);
                assert_eq!(serving.await.unwrap(), is_second, "{version:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_device_refuses_a_stranger_and_notices_who_hangs_up() {
        let (acceptor, _) = scene();
        let (_, other_root) = scene();
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let serving = echo(&listener, &acceptor);
        let config = config(&other_root, &TLS13);
        let stream = TcpStream::connect(address).await.unwrap();
        let refused = connect(Arc::clone(&config), "localhost".try_into().unwrap(), stream).await;
        assert!(matches!(refused, Err(ConnectError::Handshake(rustls::Error::InvalidCertificate(_)))), "{refused:?}");
        serving.await.unwrap();
        let closing = tokio::spawn(async move { drop(listener.accept().await.unwrap()) });
        let stream = TcpStream::connect(address).await.unwrap();
        let cut = connect(config, "localhost".try_into().unwrap(), stream).await;
        assert!(matches!(cut, Err(ConnectError::Io(_))), "{cut:?}");
        closing.await.unwrap();
    }
}
