//! Who is slow is waited for as long as the limits say, and no longer.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::scene::{Gateway, Line, backend, eas, gateway, http, until};

async fn gone(gateway: &Gateway) {
    until("no connection left", async || gateway.status().await.connections == 0).await;
}

#[tokio::test]
async fn a_head_that_does_not_end_in_time_is_closed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.head_s", 1).start().await;
    let mut fresh = gateway.line().await;
    fresh.send("POST /Micro").await;
    let mut second = gateway.line().await;
    assert_eq!(second.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await.status, 200);
    second.send("POST /Micro").await;
    for line in [&mut fresh, &mut second] {
        let rest = String::from_utf8(line.rest().await).unwrap();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408 "), "{rest}");
    }
    gone(&gateway).await;
}

/// A byte now and then does not buy more time.
#[tokio::test]
async fn a_head_that_trickles_is_closed_too() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.head_s", 1).start().await;
    let mut line = gateway.line().await;
    line.send("GET / HTTP/1.1\r\nX: ").await;
    until("the connection closed", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        line.try_send("a").await.is_err() || gateway.status().await.connections == 0
    })
    .await;
}

#[tokio::test]
async fn a_body_that_stands_still_is_408() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.body_idle_s", 1).start().await;
    let commands = ["Ping", "Sync", "Settings", "SendMail"].map(eas);
    let streaming = http("POST", "/upload");
    let mut lines = Vec::new();
    for request in commands.into_iter().chain([streaming]) {
        let mut line = gateway.line().await;
        line.send(request.header("Content-Length", "1000").head()).await;
        line.send([0x03]).await;
        lines.push(line);
    }
    for line in &mut lines {
        assert_eq!(line.answer().await.status, 408);
    }
}

#[tokio::test]
async fn a_body_that_moves_slowly_arrives() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.body_idle_s", 1).start().await;
    let mut line = gateway.line().await;
    let body = crate::scene::vector("12-");
    line.send(eas("FolderSync").body(body.clone()).head()).await;
    for byte in &body {
        tokio::time::sleep(Duration::from_millis(150)).await;
        line.send([*byte]).await;
    }
    assert_eq!(line.answer().await.status, 200);
}

#[tokio::test]
async fn a_handshake_that_does_not_end_in_time_is_closed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.handshake_s", 1).start().await;
    let mut silent = Line::plain(gateway.address()).await;
    let mut half = Line::plain(gateway.address()).await;
    half.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await;
    silent.ends().await;
    half.ends().await;
    gone(&gateway).await;
}

#[tokio::test]
async fn half_a_tls_record_and_then_silence_is_closed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.head_s", 1).set("limits.idle_s", 1).start().await;
    let mut fresh = gateway.line().await.into_socket();
    fresh.write_all(&[0x17, 0x03, 0x03, 0x00, 0x40, 0x01, 0x02]).await.unwrap();
    let mut used = gateway.line().await;
    assert_eq!(used.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await.status, 200);
    let mut used = used.into_socket();
    used.write_all(&[0x17, 0x03, 0x03, 0x00, 0x40, 0x01, 0x02]).await.unwrap();
    gone(&gateway).await;
}

#[tokio::test]
async fn half_a_tls_record_behind_a_held_ping_does_not_end_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = crate::scene::device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let mut socket = phone.take_line().into_socket();
    socket.write_all(&[0x17, 0x03, 0x03, 0x00, 0x40, 0x01, 0x02]).await.unwrap();
    gateway.holds(&["Phone1"]).await;
    assert_eq!(gateway.notify(crate::scene::mailbox("hew").folder("INBOX")).await.woken, Some(1));
}
