//! Every limit turns away the next one, says so, and hurts nobody who is in.

use std::sync::Arc;
use std::time::Duration;

use pushgate::logic::eas::PingAnswer;
use serde_json::{Value, json};

use crate::scene::{Line, Reply, backend, device, eas, gateway, http, mailbox, raw_backend, until};

#[tokio::test]
async fn beyond_connections_max_new_ones_are_closed_until_one_leaves() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.connections_max", 1).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.device.disconnect();
    until("nobody active", async || gateway.inner().active() == 0).await;
    phone.hold(&gateway).await;
    until("only a parked one", async || gateway.inner().active() == 0).await;
    let second = gateway.line().await;
    until("an active one", async || gateway.inner().active() == 1).await;
    assert!(Line::tls(gateway.address(), gateway.tls.clone()).await.is_err(), "the next is closed");
    assert!(gateway.metric("pushgate_shed_total", "connections_max").await >= 1.0);
    drop(second);
    until("room again", async || gateway.inner().active() == 0).await;
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

/// Whoever holds a Ping takes nothing from those who want to come in, nor the other way round.
#[tokio::test]
async fn parked_pings_do_not_count_as_active_connections() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.connections_max", 1).start().await;
    let mut phones = Vec::new();
    for number in 0..3 {
        let mut phone = device().named(&format!("Phone{number}")).in_step_at(&gateway).await;
        phone.device.disconnect();
        until("nobody active", async || gateway.inner().active() == 0).await;
        phone.hold(&gateway).await;
        until("nobody active", async || gateway.inner().active() == 0).await;
        phones.push(phone);
    }
    assert_eq!(gateway.line().await.ask(http("GET", "/x")).await.status, 404);
}

#[tokio::test]
async fn idle_connections_leave_the_last_places_to_pings() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.parked_max", 8).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.device.disconnect();
    let mut idle = Vec::new();
    for number in 1..=9 {
        let mut line = gateway.line().await;
        assert_eq!(line.ask(http("GET", "/x")).await.status, 404);
        idle.push(line);
        until("seven parked, the others closed", async || {
            gateway.inner().active() == 0 && gateway.status().await.connections == number.min(7)
        })
        .await;
    }
    phone.hold(&gateway).await;
    assert!(gateway.metric("pushgate_shed_total", "parked_max").await >= 2.0);
}

#[tokio::test]
async fn an_address_has_so_many_connections_of_strangers_and_any_number_of_known_devices() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.strangers_per_address_max", 3).start().await;
    let mut known = Vec::new();
    for number in 0..5 {
        let mut phone = device().named(&format!("Phone{number}")).in_step_at(&gateway).await;
        phone.device.disconnect();
        phone.hold(&gateway).await;
        known.push(phone);
    }
    let mut strangers = Vec::new();
    for _ in 0..3 {
        let mut line = gateway.line().await;
        assert_eq!(line.ask(http("GET", "/x").without("Authorization")).await.status, 404);
        strangers.push(line);
    }
    // Parked or not, they are there.
    until("strangers parked", async || gateway.inner().active() == 0).await;
    assert!(Line::tls(gateway.address(), gateway.tls.clone()).await.is_err(), "the fourth is closed");
    assert!(gateway.metric("pushgate_shed_total", "strangers_per_address_max").await >= 1.0);
    assert_eq!(gateway.status().await.held, 5);
    assert_eq!(strangers[0].ask(http("GET", "/x")).await.status, 404, "who is in stays in");
    drop(strangers);
    let mut next = None;
    until("room again", async || {
        next = Line::tls(gateway.address(), gateway.tls.clone()).await.ok();
        next.is_some()
    })
    .await;
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(5));
}

#[tokio::test]
async fn a_device_that_asks_too_often_is_503_and_others_are_not() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.device_requests_per_s", 1).start().await;
    let mut line = gateway.line().await;
    let ask = || eas("GetItemEstimate").body(Vec::new());
    let mut refused = None;
    for number in 0..30 {
        let answer = line.ask(ask()).await;
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("10"));
            refused = Some(number);
            break;
        }
    }
    assert!((10..25).contains(&refused.unwrap()), "ten at once, and one a second: {refused:?}");
    let mut other = device().in_step_at(&gateway).await;
    other.hold(&gateway).await;
    assert!(gateway.metric("pushgate_shed_total", "device_requests_per_s").await >= 1.0);
}

