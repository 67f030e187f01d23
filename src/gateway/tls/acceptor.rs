//! An accepted socket → a stream to speak HTTP on.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::server::ProducesTickets;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::certificates::{CertificateError, Fingerprint, Material};
use super::handshake::{Handshake, Next};
use super::received::Received;
use super::stream::WireStream;
use super::suite::Suite;
use super::wire::Wire;
use crate::config::Tls;

/// Shakes hands with devices, with certificates that can be replaced while running.
pub struct Acceptor {
    config: ArcSwap<ServerConfig>,
    /// For who is no device: no certificate is asked for, and no session of one is valid for the other.
    inside: ArcSwap<ServerConfig>,
    loaded: Mutex<Loaded>,
}

/// Certificates that can be put in use.
pub(crate) struct Prepared(Option<(Tls, Material)>);

struct Loaded {
    /// Where the certificates come from; `None` when they were given as text.
    places: Option<Tls>,
    files: Fingerprint,
    client_ca: (Fingerprint, bool),
    /// Outlives a new certificate, so that devices can resume their sessions.
    ticketer: Arc<dyn ProducesTickets>,
}

/// A device with which hands were shaken.
#[derive(Debug)]
pub struct Accepted {
    /// For the HTTP connection.
    pub stream: WireStream,
    /// Host name that the device asked for (SNI).
    pub server_name: Option<Box<str>>,
    /// An earlier session was resumed.
    pub resumed: bool,
    /// TLS version and cipher.
    pub suite: Suite,
    /// The device's own certificate (DER), verified against `tls.client_ca`.
    pub client_certificate: Option<CertificateDer<'static>>,
}

/// Why a socket did not become a stream.
#[derive(Debug)]
pub enum AcceptError {
    /// The device hung up during the handshake.
    HungUp,
    /// It spoke HTTP without TLS; it was told so.
    PlainHttp,
    /// The handshake failed; where an alert is due, it was sent.
    Handshake(rustls::Error),
    /// The socket failed.
    Io(io::Error),
}

impl Acceptor {
    /// Loads the files of `[tls]`. The first certificate is the default, the others are chosen by host name.
    ///
    /// # Errors
    /// The first file that cannot be used, and why.
    pub fn new(tls: &Tls) -> Result<Self, CertificateError> {
        Self::from_material(&Material::read(tls)?, Some(tls.clone()))
    }

    /// From PEM text instead of files; never reloads.
    ///
    /// # Errors
    /// What is wrong with the chain or the key.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, CertificateError> {
        Self::from_material(&Material::from_pem(chain, key), None)
    }

    /// Reads the files again. True when they had changed and are in use for new connections; connections that
    /// exist are not touched.
    ///
    /// # Errors
    /// A file cannot be used: nothing changes, and the next call looks again.
    pub fn reload(&self) -> Result<bool, CertificateError> {
        let places = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).places.clone();
        let Some(places) = places else { return Ok(false) };
        let prepared = self.prepare(&places)?;
        self.put(prepared)
    }

    /// Reads the files of a new configuration, and sees whether they can be used. Nothing changes yet.
    pub(crate) fn prepare(&self, places: &Tls) -> Result<Prepared, CertificateError> {
        if self.loaded.lock().unwrap_or_else(PoisonError::into_inner).places.is_none() {
            return Ok(Prepared(None));
        }
        let material = Material::read(places)?;
        material.server_config(new_ticketer()?, true)?;
        Ok(Prepared(Some((places.clone(), material))))
    }

    /// Puts them in use, if they are news.
    pub(crate) fn put(&self, Prepared(prepared): Prepared) -> Result<bool, CertificateError> {
        let Some((places, material)) = prepared else { return Ok(false) };
        let fingerprint = material.fingerprint();
        let client_ca = material.client_ca_fingerprint();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.places = Some(places);
        if fingerprint == loaded.files && client_ca == loaded.client_ca {
            return Ok(false);
        }
        let ticketer = if client_ca == loaded.client_ca { Arc::clone(&loaded.ticketer) } else { new_ticketer()? };
        let config = material.server_config(Arc::clone(&ticketer), true)?;
        self.inside.store(Arc::new(material.server_config(new_ticketer()?, false)?));
        self.config.store(Arc::new(config));
        (loaded.files, loaded.client_ca, loaded.ticketer) = (fingerprint, client_ca, ticketer);
        Ok(true)
    }

    /// Shakes hands on a socket that does not delay (TCP_NODELAY): answers are written whole, and waiting for the acknowledgement of
    /// the ticket before them gains nothing. `early` is what was already read from the socket, behind a PROXY header. Dropping the
    /// future closes the socket; there is no time limit in here.
    ///
    /// # Errors
    /// See [`AcceptError`]; the socket is closed then.
    pub async fn accept(&self, stream: TcpStream, early: Vec<u8>) -> Result<Accepted, AcceptError> {
        self.accept_with(&self.config, stream, early).await
    }

    /// The same for the internal address, where nobody has a device's certificate.
    ///
    /// # Errors
    /// As [`Acceptor::accept`].
    pub async fn accept_inside(&self, stream: TcpStream) -> Result<Accepted, AcceptError> {
        self.accept_with(&self.inside, stream, Vec::new()).await
    }

    async fn accept_with(
        &self,
        config: &ArcSwap<ServerConfig>,
        mut stream: TcpStream,
        mut early: Vec<u8>,
    ) -> Result<Accepted, AcceptError> {
        if early.is_empty() {
            early.reserve(HANDSHAKE_READ_BYTES);
            if stream.read_buf(&mut early).await.map_err(AcceptError::Io)? == 0 {
                return Err(AcceptError::HungUp);
            }
        }
        // On the heap, and gone with the handshake: the caller's task keeps its size for as long as it lives.
        let mut handshake = Box::new(Handshake::new(&config.load(), early).map_err(AcceptError::Handshake)?);
        let mut is_first = true;
        loop {
            if is_first && looks_like_http(&handshake.incoming) {
                refuse_plain_http(stream).await;
                return Err(AcceptError::PlainHttp);
            }
            match handshake.advance() {
                Ok(Next::Send) => {
                    is_first = false;
                    stream.write_all(&handshake.outgoing).await.map_err(AcceptError::Io)?;
                    handshake.outgoing.clear();
                }
                Ok(Next::Receive) => {
                    handshake.incoming.reserve(HANDSHAKE_READ_BYTES);
                    if stream.read_buf(&mut handshake.incoming).await.map_err(AcceptError::Io)? == 0 {
                        return Err(AcceptError::HungUp);
                    }
                }
                Ok(Next::Finish) => break,
                Err(error) => {
                    // Whether the alert arrives changes nothing here.
                    let _ = stream.write_all(&handshake.outgoing).await;
                    close_gently(stream).await;
                    return Err(AcceptError::Handshake(error));
                }
            }
        }
        let done = handshake.finish().map_err(AcceptError::Handshake)?;
        let suite = done.keys.suite;
        let stream = WireStream::from_parts(stream, Wire::Tls(done.keys), Received::from_ciphertext(done.early));
        let (server_name, resumed, client_certificate) = (done.server_name, done.resumed, done.client_certificate);
        Ok(Accepted { stream, server_name, resumed, suite, client_certificate })
    }

    /// A handshake without a socket, to measure what it costs by itself. Not part of the interface.
    ///
    /// # Errors
    /// rustls does not take the configuration.
    #[doc(hidden)]
    pub fn in_memory(&self) -> Result<InMemory, rustls::Error> {
        Ok(InMemory(Box::new(Handshake::new(&self.config.load(), Vec::new())?)))
    }

    fn from_material(material: &Material, places: Option<Tls>) -> Result<Self, CertificateError> {
        let ticketer = new_ticketer()?;
        let config = material.server_config(Arc::clone(&ticketer), true)?;
        let inside = material.server_config(new_ticketer()?, false)?;
        let loaded = Loaded { places, files: material.fingerprint(), client_ca: material.client_ca_fingerprint(), ticketer };
        Ok(Acceptor { config: ArcSwap::from_pointee(config), inside: ArcSwap::from_pointee(inside), loaded: Mutex::new(loaded) })
    }
}

