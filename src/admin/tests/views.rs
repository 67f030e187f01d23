//! What the gateway shows of itself.

use std::sync::atomic::Ordering;

use super::scene::internal_address;
use crate::admin::view::{HeldPings, Readiness, Status};

#[tokio::test]
async fn health_and_readiness_need_no_token() {
    let scene = internal_address("").await;
    assert_eq!(scene.request_as("", "GET", "/healthz", "").await.body, "ok\n");
    assert_eq!(scene.request_as("", "GET", "/readyz", "").await.status, 200);
    scene.view.ready.store(false, Ordering::SeqCst);
    let answer = scene.request_as("", "GET", "/readyz", "").await;
    assert_eq!(answer.status, 503);
    let readiness: Readiness = serde_json::from_str(&answer.body).expect("as documented");
    assert_eq!(readiness, Readiness { ready: false, details: vec!["No backend answers.".into()] });
    assert_eq!(scene.request_as("", "GET", "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn status_is_what_the_gateway_says() {
    let scene = internal_address("").await;
    let answer = scene.request("GET", "/v1/status", "").await;
    let status: Status = serde_json::from_str(&answer.body).expect("as documented");
    assert_eq!((status.held, status.version.as_str(), status.wake_p50_ms), (3, "9.9", None));
    assert!(answer.head.contains("cache-control: no-store"));
}

#[tokio::test]
async fn pings_are_filtered_by_the_normalised_mailbox_and_bounded() {
    let scene = internal_address("[mailbox]\ndefault_domain = \"example.org\"\n").await;
    let list = async |query: &str| -> HeldPings {
        serde_json::from_str(&scene.request("GET", &format!("/v1/pings{query}"), "").await.body).expect("as documented")
    };
    let all = list("?mailbox=EXAMPLE%5CHew&device=D1").await;
    assert_eq!((all.pings.len(), all.more), (3, false));
    let some = list("?limit=2").await;
    assert_eq!((some.pings.len(), some.more), (2, true));
    let filters = scene.filters();
    assert_eq!(filters[0].mailbox.as_ref().map(|m| m.as_str()), Some("hew@example.org"));
    assert_eq!((filters[0].device.as_ref().map(|d| d.as_str()), filters[0].limit), (Some("d1"), 1_001));
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?mailbox=", "?device="] {
        let answer = scene.request("GET", &format!("/v1/pings{query}"), "").await;
        assert_eq!(answer.status, 400, "{query}");
        answer.problem();
    }
}

#[tokio::test]
async fn metrics_count_notifications_by_source_and_result() {
    let scene = internal_address("").await;
    let body = r#"{"user":"hew","event":"messageNew","folder":"INBOX","imap-uidvalidity":1,"imap-uid":1}"#;
    scene.request("PUT", "/v1/dovecot", body).await;
    scene.request("PUT", "/v1/dovecot", body).await;
    scene.request("PUT", "/v1/dovecot", "nonsense").await;
    let text = scene.request("GET", "/metrics", "").await.body;
    for line in [
        "# HELP pushgate_notifications_total ",
        "pushgate_notifications_total{source=\"dovecot\",result=\"accepted\"}",
        "pushgate_notifications_total{source=\"dovecot\",result=\"repeated\"}",
        "pushgate_notifications_total{source=\"dovecot\",result=\"bad\"}",
        "pushgate_internal_requests_total{route=\"/v1/dovecot\",status=\"200\"}",
        "pushgate_pings_held ",
        "pushgate_connections ",
        "pushgate_build_info{version=",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}
