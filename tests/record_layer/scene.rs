//! The scene: a gateway that accepts on a thread of its own, and devices made of rustls and of OpenSSL.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use openssl::ssl::{Ssl, SslContext, SslMethod, SslSession, SslSessionCacheMode, SslStream, SslVersion};
use pushgate::gateway::tls::{AcceptError, Accepted, Acceptor, Suite};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedCipherSuite};

pub const HOST: &str = "cas.example.org";

/// A self-signed certificate and its key, PEM.
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

pub fn certificate(host: &str) -> Certificate {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).expect("certificate");
    Certificate { chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

pub fn acceptor(certificate: &Certificate) -> Arc<Acceptor> {
    Arc::new(Acceptor::from_pem(&certificate.chain, &certificate.key).expect("acceptor"))
}

/// The gateway's end: an address to connect to, and what came of serving there.
pub struct Gateway<T> {
    pub address: SocketAddr,
    serving: JoinHandle<T>,
}

impl<T> Gateway<T> {
    pub fn result(self) -> T {
        self.serving.join().expect("the gateway's thread")
    }
}

/// Accepts `connections` one after the other and lets `serve` speak on each; gives all the results.
pub fn gateway<T, F>(
    acceptor: Arc<Acceptor>,
    connections: usize,
    serve: impl Fn(Result<Accepted, AcceptError>) -> F + Send + 'static,
) -> Gateway<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    listener.set_nonblocking(true).expect("non-blocking");
    let serving = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("listener");
            let mut results = Vec::new();
            for _ in 0..connections {
                let (stream, _) = listener.accept().await.expect("accept");
                let served = async { serve(acceptor.accept(stream, Vec::new()).await).await };
                results.push(tokio::time::timeout(Duration::from_secs(5), served).await.expect("served in time"));
            }
            results
        })
    });
    Gateway { address, serving }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("timeout");
    stream.set_write_timeout(Some(Duration::from_secs(2))).expect("timeout");
    stream
}

pub trait Device: Read + Write {
    fn is_resumed(&mut self) -> bool;
    fn close(&mut self);
}

impl Device for StreamOwned<ClientConnection, TcpStream> {
    fn is_resumed(&mut self) -> bool {
        self.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }
    fn close(&mut self) {
        self.conn.send_close_notify();
        self.flush().expect("close_notify sent");
    }
}

impl Device for SslStream<TcpStream> {
    fn is_resumed(&mut self) -> bool {
        self.ssl().session_reused()
    }
    fn close(&mut self) {
        self.shutdown().expect("close_notify sent");
    }
}

/// rustls as a device that knows one suite; keeps sessions between connections.
pub fn rustls_config(suite: Suite, trusted: &Certificate) -> ClientConfig {
    let wanted = match suite {
        Suite::Tls12Aes128Gcm => provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::Tls12Aes256Gcm => provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Suite::Tls12ChaCha20Poly1305 => provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Suite::Tls13Aes128Gcm => provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
        Suite::Tls13Aes256Gcm => provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
        Suite::Tls13ChaCha20Poly1305 => provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    };
    let version = match wanted {
        SupportedCipherSuite::Tls12(_) => &rustls::version::TLS12,
        SupportedCipherSuite::Tls13(_) => &rustls::version::TLS13,
    };
    let mut one_suite = provider::default_provider();
    one_suite.cipher_suites = vec![wanted];
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.chain.as_bytes()).expect("PEM")).expect("root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(one_suite))
        .with_protocol_versions(&[version])
        .expect("version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    config.enable_secret_extraction = true;
    config
}

pub fn rustls_device(config: &Arc<ClientConfig>, address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
    let name = HOST.try_into().expect("name");
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).expect("client"), connect(address))
}

/// OpenSSL as a device that knows one suite; `sessions` receives what it may resume.
pub fn openssl_context(suite: Suite, sessions: std::sync::mpsc::Sender<SslSession>) -> SslContext {
    let mut builder = SslContext::builder(SslMethod::tls_client()).expect("context");
    let version = if suite.version() == "1.3" { SslVersion::TLS1_3 } else { SslVersion::TLS1_2 };
    builder.set_min_proto_version(Some(version)).expect("version");
    builder.set_max_proto_version(Some(version)).expect("version");
    match suite {
        Suite::Tls12Aes128Gcm => builder.set_cipher_list("ECDHE-ECDSA-AES128-GCM-SHA256"),
        Suite::Tls12Aes256Gcm => builder.set_cipher_list("ECDHE-ECDSA-AES256-GCM-SHA384"),
        Suite::Tls12ChaCha20Poly1305 => builder.set_cipher_list("ECDHE-ECDSA-CHACHA20-POLY1305"),
        Suite::Tls13Aes128Gcm => builder.set_ciphersuites("TLS_AES_128_GCM_SHA256"),
        Suite::Tls13Aes256Gcm => builder.set_ciphersuites("TLS_AES_256_GCM_SHA384"),
        Suite::Tls13ChaCha20Poly1305 => builder.set_ciphersuites("TLS_CHACHA20_POLY1305_SHA256"),
    }
    .expect("suite");
    builder.set_session_cache_mode(SslSessionCacheMode::CLIENT);
    builder.set_new_session_callback(move |_, session| {
        let _ = sessions.send(session);
    });
    builder.build()
}

pub fn openssl_device(context: &SslContext, session: Option<&SslSession>, address: SocketAddr) -> SslStream<TcpStream> {
    let mut ssl = Ssl::new(context).expect("ssl");
    ssl.set_hostname(HOST).expect("name");
    if let Some(session) = session {
        #[expect(unsafe_code, reason = "OpenSSL asks that the session come from a context of the same kind, and it does")]
        // SAFETY: the session was made with `context`.
        unsafe {
            ssl.set_session(session).expect("session");
        }
    }
    ssl.connect(connect(address)).expect("handshake")
}

/// Bytes that look random and are the same in each run.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    (0..count).map(|_| dice.roll(256) as u8).collect()
}

/// A small generator (splitmix64), so that a failure can be repeated.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}
