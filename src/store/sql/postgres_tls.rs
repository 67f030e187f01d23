//! TLS towards PostgreSQL: rustls, like everywhere else in the program, and the certificate is always verified.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

/// What `store.url` does not say: whom to trust. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

/// One connection about to be made.
pub(super) struct Connect {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// A connection.
pub(super) struct Stream(tokio_rustls::client::TlsStream<Socket>);

impl Tls {
    /// Trusts the certificates in `ca`, or the system's.
    pub(super) fn new(ca: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS is not available: {error}"))?;
        let config = match ca {
            Some(path) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
            None => match builder.clone().with_native_roots() {
                Ok(roots) => roots.with_no_client_auth(),
                // No server can be verified then; one on this machine needs no TLS.
                Err(_) => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
            },
        };
        Ok(Tls(TlsConnector::from(Arc::new(config))))
    }
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let bad = |what: String| format!("store.ca {}: {what}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(format!("cannot be read: {error}")))? {
        let certificate = certificate.map_err(|error| bad(format!("is not PEM: {error}")))?;
        roots.add(certificate).map_err(|error| bad(format!("holds a certificate that cannot be a CA: {error}")))?;
    }
    if roots.is_empty() { Err(bad("holds no certificate".into())) } else { Ok(roots) }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Stream;
    type TlsConnect = Connect;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Connect, Self::Error> {
        Ok(Connect { connector: self.0.clone(), name: ServerName::try_from(host.to_owned())? })
    }
}

impl TlsConnect<Socket> for Connect {
    type Stream = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.name, stream).await.map(Stream) })
    }
}

impl TlsStream for Stream {
    /// The verified certificate already says who it is; binding the password's proof to it would need the certificate's hash
    /// algorithm from its encoding.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
