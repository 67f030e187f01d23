//! Requests on one connection, one after the other: what comes around a held Ping keeps its order and its bytes.

use pushgate::logic::eas::{Command, FolderId, PingAnswer};

use crate::scene::{Phone, backend, device, eas, gateway, http, mailbox, vector};

const OPTIONS: &str = "OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic aGV3OnRlc3Q=\r\n\r\n";

#[tokio::test]
async fn one_connection_is_parked_answered_and_used_again_three_times() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let port = phone.line().await.socket().local_addr().unwrap().port();
    for _ in 0..3 {
        phone.hold(&gateway).await;
        assert!(gateway.pings("").await.pings[0].address.ends_with(&format!(":{port}")), "the same connection");
        gateway.notify(mailbox("hew").folder("INBOX")).await;
        assert_eq!(phone.answer().await, changes(&phone));
        let options = phone.line().await.ask(OPTIONS).await;
        assert_eq!((options.status, options.header("ms-server-activesync")), (200, Some("16.1")));
        phone.synchronise_folders().await;
    }
}

#[tokio::test]
async fn a_request_sent_while_the_ping_is_held_is_answered_after_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    phone.line().await.send(OPTIONS).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, changes(&phone));
    assert!(phone.line().await.answer().await.header("ms-asprotocolversions").is_some());
}

#[tokio::test]
async fn a_request_right_behind_the_ping_in_one_record_is_answered_after_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let mut both = phone.ping_request(Some(600), Some(&[phone.inbox()]));
    both.extend(phone.request(Command::FolderSync, &vector("12-")));
    phone.line().await.send(both).await;
    phone.is_held(&gateway).await;
    let before = backend.count(Command::FolderSync);
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, changes(&phone));
    let folders = phone.line().await.answer().await;
    assert_eq!((folders.status, backend.count(Command::FolderSync)), (200, before + 1));
    assert!(!folders.body.is_empty());
}

#[tokio::test]
async fn requests_in_one_record_are_answered_in_their_order() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let mut all = OPTIONS.as_bytes().to_vec();
    all.extend(OPTIONS.as_bytes());
    all.extend(phone.ping_request(Some(600), Some(&[phone.inbox()])));
    phone.line().await.send(all).await;
    for _ in 0..2 {
        assert!(phone.line().await.answer().await.header("ms-asprotocolversions").is_some());
    }
    phone.is_held(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, changes(&phone));
}

#[tokio::test]
async fn requests_behind_a_ping_that_is_answered_at_once_are_not_lost() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let refused = phone.ping_request(Some(1), Some(&[phone.inbox()]));
    let mut all = refused.clone();
    all.extend(OPTIONS.as_bytes());
    all.extend(&refused);
    all.extend(&refused);
    all.extend(OPTIONS.as_bytes());
    phone.line().await.send(all).await;
    let too_short = PingAnswer::HeartbeatOutOfRange { heartbeat_s: 60 };
    assert_eq!(phone.answer().await, too_short);
    assert_eq!(phone.line().await.answer().await.status, 200);
    assert_eq!((phone.answer().await, phone.answer().await), (too_short.clone(), too_short));
    assert!(phone.line().await.answer().await.header("ms-asprotocolversions").is_some());
}

#[tokio::test]
async fn a_ping_behind_a_ping_is_held_when_its_turn_comes() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let (inbox, trash) = (phone.folder(2), phone.folder(4));
    phone.hold(&gateway).await;
    let second = phone.ping_request(Some(720), Some(std::slice::from_ref(&trash)));
    phone.line().await.send(second).await;
    gateway.notify(mailbox("hew").folder_id(inbox.as_str())).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![inbox]));
    phone.is_held(&gateway).await;
    assert_eq!(gateway.pings("").await.pings[0].heartbeat_s, 720);
    gateway.notify(mailbox("hew").folder_id(trash.as_str())).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![trash]));
}

#[tokio::test]
async fn a_body_longer_than_any_buffer_behind_a_ping_waits_and_arrives_whole() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let mut line = phone.take_line();
    let mail: Vec<u8> = (0..300_000_u32).map(|n| 32 + (n % 89) as u8).collect();
    let send = eas("SendMail").version("12.1").header("Content-Type", "message/rfc822").body(mail.clone());
    let sending = tokio::spawn(async move {
        line.send(send).await;
        line
    });
    // The Ping is held all the while.
    gateway.holds(&["Phone1"]).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    let mut line = sending.await.unwrap();
    assert_eq!(line.answer().await.ping(), changes(&phone));
    assert_eq!(line.answer().await.status, 200);
    assert!(backend.recorded().last().unwrap().body == mail);
}

