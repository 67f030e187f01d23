//! Those who do not even speak TLS, in numbers.

use pushgate::logic::eas::PingAnswer;
use tokio::io::AsyncWriteExt as _;

use crate::scene::{Line, backend, device, gateway, mailbox, until};

/// The same in every run.
fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}

#[tokio::test]
async fn plain_http_on_the_tls_address_is_told_so() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = Line::plain(gateway.address()).await;
    line.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = line.answer().await;
    assert_eq!((answer.status, &answer.body[..]), (400, &b"This address speaks HTTPS, not HTTP.\n"[..]));
    line.ends().await;
}

#[tokio::test]
async fn random_bytes_are_closed_before_and_after_the_handshake() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.handshake_s", 2).set("limits.head_s", 2).start().await;
    for seed in 1..30 {
        let mut line = Line::plain(gateway.address()).await;
        let _ = line.try_send(random_bytes(seed, 2_000)).await;
        line.rest().await;
        let mut socket = gateway.line().await.into_socket();
        let _ = socket.write_all(&random_bytes(seed, 2_000)).await;
        drop(socket);
    }
    until("all gone", async || gateway.status().await.connections == 0).await;
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn a_record_that_was_tampered_with_ends_a_held_ping_and_only_that() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let mut other = device().named("Phone2").in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    other.hold(&gateway).await;
    let mut socket = phone.take_line().into_socket();
    let mut record = vec![0x17, 0x03, 0x03, 0x00, 0x40];
    record.extend(random_bytes(1, 0x40));
    socket.write_all(&record).await.unwrap();
    gateway.holds(&["Phone2"]).await;
}

#[tokio::test]
async fn two_hundred_hostile_connections_do_not_disturb_a_held_ping() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let mut lingering = Vec::new();
    for seed in 0..200 {
        let mut line = Line::plain(gateway.address()).await;
        match seed % 8 {
            0 => drop(line.try_send(random_bytes(seed, 500)).await),
            1 => drop(line.try_send([0x16, 0x03, 0x01, 0x02]).await),
            2 => drop(line.try_send("GET / HTTP/1.1\r\n\r\n").await),
            3 => line.reset(),
            4 => {
                let mut line = gateway.line().await;
                drop(line.try_send(random_bytes(seed, 500)).await);
                lingering.push(line);
            }
            5 => {
                let mut line = gateway.line().await;
                drop(line.try_send("POST /Microsoft-Server-ActiveSync?Cmd=Ping HTTP/1.1\r\nContent-Le").await);
                lingering.push(line);
            }
            6 => drop(gateway.line().await.into_socket().write_all(&random_bytes(seed, 500)).await),
            _ => lingering.push(line),
        }
    }
    gateway.holds(&["Phone1"]).await;
    assert_eq!(gateway.notify(mailbox("hew").folder("INBOX")).await.woken, Some(1));
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
    drop(lingering);
    phone.device.disconnect();
    drop(phone.take_line());
    until("all gone", async || gateway.status().await.connections == 0).await;
}
