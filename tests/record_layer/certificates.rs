//! Which certificate a device sees, what happens when the files change, and certificates of devices.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use pushgate::config::Tls;
use pushgate::gateway::tls::{AcceptError, Accepted, Acceptor, Suite};
use rustls::ClientConnection;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scene::{Certificate, Device, Gateway, HOST, acceptor, certificate, connect, gateway, rustls_config, rustls_device};

const SUITE: Suite = Suite::Tls13Aes128Gcm;

/// Certificate files as an operator has them.
struct Files {
    folder: TempDir,
    tls: Tls,
}

impl Files {
    fn new(certificates: &[&Certificate]) -> Self {
        let folder = TempDir::new().expect("folder");
        let pair = |index: usize| (folder.path().join(format!("chain{index}.pem")), folder.path().join(format!("key{index}.pem")));
        let tls = Tls { certificates: (0..certificates.len()).map(pair).collect(), client_ca: None, client_required: false };
        let files = Files { folder, tls };
        certificates.iter().enumerate().for_each(|(index, certificate)| files.replace(index, certificate));
        files
    }

    fn replace(&self, index: usize, certificate: &Certificate) {
        let (chain, key) = &self.tls.certificates[index];
        std::fs::write(chain, &certificate.chain).expect("written");
        std::fs::write(key, &certificate.key).expect("written");
    }
}

/// Echoes words of four bytes until the device closes; says whose the client certificate was.
async fn echo_words(accepted: Result<Accepted, AcceptError>) -> Result<Option<CertificateDer<'static>>, &'static str> {
    let Accepted { mut stream, client_certificate, .. } = accepted.map_err(|error| error.label())?;
    let mut word = [0; 4];
    while stream.read_exact(&mut word).await.is_ok() {
        stream.write_all(&word).await.expect("written");
    }
    let _ = stream.shutdown().await;
    Ok(client_certificate)
}

fn serve<const CONNECTIONS: usize>(acceptor: &Arc<Acceptor>) -> Gateway<Vec<Result<Option<CertificateDer<'static>>, &'static str>>> {
    gateway(Arc::clone(acceptor), CONNECTIONS, echo_words)
}

fn say_a_word(device: &mut impl Device) {
    device.write_all(b"word").expect("sent");
    let mut word = [0; 4];
    device.read_exact(&mut word).expect("echo");
    assert_eq!(&word, b"word");
}

/// The handshake succeeds, for a device that trusts nothing but `trusted` and asks for `name`.
fn is_served(acceptor: &Arc<Acceptor>, trusted: &Certificate, name: &str) -> bool {
    let gateway = serve::<1>(acceptor);
    let config = Arc::new(rustls_config(SUITE, trusted));
    let mut device = ClientConnection::new(config, name.to_owned().try_into().expect("name")).expect("client");
    let mut socket = connect(gateway.address);
    let served = device.complete_io(&mut socket).is_ok();
    drop((device, socket));
    gateway.result();
    served
}

#[test]
fn a_new_certificate_is_used_and_old_connections_and_sessions_go_on() {
    let (old, new) = (certificate(HOST), certificate(HOST));
    let files = Files::new(&[&old]);
    let acceptor = Arc::new(Acceptor::new(&files.tls).expect("acceptor"));
    assert_eq!(acceptor.reload(), Ok(false), "nothing has changed");

    let long_lived = serve::<1>(&acceptor);
    let config = Arc::new(rustls_config(SUITE, &old));
    let mut device = rustls_device(&config, long_lived.address);
    say_a_word(&mut device);

    files.replace(0, &new);
    assert_eq!(acceptor.reload(), Ok(true));
    assert_eq!(acceptor.reload(), Ok(false), "only once");
    say_a_word(&mut device);
    assert!(is_served(&acceptor, &new, HOST));
    assert!(!is_served(&acceptor, &old, HOST));

    let resumed = serve::<1>(&acceptor);
    let mut again = rustls_device(&config, resumed.address);
    say_a_word(&mut again);
    assert!(again.is_resumed());
    for (mut device, gateway) in [(device, long_lived), (again, resumed)] {
        device.close();
        assert_eq!(gateway.result(), [Ok(None)]);
    }
}