#[tokio::test]
async fn a_ping_that_expects_100_continue_gets_it_and_is_held() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().named("Raw1").in_step_at(&gateway).await;
    let mut line = gateway.line().await;
    for _ in 0..2 {
        let body = phone.ping_body(Some(600), Some(&[phone.inbox()]));
        let request = eas("Ping").header("Expect", "100-continue").body(body.clone());
        line.send(request.head()).await;
        assert_eq!(line.answer().await.status, 100);
        line.send(body).await;
        phone.is_held(&gateway).await;
        gateway.notify(mailbox("hew").folder("INBOX")).await;
        assert_eq!(line.answer().await.ping(), changes(&phone));
        phone.synchronise_folders().await;
    }
}

/// The Ping is read while most of the attachment still waits for the device.
#[tokio::test]
async fn a_ping_behind_an_answer_that_is_still_being_sent_takes_nothing_from_it() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let bytes = 20_000_000;
    let mut both = phone.device.request(Command::GetAttachment, &[], Some(&format!("a:{bytes}")));
    both.extend(phone.ping_request(Some(600), Some(&[phone.inbox()])));
    let line = phone.line().await;
    line.send(both).await;
    let head = line.head().await;
    assert_eq!(head.header("content-length"), Some("20000000"));
    line.drain_bytes(bytes).await;
    phone.is_held(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, changes(&phone));
}

#[tokio::test]
async fn a_large_post_that_expects_100_continue_gets_it_and_arrives_without_the_expectation() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let mail = vec![b'm'; 3 << 20];
    let request = eas("SendMail").version("12.1").header("Content-Type", "message/rfc822").header("Expect", "100-continue");
    let request = request.body(mail.clone());
    line.send(request.head()).await;
    assert_eq!(line.answer().await.status, 100);
    line.send(mail.clone()).await;
    assert_eq!(line.answer().await.status, 200);
    let recorded = backend.recorded().pop().unwrap();
    assert!(recorded.body == mail && !recorded.headers.contains_key("expect"));
}

#[tokio::test]
async fn a_ping_in_pieces_or_in_chunks_is_held_like_any_other() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().named("Raw1").in_step_at(&gateway).await;
    let body = phone.ping_body(Some(600), Some(&[phone.inbox()]));
    let mut line = gateway.line().await;
    for piece in eas("Ping").body(body.clone()).bytes().chunks(7) {
        line.send(piece).await;
    }
    phone.is_held(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(line.answer().await.ping(), changes(&phone));
    phone.synchronise_folders().await;

    line.send(eas("Ping").header("Transfer-Encoding", "chunked").head()).await;
    let (first, second) = body.split_at(5);
    for part in [first, second] {
        line.send([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()).await;
    }
    line.send("0\r\n\r\n").await;
    phone.is_held(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(line.answer().await.ping(), changes(&phone));
}

#[tokio::test]
async fn a_ping_of_http_1_0_or_with_connection_close_is_held_and_its_connection_closed_after_the_answer() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().named("Raw1").in_step_at(&gateway).await;
    let body = phone.ping_body(Some(600), Some(&[phone.inbox()]));
    let ping = eas("Ping").body(body);
    for request in [ping.clone().http10(), ping.header("Connection", "Close")] {
        let mut line = gateway.line().await;
        line.send(request).await;
        phone.is_held(&gateway).await;
        gateway.notify(mailbox("hew").folder("INBOX")).await;
        let answer = line.answer().await;
        assert_eq!((answer.ping(), answer.header("connection")), (changes(&phone), Some("close")));
        line.ends().await;
        phone.synchronise_folders().await;
    }
}

#[tokio::test]
async fn a_refused_ping_with_connection_close_is_answered_and_closed_too() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let folders: [FolderId; 1] = [phone.inbox()];
    phone.hold(&gateway).await;
    for body in [phone.ping_body(Some(1), Some(&folders)), b"nonsense".to_vec()] {
        let mut line = gateway.line().await;
        let answer = line.ask(eas("Ping").header("Connection", "close").body(body)).await;
        assert_eq!(answer.status, 200);
        line.ends().await;
    }
}

#[tokio::test]
async fn requests_of_http_1_0_are_forwarded_and_closed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    let answer = line.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync").without("Host").http10()).await;
    assert_eq!(answer.status, 200);
    line.ends().await;
}

fn changes(phone: &Phone) -> PingAnswer {
    PingAnswer::Changes(vec![phone.inbox()])
}
