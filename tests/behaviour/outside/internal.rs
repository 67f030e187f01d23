//! The internal address shows what is, and takes notifications of those who know the token.

use pushgate::logic::eas::PingAnswer;
use serde_json::{Value, json};

use crate::scene::{Gateway, Line, Notification, Request, backend, device, gateway, http, mailbox, until};

/// A request to the internal address without a token.
async fn ask(gateway: &Gateway, request: Request) -> crate::scene::Answer {
    Line::plain(gateway.internal).await.ask(request.without("Authorization")).await
}

#[tokio::test]
async fn healthz_and_readyz_are_open_to_balancers() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let health = ask(&gateway, http("GET", "/healthz")).await;
    assert_eq!((health.status, &health.body[..]), (200, &b"ok\n"[..]));
    let ready = ask(&gateway, http("GET", "/readyz")).await;
    assert_eq!((ready.status, serde_json::from_slice::<Value>(&ready.body).unwrap()["ready"].clone()), (200, json!(true)));
}

#[tokio::test]
async fn readyz_says_when_no_more_fits() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.parked_max", 1).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.device.disconnect();
    phone.hold(&gateway).await;
    until("not ready", async || ask(&gateway, http("GET", "/readyz")).await.status == 503).await;
    let text = String::from_utf8(ask(&gateway, http("GET", "/readyz")).await.body).unwrap();
    assert!(text.contains("limits.parked_max"), "{text}");
    drop(phone.take_line());
    until("ready", async || ask(&gateway, http("GET", "/readyz")).await.status == 200).await;
}

#[tokio::test]
async fn everything_else_needs_the_token() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let body = mailbox("hew").folder("INBOX").0.to_string();
    for (method, path) in [
        ("GET", "/metrics"),
        ("POST", "/v1/notifications"),
        ("PUT", "/v1/dovecot"),
        ("GET", "/v1/pings"),
        ("GET", "/v1/status"),
        ("GET", "/x"),
    ] {
        let request = http(method, path).body(body.as_str());
        assert_eq!(ask(&gateway, request.clone()).await.status, 401, "{path}");
        let wrong = request.clone().header("Authorization", "Bearer wrong");
        assert_eq!(Line::plain(gateway.internal).await.ask(wrong).await.status, 401, "{path}");
    }
    gateway.holds(&["Phone1"]).await;
    let basic = http("POST", "/v1/notifications").user("dovecot", &gateway.token).body(body);
    assert_eq!(Line::plain(gateway.internal).await.ask(basic).await.status, 202, "the token as a password");
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn what_is_held_is_listed_and_filtered() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phones = Vec::new();
    for (user, id) in [("hew", "Phone1"), ("hew", "Tablet1"), ("anna", "Phone2")] {
        let mut phone = device().of(user).named(id).in_step_at(&gateway).await;
        phone.hold(&gateway).await;
        phones.push(phone);
    }
    for (query, count) in [
        ("", 3),
        ("?mailbox=hew", 2),
        ("?mailbox=HEW%40example.org", 2),
        ("?mailbox=EXAMPLE%5Canna", 1),
        ("?device=phone1", 1),
        ("?device=PHONE1", 1),
        ("?mailbox=anna&device=Phone1", 0),
        ("?mailbox=nobody", 0),
        ("?limit=3", 3),
    ] {
        assert_eq!(gateway.pings(query).await.pings.len(), count, "{query}");
    }
    let cut = gateway.pings("?limit=2").await;
    assert_eq!((cut.pings.len(), cut.more), (2, true));
    let listed = gateway.pings("?mailbox=anna").await.pings.remove(0);
    let own = phones[2].line().await.socket().local_addr().unwrap().to_string();
    assert_eq!((listed.mailbox.as_str(), listed.heartbeat_s, listed.address), ("anna@example.org", 600, own));
    assert_eq!(listed.folders, [phones[2].inbox().to_string()]);
    for query in ["?limit=0", "?limit=x", "?mailbox=", "?device="] {
        let answer = gateway.call("GET", &format!("/v1/pings{query}"), String::new()).await;
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/problem+json")), "{query}");
    }
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let counters = [
        ("pushgate_pings_total", "outcome=\"changed\""),
        ("pushgate_pings_total", "outcome=\"missing_parameters\""),
        ("pushgate_wake_seconds_count", ""),
        ("pushgate_heartbeat_seconds_count", ""),
        ("pushgate_hold_seconds_count", "outcome=\"changed\""),
        ("pushgate_backend_requests_total", "command=\"FolderSync\""),
        ("pushgate_tls_handshakes_total", "kind=\"full\""),
        ("pushgate_notifications_total", "source=\"webhook\""),
        ("pushgate_internal_requests_total", "route=\"/v1/pings\""),
    ];
    let mut before = Vec::new();
    for (name, labels) in counters {
        before.push(gateway.metric(name, labels).await);
    }
    let mut phone = device().in_step_at(&gateway).await;
    assert_eq!(phone.asks(None, None).await, PingAnswer::MissingParameters);
    phone.hold(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    phone.answer().await;
    for ((name, labels), before) in counters.into_iter().zip(before) {
        assert!(gateway.metric(name, labels).await > before, "{name}{{{labels}}} did not rise from {before}");
    }
    let text = String::from_utf8(gateway.call("GET", "/metrics", String::new()).await.body).unwrap();
    // What has labels shows when it first happens.
    for metric in pushgate::telemetry::metrics::ALL.iter().filter(|metric| metric.labels.is_empty()) {
        assert!(text.contains(metric.name), "{} is missing", metric.name);
    }
}

