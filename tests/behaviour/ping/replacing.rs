//! One device, one Ping: the newest wins, and one whose device is gone is gone.

use std::io::Write as _;

use pushgate::logic::eas::PingAnswer;
use tokio::io::AsyncWriteExt as _;

use crate::scene::{Line, backend, device, gateway, mailbox, until};

#[tokio::test]
async fn the_newest_ping_of_a_device_replaces_the_older_one_which_gets_status_1() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let mut older = phone.take_line();
    phone.hold(&gateway).await;
    let answer = older.answer().await;
    assert_eq!((answer.ping(), answer.header("connection")), (PingAnswer::Expired, Some("close")));
    older.ends().await;
    gateway.holds(&["Phone1"]).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn ten_connections_of_a_device_in_a_row_leave_one_ping() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let mut older = Vec::new();
    for _ in 0..10 {
        phone.hold(&gateway).await;
        older.push(phone.take_line());
    }
    let mut newest = older.pop().unwrap();
    for line in &mut older {
        assert_eq!(line.answer().await.ping(), PingAnswer::Expired);
    }
    gateway.holds(&["Phone1"]).await;
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
    assert_eq!(newest.answer().await.ping(), PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn a_device_that_closes_its_socket_frees_its_slot() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    drop(phone.take_line().into_socket());
    gateway.holds(&[]).await;
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(0));
}

#[tokio::test]
async fn a_device_that_says_close_notify_frees_its_slot_and_is_answered_in_kind() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let mut line = phone.take_line();
    line.say_close_notify().await;
    gateway.holds(&[]).await;
    line.ends().await;
}

#[tokio::test]
async fn a_device_that_resets_frees_its_slot() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    phone.take_line().reset();
    gateway.holds(&[]).await;
}

/// The request behind the Ping keeps the lot from reading on; the end must show all the same.
#[tokio::test]
async fn a_device_that_hangs_up_behind_a_pipelined_request_frees_its_slot() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    for how in ["close", "reset"] {
        phone.hold(&gateway).await;
        let mut line = phone.take_line();
        line.send("OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        if how == "reset" {
            line.reset();
        } else {
            drop(line.into_socket());
        }
        gateway.holds(&[]).await;
    }
}

#[tokio::test]
async fn a_goodbye_in_the_same_segment_as_the_ping_frees_its_slot() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let request = phone.ping_request(Some(600), Some(&[phone.inbox()]));
    let Line::Tls(stream, _) = gateway.line().await else { panic!("not TLS") };
    let (mut socket, mut session) = stream.into_inner();
    session.writer().write_all(&request).unwrap();
    session.send_close_notify();
    let mut records = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut records).unwrap();
    }
    phone.device.disconnect();
    socket.write_all(&records).await.unwrap();
    // Whether it was held first is a matter of luck; that it is gone is not.
    until("the connection given up", async || gateway.status().await.connections == 0).await;
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(0));
}