/// See [`Acceptor::in_memory`].
#[doc(hidden)]
pub struct InMemory(Box<Handshake>);

impl InMemory {
    /// Takes what the device sent and appends what it is to be sent. True: [`InMemory::finish`] may be called.
    ///
    /// # Errors
    /// The handshake failed.
    pub fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, rustls::Error> {
        self.0.incoming.extend_from_slice(bytes);
        loop {
            match self.0.advance()? {
                Next::Send => out.append(&mut self.0.outgoing),
                Next::Receive => return Ok(false),
                Next::Finish => return Ok(true),
            }
        }
    }

    /// What is left of the handshake.
    ///
    /// # Errors
    /// It is not over.
    pub fn finish(self) -> Result<Wire, rustls::Error> {
        Ok(Wire::Tls(self.0.finish()?.keys))
    }
}

impl AcceptError {
    /// Metric label.
    pub fn label(&self) -> &'static str {
        use rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented, PeerIncompatible};
        match self {
            AcceptError::HungUp => "hung_up",
            AcceptError::PlainHttp => "plain_http",
            AcceptError::Io(_) => "io",
            AcceptError::Handshake(AlertReceived(_)) => "alert",
            AcceptError::Handshake(PeerIncompatible(_)) => "incompatible",
            AcceptError::Handshake(InvalidCertificate(_) | NoCertificatesPresented) => "client_certificate",
            AcceptError::Handshake(_) => "protocol",
        }
    }
}

impl std::fmt::Display for AcceptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AcceptError::HungUp => f.write_str("the device hung up during the TLS handshake"),
            AcceptError::PlainHttp => f.write_str("the device spoke plain HTTP on a TLS address"),
            AcceptError::Handshake(error) => write!(f, "TLS handshake: {error}"),
            AcceptError::Io(error) => write!(f, "TLS handshake: {error}"),
        }
    }
}

impl std::error::Error for AcceptError {}

fn new_ticketer() -> Result<Arc<dyn ProducesTickets>, CertificateError> {
    Ticketer::new().map_err(|error| CertificateError { file: "session tickets".into(), reason: error.to_string() })
}

/// A TLS connection starts with byte 22; a request line with capital letters.
fn looks_like_http(bytes: &[u8]) -> bool {
    bytes.len() >= 3 && bytes[..3].iter().all(u8::is_ascii_uppercase)
}

async fn refuse_plain_http(mut stream: TcpStream) {
    // Best effort: the device may be gone already.
    let _ = stream.write_all(PLAIN_HTTP_ANSWER).await;
    close_gently(stream).await;
}

/// Says goodbye so that the last bytes arrive: a socket closed over unread bytes resets the connection.
async fn close_gently(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut sink = [0; 4_096];
    for _ in 0..4 {
        if !matches!(stream.try_read(&mut sink), Ok(count) if count > 0) {
            return;
        }
    }
}

const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 37\r\nConnection: close\r\n\r\n\
This address speaks HTTPS, not HTTP.\n";
/// One read of a handshake: a hello with a post-quantum key share is under 2 KB.
const HANDSHAKE_READ_BYTES: usize = 2_048;
