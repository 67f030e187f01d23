//! TLS towards a backend: verified with `backend.ca`, and not without.

use std::io::Write;

use tokio_rustls::TlsAcceptor;

use super::*;

/// A backend with a certificate for 127.0.0.1, and that certificate as a file.
async fn with_tls() -> (Cas, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("certificate");
    let mut file = tempfile::NamedTempFile::new().expect("file");
    file.write_all(made.cert.pem().as_bytes()).expect("written");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut cas = scripted(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut request = [0; 4_096];
            while matches!(stream.read(&mut request).await, Ok(1..)) {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("written");
            }
        }
    })
    .await;
    cas.url = cas.url.replace("http:", "https:");
    (cas, file)
}

#[tokio::test]
async fn a_backend_with_the_configured_ca_is_trusted_and_its_connection_kept() {
    let (cas, ca) = with_tls().await;
    let backend = backend(&[&cas], |config| config.backend.ca = Some(ca.path().to_owned()));
    for _ in 0..3 {
        assert_eq!(text(backend.forward(head("GET", EAS), BackendBody::Empty, route()).await).await, "ok");
    }
    assert_eq!(cas.connections(), 1);
}

#[tokio::test]
async fn a_backend_that_somebody_else_vouches_for_is_a_502() {
    let ((cas, _ca), (_other, other_ca)) = (with_tls().await, with_tls().await);
    for ca in [None, Some(other_ca.path().to_owned())] {
        let response = backend(&[&cas], |config| config.backend.ca = ca).forward(head("GET", EAS), BackendBody::Empty, route()).await;
        assert_eq!(response.status().as_u16(), 502);
    }
}

#[test]
fn a_ca_that_is_none_is_a_problem_at_start() {
    let mut config = Config::parse("", std::iter::empty()).expect("defaults");
    let mut empty = tempfile::NamedTempFile::new().expect("file");
    empty.write_all(b"no certificate\n").expect("written");
    for path in [empty.path().to_owned(), "/nonexistent/ca.pem".into()] {
        config.backend.ca = Some(path);
        let error = Backend::new(&config.backend, &config.limits).err().expect("a problem");
        assert_eq!(error.place, "backend.ca");
    }
}
