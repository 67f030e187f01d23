//! A device's certificate, for the backend to see: `Client-Cert` by RFC 9440. Only we write it.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The certificate (leaf), and its chain, which we do not pass on.
static CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
static CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// Shared by all requests of a connection: some 1,500 bytes.
pub(super) type Certificate = Arc<HeaderValue>;

/// The value that stands for a certificate (DER) that was verified.
pub(super) fn header(der: &[u8]) -> Certificate {
    let value = format!(":{}:", BASE64_STANDARD.encode(der));
    Arc::new(HeaderValue::from_str(&value).expect("base64 is ASCII"))
}

/// Whatever the device says about certificates goes; what we know comes. `is_trusted`: a balancer that ended TLS speaks.
pub(super) fn write(headers: &mut HeaderMap, certificate: Option<&Certificate>, is_trusted: bool) {
    if is_trusted && certificate.is_none() {
        return;
    }
    headers.remove(&CLIENT_CERT);
    headers.remove(&CLIENT_CERT_CHAIN);
    if let Some(certificate) = certificate {
        headers.insert(CLIENT_CERT.clone(), certificate.as_ref().clone());
    }
}
