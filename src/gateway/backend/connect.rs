//! Opens one connection to a backend: TCP, TLS when the address says https, HTTP/1.1.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http1;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use super::BoxError;
use super::body::RequestBody;
use crate::config;
use crate::config::limits::{BACKEND_KEEPALIVE, BACKEND_READ_BYTES_MAX};
use crate::logic::http::{AnswerFraming, Fault};
use crate::telemetry::metrics::HTTP_FAULTS_TOTAL;

/// A configuration that can never reach a backend.
#[derive(Debug)]
pub struct SetupError {
    /// The setting at fault.
    pub place: &'static str,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for SetupError {}

/// One HTTP/1.1 connection to a backend. Dropping it closes it, whatever is going on.
pub(super) struct Link {
    pub(super) sender: http1::SendRequest<RequestBody>,
    read_bytes: Arc<AtomicU64>,
    is_spoilt: Arc<AtomicBool>,
    driver: tokio::task::JoinHandle<()>,
    /// Whether an exchange was made on it before this one.
    pub(super) is_reused: bool,
}

impl Link {
    /// Bytes of HTTP that came from the backend so far.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Acquire)
    }

    /// Another exchange on it could meet what belongs to this one: an answer that nobody asked for, or the body of one that has
    /// none.
    pub(super) fn is_spoilt(&self) -> bool {
        self.is_spoilt.load(Ordering::Acquire)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Makes links.
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(config: &config::Backend) -> Result<Self, SetupError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A forwarded Ping is silent for its whole heartbeat: without this a vanished backend would show only at its end.
        tcp.set_keepalive(Some(BACKEND_KEEPALIVE));
        let https = HttpsConnectorBuilder::new().with_tls_config(tls_config(config)?).https_or_http().enable_http1().wrap_connector(tcp);
        Ok(Connector { https, timeout: config.connect_timeout })
    }

    /// Name look-up, TCP, TLS and all within `backend.connect_timeout_s`.
    pub(super) async fn connect(&self, uri: &Uri) -> Result<Link, BoxError> {
        tokio::time::timeout(self.timeout, self.connect_unbounded(uri)).await?
    }

    async fn connect_unbounded(&self, uri: &Uri) -> Result<Link, BoxError> {
        let stream = self.https.clone().call(uri.clone()).await?;
        let (read_bytes, is_spoilt) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let framing = AnswerFraming::default();
        let (counted, spoilt) = (Arc::clone(&read_bytes), Arc::clone(&is_spoilt));
        let io = TokioIo::new(Metered { inner: TokioIo::new(stream), read_bytes: counted, is_spoilt: spoilt, framing, fault: None });
        let mut builder = http1::Builder::new();
        // Header names pass in the spelling they came in, both ways.
        builder.preserve_header_case(true).max_buf_size(BACKEND_READ_BYTES_MAX);
        let (sender, connection) = builder.handshake(io).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to a backend ended");
            }
        });
        Ok(Link { sender, read_bytes, is_spoilt, driver, is_reused: false })
    }
}

/// Verified with `backend.ca`, else with the system's roots. The trust store is read once, at start.
fn tls_config(config: &config::Backend) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError { place: "backend.url", message: format!("TLS is not available: {error}") })?;
    let Some(path) = &config.ca else {
        let is_needed = config.url.iter().any(|url| url.scheme_str() == Some("https"));
        let roots = builder.clone().with_native_roots();
        return match roots {
            Ok(roots) => Ok(roots.with_no_client_auth()),
            Err(error) if is_needed => {
                Err(SetupError { place: "backend.ca", message: format!("is empty and the system has no certificates: {error}") })
            }
            Err(_) => Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()),
        };
    };
    let bad = |message: String| SetupError { place: "backend.ca", message: format!("{}: {message}", path.display()) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(format!("cannot be read: {error}")))? {
        let certificate = certificate.map_err(|error| bad(format!("is not PEM: {error}")))?;
        roots.add(certificate).map_err(|error| bad(format!("holds a certificate that cannot be a CA: {error}")))?;
    }
    if roots.is_empty() {
        return Err(bad("holds no certificate".into()));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Counts what is read: a request may be sent again only when not one byte of an answer had come. And follows the answers:
/// what hyper sees has one reading.
struct Metered<T> {
    inner: T,
    read_bytes: Arc<AtomicU64>,
    is_spoilt: Arc<AtomicBool>,
    framing: AnswerFraming,
    fault: Option<Fault>,
}

impl<T> Metered<T> {
    /// Looks at what was read from `start` on, before hyper does.
    fn follow(&mut self, buf: &mut ReadBuf<'_>, start: usize) -> io::Result<()> {
        let Err(refused) = self.framing.pass(&buf.filled()[start..]) else {
            if self.framing.is_final() {
                self.is_spoilt.store(true, Ordering::Release);
            }
            return Ok(());
        };
        // Before hyper can say that the answer is complete.
        self.is_spoilt.store(true, Ordering::Release);
        self.fault = Some(refused.fault);
        metrics::counter!(HTTP_FAULTS_TOTAL.name, "from" => "backend", "fault" => refused.fault.label()).increment(1);
        buf.set_filled(start + refused.good);
        if refused.good == 0 { Err(unclear(refused.fault)) } else { Ok(()) }
    }
}

fn unclear(fault: Fault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("an answer that could be read in two ways ({})", fault.label()))
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(fault) = self.fault {
            return Poll::Ready(Err(unclear(fault)));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let count = buf.filled().len().saturating_sub(before);
        self.read_bytes.fetch_add(count as u64, Ordering::Release);
        Poll::Ready(self.follow(buf, before))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.framing.note_sent(buf);
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        bufs.iter().find(|part| !part.is_empty()).into_iter().for_each(|part| self.framing.note_sent(part));
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
