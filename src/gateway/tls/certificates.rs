//! Certificate files → a rustls configuration; which certificate a device gets to see.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::aws_lc_rs::digest;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::config::Tls;

/// A certificate, key or CA that cannot be used: which file, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateError {
    /// The file, or a word for what was not a file.
    pub file: PathBuf,
    /// What is wrong with it; never any of its content.
    pub reason: String,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for CertificateError {}

/// The content of the files, all read at one time.
pub(super) struct Material {
    /// Chain and key, each with its file name for messages.
    pairs: Vec<(Named, Named)>,
    client_ca: Option<Named>,
    client_required: bool,
}

struct Named {
    file: PathBuf,
    pem: zeroize::Zeroizing<Vec<u8>>,
}

/// Says whether two readings were the same, without keeping private keys around.
pub(super) type Fingerprint = [u8; digest::SHA256_OUTPUT_LEN];

impl Material {
    pub(super) fn read(tls: &Tls) -> Result<Self, CertificateError> {
        let pairs = tls
            .certificates
            .iter()
            .map(|(chain, key)| Ok((Named::read(chain)?, Named::read(key)?)))
            .collect::<Result<_, CertificateError>>()?;
        Ok(Material { pairs, client_ca: tls.client_ca.as_deref().map(Named::read).transpose()?, client_required: tls.client_required })
    }

    pub(super) fn from_pem(chain: &str, key: &str) -> Self {
        let named = |file: &str, pem: &str| Named { file: file.into(), pem: pem.as_bytes().to_vec().into() };
        Material { pairs: vec![(named("certificate", chain), named("private key", key))], client_ca: None, client_required: false }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        fingerprint(self.pairs.iter().flat_map(|(chain, key)| [chain, key]).chain(&self.client_ca))
    }

    /// Of what is asked of devices: sessions that rest on another CA, or on no certificate, must not be resumed.
    pub(super) fn client_ca_fingerprint(&self) -> (Fingerprint, bool) {
        (fingerprint(&self.client_ca), self.client_required)
    }

    /// `asks_devices`: for their certificates, where there is a CA for them.
    pub(super) fn server_config(&self, ticketer: Arc<dyn ProducesTickets>, asks_devices: bool) -> Result<ServerConfig, CertificateError> {
        let provider = Arc::new(provider());
        let mut certificates = Vec::with_capacity(self.pairs.len());
        for (chain, key) in &self.pairs {
            certificates.push(Arc::new(certified_key(chain, key, &provider)?));
        }
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the provider serves both versions");
        let builder = match self.client_ca.as_ref().filter(|_| asks_devices) {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()?), provider);
                // Asked for, not insisted on: a device without one may still bring a password.
                let verifier = if self.client_required { verifier } else { verifier.allow_unauthenticated() };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| ca.error(error))?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByServerName(certificates)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.enable_secret_extraction = true;
        config.ticketer = ticketer;
        // Each connection brings one back; a second costs a hundredth of the handshake and is rarely used.
        config.send_tls13_tickets = 1;
        Ok(config)
    }
}

/// rustls's, AES-128 first: its SHA-256 is in the processor, where the SHA-384 of AES-256 takes a seventh of a handshake's time
/// (docs/decisions/aes-128-first.md).
fn provider() -> CryptoProvider {
    use aws_lc_rs::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS13_AES_128_GCM_SHA256,
    };
    let first = [TLS13_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let mut provider = aws_lc_rs::default_provider();
    // The others stay in their order.
    provider.cipher_suites.sort_by_key(|suite| !first.contains(suite));
    provider
}

impl Named {
    fn read(file: &Path) -> Result<Self, CertificateError> {
        match std::fs::read(file) {
            Ok(pem) => Ok(Named { file: file.to_owned(), pem: pem.into() }),
            Err(error) => Err(CertificateError { file: file.to_owned(), reason: format!("cannot be read: {error}") }),
        }
    }

    fn error(&self, reason: impl fmt::Display) -> CertificateError {
        CertificateError { file: self.file.clone(), reason: reason.to_string() }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(&self.pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.error(format!("not PEM: {error}")))?;
        if chain.is_empty() { Err(self.error("holds no certificate in PEM form")) } else { Ok(chain) }
    }

    fn roots(&self) -> Result<RootCertStore, CertificateError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| self.error(format!("not a usable CA certificate: {error}")))?;
        }
        Ok(roots)
    }
}

fn certified_key(chain: &Named, key: &Named, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
    let certificates = chain.certificates()?;
    ParsedCertificate::try_from(&certificates[0]).map_err(|error| chain.error(format!("the first certificate is not valid: {error}")))?;
    let private_key = PrivateKeyDer::from_pem_slice(&key.pem)
        .map_err(|error| key.error(format!("holds no private key (PKCS#8, SEC1 or PKCS#1 PEM): {error}")))?;
    let signing_key =
        provider.key_provider.load_private_key(private_key).map_err(|error| key.error(format!("not a usable private key: {error}")))?;
    let certified = CertifiedKey::new(certificates, signing_key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(_) => Err(key.error(format!("is not the key of the first certificate in {}", chain.file.display()))),
    }
}

fn fingerprint<'a>(files: impl IntoIterator<Item = &'a Named>) -> Fingerprint {
    let mut context = digest::Context::new(&digest::SHA256);
    for file in files {
        context.update(&file.pem.len().to_be_bytes());
        context.update(&file.pem);
    }
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// The first certificate that covers the host name and that the device can verify; else the first that it can
/// verify; else the first.
#[derive(Debug)]
struct ByServerName(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let verifiable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let covering = |key: &&Arc<CertifiedKey>| name.as_ref().is_some_and(|name| covers(key, name));
        let mut usable = self.0.iter().filter(verifiable);
        // With one certificate there is nothing to choose, and parsing it for each device would be a waste.
        let named = if self.0.len() > 1 { usable.clone().find(covering) } else { None };
        named.or_else(|| usable.next()).or_else(|| self.0.first()).cloned()
    }
}

fn covers(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = key.end_entity_cert().and_then(ParsedCertificate::try_from);
    parsed.is_ok_and(|certificate| rustls::client::verify_server_name(&certificate, name).is_ok())
}
