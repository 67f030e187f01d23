//! Between two requests a connection costs a slot, not a task.

use std::time::Duration;

use crate::scene::{Gateway, backend, device, gateway, http, mailbox, until};

async fn parks(gateway: &Gateway, idle: usize) {
    until(&format!("{idle} idle connections parked"), async || gateway.status().await.parked_idle == idle).await;
}

#[tokio::test]
async fn an_idle_connection_leaves_its_task_and_serves_the_next_request() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let options = http("OPTIONS", "/Microsoft-Server-ActiveSync");
    let mut lines = [gateway.line().await, gateway.line().await, gateway.line().await];
    for _ in 0..2 {
        for line in &mut lines {
            assert_eq!(line.ask(&options).await.status, 200);
        }
        parks(&gateway, 3).await;
        assert_eq!(gateway.status().await.connections, 3);
    }
    drop(lines);
    parks(&gateway, 0).await;
    assert_eq!(gateway.status().await.connections, 0);
}

#[tokio::test]
async fn a_ping_on_a_parked_connection_is_held_and_woken() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.device.disconnect();
    phone.line().await.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await;
    parks(&gateway, 1).await;
    phone.hold(&gateway).await;
    parks(&gateway, 0).await;
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
    phone.answer().await;
    parks(&gateway, 1).await;
}

#[tokio::test]
async fn a_head_that_comes_in_two_parts_with_a_pause_is_one_request() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let options = http("OPTIONS", "/Microsoft-Server-ActiveSync");
    let mut line = gateway.line().await;
    line.ask(&options).await;
    parks(&gateway, 1).await;
    let bytes = options.bytes();
    line.send(&bytes[..10]).await;
    parks(&gateway, 0).await;
    // Long enough that a connection between two requests would have been parked; half a head is not between.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(gateway.status().await.parked_idle, 0);
    assert_eq!(line.ask(&bytes[10..]).await.status, 200);
}

#[tokio::test]
async fn a_connection_that_stays_idle_too_long_is_closed_with_a_goodbye() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.idle_s", 1).start().await;
    let mut line = gateway.line().await;
    line.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await;
    line.ends().await;
    until("no connection", async || gateway.status().await.connections == 0).await;
}

#[tokio::test]
async fn a_connection_that_never_asks_anything_is_closed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.head_s", 1).start().await;
    let mut line = gateway.line().await;
    line.ends().await;
    until("no connection", async || gateway.status().await.connections == 0).await;
}
