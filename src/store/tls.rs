//! Whom the program trusts when it is a TLS client of a database or a directory: rustls, like everywhere else, and certificates are
//! always verified.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Trusts the certificates in `ca`, or the system's.
///
/// # Errors
/// What is wrong with the file, and its path.
pub(crate) fn client_config(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS is not available: {error}"))?;
    Ok(match ca {
        Some(path) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
        None => match builder.clone().with_native_roots() {
            Ok(roots) => roots.with_no_client_auth(),
            // No server can be verified then; one on this machine needs no TLS.
            Err(_) => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
        },
    })
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let bad = |what: String| format!("{}: {what}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(format!("cannot be read: {error}")))? {
        let certificate = certificate.map_err(|error| bad(format!("is not PEM: {error}")))?;
        roots.add(certificate).map_err(|error| bad(format!("holds a certificate that cannot be a CA: {error}")))?;
    }
    if roots.is_empty() { Err(bad("holds no certificate".into())) } else { Ok(roots) }
}
