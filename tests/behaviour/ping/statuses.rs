//! Every Status a Ping can be answered, and what it must carry.

use std::time::{Duration, Instant};

use pushgate::logic::eas::{FolderId, PingAnswer};

use crate::scene::{backend, device, eas, gateway, mailbox};

#[tokio::test]
async fn status_1_comes_when_the_heartbeat_is_over_and_neither_sooner_nor_later() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("ping.heartbeat_min_s", 1).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let inbox = [phone.inbox()];
    let began = Instant::now();
    assert_eq!(phone.asks(Some(1), Some(&inbox)).await, PingAnswer::Expired);
    let took = began.elapsed();
    // A lot counts time in ticks of 16.4 ms.
    assert!(took >= Duration::from_millis(983), "too early: {took:?}");
    assert!(took < Duration::from_secs(5), "Android gives up 5 s after the heartbeat: {took:?}");
}

#[tokio::test]
async fn status_2_names_the_folders_that_changed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn status_3_asks_for_the_whole_ping_when_nothing_is_remembered() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let inbox = [phone.inbox()];
    assert_eq!(phone.asks(None, None).await, PingAnswer::MissingParameters);
    assert_eq!(phone.asks(Some(600), None).await, PingAnswer::MissingParameters);
    assert_eq!(phone.asks(None, Some(&inbox)).await, PingAnswer::MissingParameters);
    assert_eq!(phone.asks(Some(600), Some(&[])).await, PingAnswer::MissingParameters);
    // What was refused is not remembered: the two halves do not make a whole.
    assert_eq!(phone.asks(None, None).await, PingAnswer::MissingParameters);
}

#[tokio::test]
async fn status_4_answers_a_ping_that_cannot_be_read() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let answer = gateway.line().await.ask(eas("Ping").body(b"<Ping/>")).await;
    assert_eq!(answer.ping(), PingAnswer::Syntax);
}

#[tokio::test]
async fn status_5_names_the_nearest_heartbeat_that_is_legal() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("ping.heartbeat_min_s", 90).set("ping.heartbeat_max_s", 1700).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let inbox = [phone.inbox()];
    for (asked_s, heartbeat_s) in [(89, 90), (0, 90), (1701, 1700), (u32::MAX, 1700)] {
        let expected = PingAnswer::HeartbeatOutOfRange { heartbeat_s };
        assert_eq!(phone.asks(Some(asked_s), Some(&inbox)).await, expected, "{asked_s}");
    }
    phone.hold_for(&gateway, 1700, &inbox).await;
}

#[tokio::test]
async fn status_6_says_how_many_folders_are_legal() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("ping.folders_max", 2).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let folders: Vec<FolderId> = ["1", "2", "3"].map(|id| FolderId::new(id).unwrap()).into();
    assert_eq!(phone.asks(Some(600), Some(&folders)).await, PingAnswer::TooManyFolders { max: 2 });
    let both = [phone.folder(2), phone.folder(4)];
    phone.hold_for(&gateway, 600, &both).await;
}

#[tokio::test]
async fn status_7_asks_for_a_folder_sync_until_there_was_one() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let inbox = [phone.inbox()];
    phone.hold(&gateway).await;
    backend.create_folder("hew", "Work", 12);
    gateway.dovecot(r#"{"user":"hew@example.org","event":"MailboxCreate","folder":"Work"}"#).await;
    assert_eq!(phone.answer().await, PingAnswer::HierarchyChanged);
    assert_eq!(phone.asks(None, None).await, PingAnswer::HierarchyChanged);
    assert_eq!(phone.device.folder_sync().await.unwrap().added.len(), 1);
    phone.hold_for(&gateway, 600, &inbox).await;
}

/// Devices repeat a Status 8 without delay; a 503 with Retry-After is what they respect.
#[tokio::test]
async fn instead_of_status_8_a_full_gateway_says_503_and_when_to_come_back() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("limits.parked_max", 1).start().await;
    let mut first = device().in_step_at(&gateway).await;
    let mut second = device().named("Phone2").in_step_at(&gateway).await;
    first.device.disconnect();
    second.device.disconnect();
    first.hold(&gateway).await;
    let request = second.ping_request(Some(600), Some(&[second.inbox()]));
    let answer = second.line().await.ask(request).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("300")));
    gateway.holds(&["Phone1"]).await;
}
