//! Throw-away certificates, and what a simulated device trusts.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme};

/// A self-signed certificate (ECDSA P-256) that lives as long as the process.
#[derive(Debug)]
pub struct ThrowAway {
    /// The certificate; also the root to trust.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// Both in PEM, for programs that read files.
    pub certificate_pem: String,
    /// The key in PEM (PKCS#8).
    pub key_pem: String,
}

impl ThrowAway {
    /// Makes one for these host names and addresses.
    ///
    /// # Errors
    /// A name that cannot be in a certificate.
    pub fn new(names: &[&str]) -> anyhow::Result<Self> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
        Ok(ThrowAway {
            certificate: made.cert.der().clone(),
            key: PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into(),
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        })
    }
}

/// The TLS configuration of a stand-in server, from two PEM files.
///
/// # Errors
/// A file cannot be read, or the key does not fit the certificate.
pub fn server_config(certificate: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.with_context(|| format!("no certificate in {}", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("no key in {}", key.display()))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).context("the key and the certificate do not fit")?))
}

/// Whom a device believes.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Servers whose certificate chains to this root, or is this very one: self-signed, whether made as a CA or not.
    Root(CertificateDer<'static>),
    /// Anybody: for throw-away certificates of others. Never the default.
    Anybody,
}

impl Trust {
    /// The first certificate of a PEM file as root.
    ///
    /// # Errors
    /// The file cannot be read or has no certificate.
    pub fn from_pem_file(path: &Path) -> anyhow::Result<Self> {
        let certificate = CertificateDer::from_pem_file(path).with_context(|| format!("no certificate in {}", path.display()))?;
        Ok(Trust::Root(certificate))
    }
}

/// The TLS configuration that all devices of a process share. `resume`: later connections of a process may resume a session;
/// without it every handshake is a full one, as from as many different devices.
///
/// # Errors
/// The root is not a certificate.
pub fn client_config(trust: Trust, resume: bool) -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let root = match trust {
        Trust::Root(root) => {
            let mut roots = RootCertStore::empty();
            roots.add(root.clone()).context("the root is not a certificate")?;
            Some((root, WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build()?))
        }
        Trust::Anybody => None,
    };
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Believe { provider, root })).with_no_client_auth();
    // A device's keys go to the record layer of the gateway: a waiting device is to weigh what it must and not more.
    config.enable_secret_extraction = true;
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// Takes the root itself, as OpenSSL does and rustls does not when it says that it is a CA, and what it has signed; without a root
/// any certificate. Always checks that the peer holds the key.
#[derive(Debug)]
struct Believe {
    provider: Arc<CryptoProvider>,
    root: Option<(CertificateDer<'static>, Arc<WebPkiServerVerifier>)>,
}

impl ServerCertVerifier for Believe {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.root {
            Some((root, _)) if root == certificate => verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?,
            Some((_, verifier)) => return verifier.verify_server_cert(certificate, intermediates, name, ocsp, now),
            None => {}
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    #[test]
    fn a_self_signed_certificate_that_is_a_ca_is_believed_for_its_names_only() {
        let signed = |name: &str| {
            let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
        };
        let (certificate, other) = (signed("localhost"), signed("localhost"));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
        let believe = Believe { provider, root: Some((certificate.clone(), verifier)) };
        let check = |certificate: &CertificateDer<'_>, name: &'static str| {
            believe.verify_server_cert(certificate, &[], &ServerName::try_from(name).unwrap(), &[], UnixTime::now()).is_ok()
        };
        assert!(check(&certificate, "localhost"));
        assert!(!check(&certificate, "example.org") && !check(&other, "localhost"));
    }
}
