//! Who may call, and what everybody gets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;

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
async fn shutdown_closes_idle_connections_and_returns() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (leave, leaving) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, Plain, axum::Router::new(), async { drop(leaving.await) }));
    let mut idle = tokio::net::TcpStream::connect(address).await.expect("connected");
    drop(leave);
    served.await.expect("no panic").expect("an orderly end");
    let read = tokio::io::AsyncReadExt::read(&mut idle, &mut [0; 16]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
