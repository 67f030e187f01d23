//! A connection to the directory. The library that speaks LDAP gets one end of a pair of sockets; TLS and what it may be sent are ours:
//! no message that is too large, too deep or no message at all reaches it.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::failure::Failure;
use crate::config::limits::{DIRECTORY_ANSWER, DIRECTORY_MESSAGE_BYTES_MAX, DIRECTORY_READ_BYTES_MAX};
use crate::config::{self, Security};
use crate::logic::directory::message;
use crate::store::tls;

/// Longer is no answer to StartTLS.
const START_TLS_BYTES_MAX: usize = 4_096;
/// Read from the directory at once.
const READ_BYTES: usize = 65_536;

/// Whom to trust.
pub(super) struct Connector {
    tls: TlsConnector,
}

/// A connection.
pub(super) struct Link {
    /// The library's end.
    pub(super) stream: std::os::unix::net::UnixStream,
    /// Moves bytes; ends with the reason if it was the directory's fault.
    pub(super) relay: JoinHandle<Result<(), Failure>>,
}

impl Connector {
    /// Reads the CA file.
    pub(super) fn new(settings: &config::Directory) -> Result<Self, String> {
        let tls = tls::client_config(settings.ca.as_deref().map(Path::new))?;
        Ok(Connector { tls: TlsConnector::from(Arc::new(tls)) })
    }

    /// Connects, with TLS if it is to be.
    pub(super) async fn connect(&self, settings: &config::Directory) -> Result<Link, Failure> {
        let limited = tokio::time::timeout(DIRECTORY_ANSWER, self.open(settings));
        limited.await.unwrap_or_else(|_| Err(Failure::Unreachable("it does not answer".into())))
    }

    async fn open(&self, settings: &config::Directory) -> Result<Link, Failure> {
        let mut stream = TcpStream::connect((settings.host.as_str(), settings.port)).await.map_err(unreachable)?;
        if settings.security == Security::StartTls {
            start_tls(&mut stream).await?;
        }
        let (theirs, ours) = std::os::unix::net::UnixStream::pair().map_err(unreachable)?;
        ours.set_nonblocking(true).map_err(unreachable)?;
        let ours = UnixStream::from_std(ours).map_err(unreachable)?;
        let relay = if settings.security == Security::Plain {
            tokio::spawn(relay(stream, ours))
        } else {
            let name = ServerName::try_from(settings.host.clone()).map_err(|error| Failure::Tls(error.to_string()))?;
            let stream = self.tls.connect(name, stream).await.map_err(|error| Failure::Tls(error.to_string()))?;
            tokio::spawn(relay(stream, ours))
        };
        Ok(Link { stream: theirs, relay })
    }
}

fn unreachable(error: std::io::Error) -> Failure {
    Failure::Unreachable(error.to_string())
}

/// Asks for TLS. Whatever comes behind the answer in the clear was put there by somebody else.
async fn start_tls(stream: &mut TcpStream) -> Result<(), Failure> {
    stream.write_all(message::START_TLS).await.map_err(unreachable)?;
    let mut answer = Vec::new();
    loop {
        match message::first(&answer, START_TLS_BYTES_MAX) {
            Ok(Some(length)) if length == answer.len() && message::agrees_to_tls(&answer) => return Ok(()),
            Ok(Some(length)) if length == answer.len() => return Err(Failure::Tls("it does not agree to StartTLS".into())),
            Ok(None) => {}
            _ => return Err(Failure::Unsound),
        }
        if stream.read_buf(&mut answer).await.map_err(unreachable)? == 0 {
            return Err(Failure::Unreachable("it hung up".into()));
        }
    }
}

/// Until either side ends it.
async fn relay(stream: impl AsyncRead + AsyncWrite, ours: UnixStream) -> Result<(), Failure> {
    let (mut from_directory, mut to_directory) = tokio::io::split(stream);
    let (mut from_library, mut to_library) = ours.into_split();
    let sent = async {
        // A broken connection shows when it is read.
        let _ = tokio::io::copy(&mut from_library, &mut to_directory).await;
        let _ = to_directory.shutdown().await;
        Ok(())
    };
    let received = async {
        let (mut buffer, mut total) = (Vec::with_capacity(READ_BYTES), 0);
        loop {
            while let Some(length) = message::first(&buffer, DIRECTORY_MESSAGE_BYTES_MAX).map_err(|_| Failure::Unsound)? {
                if to_library.write_all(&buffer[..length]).await.is_err() {
                    return Ok(());
                }
                buffer.drain(..length);
            }
            buffer.reserve(READ_BYTES);
            let count = from_directory.read_buf(&mut buffer).await.map_err(unreachable)?;
            total += count as u64;
            if count == 0 {
                return Err(Failure::Unreachable("it hung up".into()));
            }
            if total > DIRECTORY_READ_BYTES_MAX {
                return Err(Failure::Unsound);
            }
        }
    };
    tokio::select! {
        done = sent => done,
        done = received => done,
    }
}