#[test]
fn a_bad_new_file_changes_nothing_and_is_named() {
    let old = certificate(HOST);
    let files = Files::new(&[&old]);
    let acceptor = Arc::new(Acceptor::new(&files.tls).expect("acceptor"));
    let (chain, key) = files.tls.certificates[0].clone();
    let spoil = |file: &Path, content: &str, reason: &str| {
        std::fs::write(file, content).expect("written");
        let error = acceptor.reload().expect_err("a bad file");
        assert_eq!(error.file, file);
        assert!(error.reason.contains(reason), "{error}");
        assert!(is_served(&acceptor, &old, HOST));
        files.replace(0, &old);
        assert_eq!(acceptor.reload(), Ok(false));
    };
    spoil(&chain, "", "no certificate");
    spoil(&chain, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not valid");
    spoil(&chain, "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n", "not PEM");
    spoil(&key, "", "no private key");
    // The new key came before the new chain: the operator's script is half way through.
    spoil(&key, &certificate(HOST).key, "is not the key of");
    std::fs::remove_file(&key).expect("removed");
    let error = acceptor.reload().expect_err("a missing file");
    assert!(error.file == key && error.reason.contains("cannot be read"), "{error}");
    assert!(is_served(&acceptor, &old, HOST));
}

#[test]
fn a_start_with_bad_files_names_the_file() {
    let files = Files::new(&[&certificate(HOST), &certificate("mail.example.net")]);
    let (chain, _) = &files.tls.certificates[1];
    std::fs::write(chain, "nothing").expect("written");
    let error = Acceptor::new(&files.tls).map(|_| ()).expect_err("a bad file");
    assert_eq!(&error.file, chain);

    let lost = Tls { client_ca: Some(files.folder.path().join("ca.pem")), ..Files::new(&[&certificate(HOST)]).tls };
    assert!(Acceptor::new(&lost).is_err());
    assert!(Acceptor::from_pem(&certificate(HOST).chain, &certificate(HOST).key).is_err(), "somebody else's key");
}

#[test]
fn the_host_name_chooses_the_certificate_and_the_first_is_the_default() {
    let (first, second, any) = (certificate(HOST), certificate("mail.example.net"), certificate("*.example.com"));
    let files = Files::new(&[&first, &second, &any]);
    let acceptor = Arc::new(Acceptor::new(&files.tls).expect("acceptor"));
    assert!(is_served(&acceptor, &first, HOST));
    assert!(is_served(&acceptor, &second, "mail.example.net"));
    assert!(is_served(&acceptor, &any, "autodiscover.example.com"));

    let gateway = serve::<1>(&acceptor);
    let mut device = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls_client()).expect("connector");
    device.set_verify(openssl::ssl::SslVerifyMode::NONE);
    let configuration = device.build().configure().expect("configuration").use_server_name_indication(false);
    let mut device = configuration.connect("unknown.example", connect(gateway.address)).expect("handshake");
    let seen = device.ssl().peer_certificate().expect("certificate").to_der().expect("DER");
    assert_eq!(seen, CertificateDer::from_pem_slice(first.chain.as_bytes()).expect("PEM").as_ref());
    device.close();
    gateway.result();
}

#[test]
fn alpn_settles_on_http_1_1() {
    let certificate = certificate(HOST);
    let gateway = serve::<1>(&acceptor(&certificate));
    let mut config = rustls_config(SUITE, &certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut device = rustls_device(&Arc::new(config), gateway.address);
    say_a_word(&mut device);
    assert_eq!(device.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    device.close();
    gateway.result();
}

/// A certificate authority and a certificate that it made for a device.
fn authority() -> (String, Certificate) {
    let mut parameters = rcgen::CertificateParams::new(vec![]).expect("parameters");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = rcgen::CertifiedIssuer::self_signed(parameters, rcgen::KeyPair::generate().expect("key")).expect("issuer");
    let key = rcgen::KeyPair::generate().expect("key");
    let device = rcgen::CertificateParams::new(vec!["device.example".to_owned()]).expect("parameters");
    let device = device.signed_by(&key, &issuer).expect("certificate");
    (issuer.pem(), Certificate { chain: device.pem(), key: key.serialize_pem() })
}

#[test]
fn a_device_certificate_is_verified_and_given_on_and_not_insisted_on() {
    let (ca, trusted) = authority();
    let (_, stranger) = authority();
    let ours = certificate(HOST);
    let mut files = Files::new(&[&ours]);
    let ca_file = files.folder.path().join("ca.pem");
    std::fs::write(&ca_file, ca).expect("written");
    files.tls.client_ca = Some(ca_file);
    let acceptor = Arc::new(Acceptor::new(&files.tls).expect("acceptor"));
    let leaf = |certificate: &Certificate| CertificateDer::from_pem_slice(certificate.chain.as_bytes()).expect("PEM");

    for suite in [Suite::Tls12Aes128Gcm, SUITE] {
        let bearing = |bearer: Option<&Certificate>| {
            let gateway = serve::<2>(&acceptor);
            let mut config = rustls_config(suite, &ours);
            if let Some(bearer) = bearer {
                let key = PrivateKeyDer::from_pem_slice(bearer.key.as_bytes()).expect("key");
                let signing = config.crypto_provider().key_provider.load_private_key(key).expect("key");
                let certified = rustls::sign::CertifiedKey::new(vec![leaf(bearer)], signing);
                config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
            }
            let config = Arc::new(config);
            for _ in 0..2 {
                let mut device = rustls_device(&config, gateway.address);
                let mut word = [0; 4];
                let _ = device.write_all(b"word").and_then(|()| device.read_exact(&mut word));
                device.conn.send_close_notify();
                let _ = device.flush();
            }
            gateway.result()
        };
        // The second connection of each resumes the first, and the certificate with it.
        assert_eq!(bearing(Some(&trusted)), [Ok(Some(leaf(&trusted))), Ok(Some(leaf(&trusted)))]);
        assert_eq!(bearing(None), [Ok(None), Ok(None)]);
        assert_eq!(bearing(Some(&stranger)), [Err("client_certificate"), Err("client_certificate")]);
    }
}

/// A session that rests on a CA that is gone must not be resumed.
#[test]
fn another_client_ca_ends_all_sessions() {
    let ours = certificate(HOST);
    let mut files = Files::new(&[&ours]);
    let ca_file = files.folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority().0).expect("written");
    files.tls.client_ca = Some(ca_file.clone());
    let acceptor = Arc::new(Acceptor::new(&files.tls).expect("acceptor"));
    let config = Arc::new(rustls_config(SUITE, &ours));
    let resumes = || {
        let gateway = serve::<1>(&acceptor);
        let mut device = rustls_device(&config, gateway.address);
        say_a_word(&mut device);
        device.close();
        gateway.result();
        device.is_resumed()
    };
    assert!(!resumes());
    assert!(resumes());
    std::fs::write(&ca_file, authority().0).expect("written");
    assert_eq!(acceptor.reload(), Ok(true));
    assert!(!resumes());
    assert!(resumes());
}
