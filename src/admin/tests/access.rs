//! Who may call, and what everybody gets.

use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::scene::internal_address;
use crate::admin::{Plain, serve};

const GUARDED: [(&str, &str); 6] = [
    ("GET", "/metrics"),
    ("POST", "/v1/notifications"),
    ("PUT", "/v1/dovecot"),
    ("GET", "/v1/pings"),
    ("GET", "/v1/status"),
    ("GET", "/no/such/path"),
];

#[tokio::test]
async fn without_the_token_nothing_is_shown_or_changed() {
    let scene = internal_address("").await;
    let last = &scene.token[..scene.token.len() - 1];
    for authorization in ["".into(), "Bearer wrong".into(), format!("Bearer {last}"), format!("Basic {}", STANDARD.encode("token:wrong"))] {
        for (method, path) in GUARDED {
            let answer = scene.request_as(&authorization, method, path, r#"{"mailbox":"hew"}"#).await;
            assert_eq!(answer.status, 401, "{method} {path} {authorization}");
            assert!(answer.problem().contains("internal.token_file"));
            assert!(answer.head.contains("www-authenticate: Bearer") && answer.head.contains("www-authenticate: Basic"), "{}", answer.head);
            assert!(!answer.head.contains(last) && !answer.body.contains(last));
        }
    }
    assert!(scene.changes().is_empty());
}

#[tokio::test]
async fn two_authorizations_are_one_too_many() {
    let scene = internal_address("").await;
    let twice = format!("Bearer {}\r\nAuthorization: Bearer wrong", scene.token);
    let answer = scene.request_as(&twice, "GET", "/v1/status", "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.problem().contains("more than one Authorization"));
}

#[tokio::test]
async fn the_token_opens_as_bearer_and_as_the_password_of_basic() {
    let scene = internal_address("").await;
    let basic = format!("Basic {}", STANDARD.encode(format!("dovecot:{}", scene.token)));
    for authorization in [format!("Bearer {}", scene.token), format!("bearer {}", scene.token), basic] {
        assert_eq!(scene.request_as(&authorization, "GET", "/v1/status", "").await.status, 200);
    }
}

#[tokio::test]
async fn a_wrong_path_or_method_says_so() {
    let scene = internal_address("").await;
    assert_eq!(scene.request("GET", "/v1/nothing", "").await.problem(), "There is nothing at this path.");
    let answer = scene.request("DELETE", "/v1/notifications", "").await;
    assert_eq!(answer.status, 405);
    assert!(answer.head.contains("allow: POST"), "{}", answer.head);
    answer.problem();
}

#[tokio::test]
async fn every_answer_carries_a_request_id_of_its_own() {
    let scene = internal_address("").await;
    let mut ids = std::collections::HashSet::new();
    for path in ["/healthz", "/v1/status", "/nothing"] {
        let answer = scene.request("GET", path, "").await;
        let id = answer.head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("an id");
        assert!(ids.insert(id.to_owned()));
    }
}

#[tokio::test]
async fn plain_http_is_not_served_off_loopback() {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let error = serve(listener, Plain, axum::Router::new(), std::future::pending()).await.expect_err("refused");
    assert!(error.to_string().contains("no TLS"), "{error}");
}

#[tokio::test]
async fn off_loopback_it_is_served_over_tls() {
    let made = rcgen::generate_simple_self_signed(vec!["gate.example.org".into()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let server = server.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let server = server.with_single_cert(vec![made.cert.der().clone()], key).expect("a pair");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let client = client.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots).with_no_client_auth();

    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let router = axum::Router::new().route("/", axum::routing::get(async || "inside"));
    tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(server)), router, std::future::pending()));

    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    let name = "gate.example.org".try_into().expect("a name");
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.expect("a handshake");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    assert!(answer.ends_with("inside"), "{answer}");
}

/// Everything logged in this process. For all threads: `tracing` remembers for each place in the code whether anybody
/// listens, so a subscriber of one thread would miss what another thread passed first.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

fn lines() -> Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    let start = || {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        tracing::subscriber::set_global_default(subscriber).expect("no other test listens to all threads");
        lines
    };
    LINES.get_or_init(start).clone()
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("sound").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_refusal_is_logged_with_the_request_id_and_without_the_credential() {
    let lines = lines();
    let scene = internal_address("").await;
    let answer = scene.request_as("Bearer guessed-wrong", "GET", "/v1/status", "").await;
    let id = answer.head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("an id");
    let log = String::from_utf8(lines.0.lock().expect("sound").clone()).expect("text");
    let line = log.lines().find(|line| line.contains(id)).expect(&log);
    assert!(line.contains("wrong token") && line.contains("/v1/status") && line.contains("peer=127.0.0.1"), "{line}");
    assert!(!log.contains("guessed-wrong") && !log.contains(&scene.token), "{log}");
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_returns() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (leave, leaving) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, Plain, axum::Router::new(), async { drop(leaving.await) }));
    let mut idle = TcpStream::connect(address).await.expect("connected");
    drop(leave);
    served.await.expect("no panic").expect("an orderly end");
    let read = idle.read(&mut [0; 16]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
