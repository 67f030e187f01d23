//! Every limit turns away the next one, says so, and hurts nobody who is in.

use std::time::Duration;

use pushgate::logic::eas::PingAnswer;
use serde_json::{Value, json};

use crate::scene::{Line, backend, device, gateway, http, mailbox, until};

#[tokio::test]
async fn beyond_connections_max_new_ones_are_closed_until_one_leaves() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.connections_max", 2).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.device.disconnect();
    phone.hold(&gateway).await;
    until("one connection", async || gateway.status().await.connections == 1).await;
    let second = gateway.line().await;
    until("two connections", async || gateway.status().await.connections == 2).await;
    assert!(Line::tls(gateway.address(), gateway.tls.clone()).await.is_err(), "the third is closed");
    assert!(gateway.metric("pushgate_shed_total", "connections_max").await >= 1.0);
    drop(second);
    until("room again", async || gateway.status().await.connections == 1).await;
    let mut third = gateway.line().await;
    assert_eq!(third.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await.status, 200);
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn beyond_parked_max_pings_are_503_with_retry_after_until_there_is_room() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.parked_max", 2).start().await;
    let mut phones = Vec::new();
    for number in 0..3 {
        let mut phone = device().named(&format!("Phone{number}")).in_step_at(&gateway).await;
        phone.device.disconnect();
        phones.push(phone);
    }
    phones[0].hold(&gateway).await;
    phones[1].hold(&gateway).await;
    until("both counted", async || gateway.status().await.held == 2).await;
    let inbox = [phones[2].inbox()];
    let request = phones[2].ping_request(Some(600), Some(&inbox));
    let answer = phones[2].line().await.ask(request.clone()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("300")));
    assert_eq!(phones[2].line().await.ask(http("GET", "/x")).await.status, 404, "everything else goes on");
    drop(phones[0].take_line());
    until("room again", async || gateway.status().await.held == 1).await;
    phones[2].hold(&gateway).await;
}

/// They could keep their places for 20 s.
#[tokio::test]
async fn silent_sockets_do_not_keep_the_door_shut() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.handshakes_max", 20).start().await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(Line::plain(gateway.address()).await);
    }
    until("all in their handshake", async || gateway.status().await.connections == 20).await;
    let began = std::time::Instant::now();
    let mut device = gateway.line().await;
    assert_eq!(device.ask(http("GET", "/x")).await.status, 404);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(gateway.metric("pushgate_shed_total", "handshakes_max").await >= 1.0);
    drop(silent);
}

#[tokio::test]
async fn beyond_handshakes_max_others_wait_their_turn() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.handshakes_max", 2).set("limits.handshake_s", 1).start().await;
    let began = std::time::Instant::now();
    let silent = [Line::plain(gateway.address()).await, Line::plain(gateway.address()).await];
    until("both in their handshake", async || gateway.status().await.connections == 2).await;
    let mut third = gateway.line().await;
    assert!(began.elapsed() > Duration::from_millis(900), "it waited for a place: {:?}", began.elapsed());
    assert_eq!(third.ask(http("GET", "/x")).await.status, 404);
    drop(silent);
}

/// One notification of 20,000 changes keeps a lot busy for a while; behind it only so many wait.
#[tokio::test]
async fn a_full_inbox_is_503_on_the_webhook_and_nothing_of_the_request_counts() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.inbox_max", 16).set("limits.lots", 1).start().await;
    let mut phones = Vec::new();
    for number in 0..30 {
        let mut phone = device().named(&format!("Phone{number}")).in_step_at(&gateway).await;
        phone.device.disconnect();
        phones.push(phone);
    }
    let mut phone = phones.pop().unwrap();
    phone.hold(&gateway).await;
    let many: Value = (0..20_000).map(|number| json!({"mailbox": "hew", "folder": format!("Nowhere/{number}")})).collect();
    let one = mailbox("anna").0.to_string();
    let mut lines = Vec::new();
    for _ in 0..60 {
        lines.push(Line::plain(gateway.internal).await);
    }
    let post = |body: String| http("POST", "/v1/notifications").header("Authorization", &format!("Bearer {}", gateway.token)).body(body);
    let mut first = Line::plain(gateway.internal).await;
    first.send(post(many.to_string())).await;
    until("the large one taken", async || gateway.status().await.notifications_total == 20_000).await;
    for line in &mut lines {
        line.send(post(one.clone())).await;
    }
    let mut refused = 0;
    for line in &mut lines {
        let answer = line.answer().await;
        match answer.status {
            202 => {}
            503 => {
                assert_eq!(answer.header("retry-after"), Some("1"));
                assert!(String::from_utf8(answer.body).unwrap().contains("limits.inbox_max"));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert!(refused > 0, "60 notifications fitted into an inbox of 16");
    assert_eq!(first.answer().await.status, 202);
    until("a change taken again", async || gateway.call("POST", "/v1/notifications", one.clone()).await.status == 202).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn one_notification_may_name_20_000_changes_and_no_more() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let many: Value = (0..20_001).map(|_| json!({"mailbox": "hew"})).collect();
    assert_eq!(gateway.call("POST", "/v1/notifications", many.to_string()).await.status, 413);
    let large = http("POST", "/v1/notifications").header("Authorization", &format!("Bearer {}", gateway.token));
    let large = large.header("Content-Length", &(5 << 20).to_string());
    assert_eq!(Line::plain(gateway.internal).await.ask(large).await.status, 413, "without waiting for it");
    assert_eq!(gateway.status().await.notifications_total, 0);
}