#[tokio::test]
async fn gauges_follow_what_is_held() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    // Other gateways of this process set the same gauge, each when it is asked.
    until("a Ping in the gauge", async || gateway.metric("pushgate_pings_held", "").await >= 1.0).await;
    let status = gateway.status().await;
    assert_eq!((status.held, status.lots.iter().map(|lot| lot.held).sum::<usize>()), (1, 1));
    assert_eq!(status.lots.iter().map(|lot| lot.devices).sum::<usize>(), 1);
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    phone.answer().await;
    // A lot shows its figures when its turn ends, which may be just after the answer.
    until("nothing held", async || gateway.status().await.held == 0).await;
    let status = gateway.status().await;
    assert_eq!((status.wakes_total, status.notifications_total), (1, 1));
    assert!(status.wake_p99_ms.is_some_and(|ms| ms < 1_000.0), "{:?}", status.wake_p99_ms);
}

#[tokio::test]
async fn a_batch_wakes_all_it_names_and_repeats_wake_once() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phones = Vec::new();
    for number in 0..10 {
        let mut phone = device().of(&format!("user{number}")).named(&format!("Phone{number}")).in_step_at(&gateway).await;
        phone.hold(&gateway).await;
        phones.push(phone);
    }
    let batch: Value = (0..10).map(|number| json!({"mailbox": format!("user{number}"), "folder": "INBOX", "id": number})).collect();
    let taken = gateway.notify(Notification(batch.clone())).await;
    assert_eq!((taken.accepted, taken.repeated, taken.woken), (10, 0, Some(10)));
    for phone in &mut phones {
        assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
    }
    let taken = gateway.notify(Notification(batch)).await;
    assert_eq!((taken.accepted, taken.repeated, taken.woken), (10, 10, Some(0)));
}

#[tokio::test]
async fn a_batch_with_one_bad_entry_changes_nothing_and_says_which() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let answer = gateway.call("POST", "/v1/notifications", r#"[{"mailbox":"hew"},{"mailbox":5}]"#.into()).await;
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &problem["errors"][0]["index"]), (422, &json!(1)));
    gateway.holds(&["Phone1"]).await;
}