#[tokio::test]
async fn a_device_has_so_many_requests_under_way() {
    let backend = raw_backend(|request| {
        if request.line().starts_with("OPTIONS") {
            Reply::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())
        } else {
            Reply::Hang
        }
    })
    .await;
    let gateway = gateway().behind(backend.url()).set("limits.device_requests_max", 2).start().await;
    let mut lines = Vec::new();
    for _ in 0..2 {
        let mut line = gateway.line().await;
        line.send(eas("GetItemEstimate").body(Vec::new())).await;
        lines.push(line);
    }
    until("both with the backend", async || backend.requests().iter().filter(|request| request.line().starts_with("POST")).count() == 2)
        .await;
    let third = gateway.line().await.ask(eas("GetItemEstimate").body(Vec::new())).await;
    assert_eq!((third.status, third.header("retry-after")), (503, Some("10")));
    lines.pop();
    until("a turn again", async || {
        let mut line = gateway.line().await;
        line.send(eas("GetItemEstimate").body(Vec::new())).await;
        backend.requests().iter().filter(|request| request.line().starts_with("POST")).count() == 3
            || tokio::time::timeout(Duration::from_millis(200), line.try_answer(false)).await.is_err()
    })
    .await;
}

/// A megabyte of anybody's is not kept before the backend has said who that is.
#[tokio::test]
async fn a_strangers_long_body_waits_for_the_verdict() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for framing in [("Content-Length", "500000"), ("Transfer-Encoding", "chunked")] {
        for command in ["Sync", "FolderSync", "Settings", "ItemOperations", "Provision", "Ping"] {
            let mut line = gateway.line().await;
            // Not one byte of the body comes.
            let answer = line.ask(eas(command).user("hew", "wrong").header(framing.0, framing.1).head()).await;
            assert_eq!(answer.status, 401, "{command} {}", framing.0);
        }
    }
    let mut line = gateway.line().await;
    line.send(eas("FolderSync").header("Content-Length", "500000").head()).await;
    line.send(vec![0x03; 1_000]).await;
    let early = tokio::time::timeout(Duration::from_millis(300), line.try_answer(false)).await;
    assert!(early.is_err(), "who is somebody may send all of it");
}

#[tokio::test]
async fn bodies_have_so_much_room_together() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.bodies_bytes_max", 1_048_576).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let mut lines = Vec::new();
    for _ in 0..2 {
        let mut line = gateway.line().await;
        line.send(eas("FolderSync").header("Content-Length", "900000").head()).await;
        line.send(vec![0x03; 600_000]).await;
        lines.push(line);
    }
    let mut statuses = Vec::new();
    for line in &mut lines {
        if let Ok(answer) = tokio::time::timeout(Duration::from_secs(2), line.try_answer(false)).await {
            let answer = answer.unwrap();
            statuses.push((answer.status, answer.header("retry-after").map(str::to_owned)));
        }
    }
    assert_eq!(statuses, [(503, Some("30".to_owned()))], "one of them fits");
    assert!(gateway.metric("pushgate_shed_total", "bodies_bytes_max").await >= 1.0);
    assert_eq!(gateway.line().await.ask(http("GET", "/x")).await.status, 404);
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
}

/// Four readers who read next to nothing would keep all four turns of the backend for as long as they like.
#[tokio::test]
async fn slow_readers_give_back_the_backends_turns() {
    let large = Arc::new([b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n".as_slice(), &vec![b'x'; 64 << 20]].concat());
    let backend = raw_backend(move |request| {
        Reply::Send(if request.line().contains("/large") {
            large.to_vec()
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
        })
    })
    .await;
    let gateway = gateway().behind(backend.url()).set("backend.connections_max", 4).set("limits.grace_s", 1).start().await;
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut line = Line::with_little_room(gateway.address(), gateway.tls.clone()).await;
        line.send(http("GET", "/large")).await;
        readers.push(line);
    }
    until("two answers begun: strangers have half of the turns", async || backend.requests().len() >= 2).await;
    let began = std::time::Instant::now();
    assert_eq!(gateway.line().await.ask(http("GET", "/x")).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    until("readers closed", async || gateway.metric("pushgate_shed_total", "answer_pace").await >= 2.0).await;
}

#[tokio::test]
async fn a_body_that_drips_is_closed_and_one_that_keeps_the_pace_is_not() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.grace_s", 1).set("limits.bytes_per_s_min", 1_000).start().await;
    for request in ["FolderSync", "Settings", "Provision"].map(eas) {
        let mut line = gateway.line().await;
        line.send(request.header("Content-Length", "4000").head()).await;
        line.send(vec![0x03; 40]).await;
        let began = std::time::Instant::now();
        let answer = loop {
            match tokio::time::timeout(Duration::from_millis(200), line.try_answer(false)).await {
                Ok(answer) => break answer,
                Err(_) => drop(line.try_send([0]).await),
            }
        };
        assert!(answer.is_err() || answer.is_ok_and(|answer| matches!(answer.status, 400 | 408)));
        assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
    let mut line = gateway.line().await;
    line.send(http("POST", "/upload").header("Content-Length", "8000").head()).await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        line.send(vec![b'x'; 1_000]).await;
    }
    assert_eq!(line.answer().await.status, 404);
}
