//! What a Ping leaves out is what the device sent before.

use pushgate::logic::eas::PingAnswer;

use crate::scene::{Gateway, Phone, backend, device, eas, gateway, mailbox};

#[tokio::test]
async fn an_empty_ping_repeats_the_last_one() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let both = [phone.folder(2), phone.folder(4)];
    phone.hold_for(&gateway, 720, &both).await;
    phone.take_line();
    gateway.holds(&[]).await;
    phone.ping(None, None).await;
    assert_eq!(held(&gateway, &phone).await, (720, 2));
    gateway.notify(mailbox("hew").folder_id(both[1].as_str())).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![both[1].clone()]));
}

/// Android leaves the body out altogether, and some devices send the header of a document that never comes.
#[tokio::test]
async fn a_ping_without_any_body_repeats_the_last_one_too() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().named("Raw1").in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    phone.take_line();
    gateway.holds(&[]).await;
    let mut line = gateway.line().await;
    line.send(eas("Ping").without("Content-Type").header("Content-Length", "0")).await;
    phone.is_held(&gateway).await;
    gateway.notify(mailbox("hew").folder("INBOX")).await;
    assert_eq!(line.answer().await.ping(), PingAnswer::Changes(vec![phone.inbox()]));
}

#[tokio::test]
async fn a_ping_with_a_heartbeat_only_keeps_the_folders() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let both = [phone.folder(2), phone.folder(4)];
    phone.hold_for(&gateway, 720, &both).await;
    phone.take_line();
    gateway.holds(&[]).await;
    phone.ping(Some(900), None).await;
    assert_eq!(held(&gateway, &phone).await, (900, 2));
}

#[tokio::test]
async fn a_ping_with_folders_only_keeps_the_heartbeat_and_replaces_the_list() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let (inbox, trash) = (phone.folder(2), phone.folder(4));
    phone.hold_for(&gateway, 720, &[inbox.clone(), trash.clone()]).await;
    phone.take_line();
    gateway.holds(&[]).await;
    phone.ping(None, Some(std::slice::from_ref(&trash))).await;
    assert_eq!(held(&gateway, &phone).await, (720, 1));
    assert_eq!(gateway.notify(mailbox("hew").folder_id(inbox.as_str())).await.woken, Some(0));
    assert_eq!(gateway.notify(mailbox("hew").folder_id(trash.as_str())).await.woken, Some(1));
}

#[tokio::test]
async fn what_was_refused_is_not_remembered() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let inbox = [phone.inbox()];
    phone.hold_for(&gateway, 720, &inbox).await;
    phone.take_line();
    gateway.holds(&[]).await;
    let refused = phone.asks(Some(10), Some(&[phone.folder(4)])).await;
    assert_eq!(refused, PingAnswer::HeartbeatOutOfRange { heartbeat_s: 60 });
    phone.ping(None, None).await;
    assert_eq!(held(&gateway, &phone).await, (720, 1));
    assert_eq!(gateway.pings("").await.pings[0].folders, [inbox[0].to_string()]);
}

#[tokio::test]
async fn devices_of_one_mailbox_are_remembered_apart() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    let mut tablet = device().named("Tablet1").in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    assert_eq!(tablet.asks(None, None).await, PingAnswer::MissingParameters);
}

/// Heartbeat and number of folders of the phone's Ping, once it is held.
async fn held(gateway: &Gateway, phone: &Phone) -> (u32, usize) {
    phone.is_held(gateway).await;
    let ping = gateway.pings("").await.pings.into_iter().next().unwrap();
    (ping.heartbeat_s, ping.folders.len())
}
