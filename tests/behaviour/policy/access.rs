//! Allow, block, quarantine.

use pushgate::logic::eas::{PingAnswer, Version};
use pushgate::logic::policy::access::{Access, AccessState, MailboxSettings, Rules};
use pushgate::store::{MailboxEdit, Removal};

use super::scene::{Administrates, Obedient, Told, anna, commands, mailbox};
use crate::scene::{Gateway, backend, device, eas, gateway, until};

async fn quarantines_strangers(gateway: &Gateway) {
    gateway.store().set_rules(&anna(), Rules { rules: Vec::new(), default: Access::Quarantine }, 0).await.unwrap();
}

#[tokio::test]
async fn a_blocked_device_is_told_at_once_and_an_allowed_one_goes_on() {
    for (version, telling) in [(Version::V12_1, Told::Http(403)), (Version::V14_1, Told::Status(129))] {
        let backend = backend().start().await;
        let gateway = gateway().behind(backend.url()).start().await;
        let mut phone = device().speaks(version).in_step_at(&gateway).await;
        phone.hold(&gateway).await;
        gateway.sets_access("Phone1", Some(Access::Block)).await;
        assert_eq!(phone.answer().await, PingAnswer::HierarchyChanged);
        let before = commands(&backend);
        assert_eq!(phone.told().await, telling);
        assert_eq!(commands(&backend), before);
        gateway.sets_access("Phone1", Some(Access::Allow)).await;
        assert_eq!(phone.told().await, Told::Status(1));
        phone.hold(&gateway).await;
    }
}

#[tokio::test]
async fn a_new_device_in_quarantine_is_known_and_waits_for_somebody() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    quarantines_strangers(&gateway).await;
    let mut phone = device().at(&gateway);
    assert_eq!(phone.told().await, Told::Status(129));
    until("it shown", async || gateway.partnership("Phone1").await.is_some()).await;
    assert_eq!(gateway.partnership("Phone1").await.unwrap().access_state, AccessState::Quarantined);
    assert_eq!(phone.told().await, Told::Status(129));
    assert_eq!(commands(&backend), 0);
    gateway.sets_access("Phone1", Some(Access::Allow)).await;
    phone.synchronise().await;
    phone.hold(&gateway).await;
}

/// Devices send head and body apart; what is refused by its head must not cost the connection.
#[tokio::test]
async fn a_refused_device_keeps_its_connection() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    quarantines_strangers(&gateway).await;
    let mut line = gateway.line().await;
    let asks = eas("FolderSync").body(b"\x03\x01\x6A\x00\x00\x07\x56\x52\x030\x00\x01\x01".to_vec());
    for _ in 0..3 {
        line.send(asks.head()).await;
        until("it met", async || gateway.partnership("Raw1").await.is_some()).await;
        line.send(asks.bytes()[asks.head().len()..].to_vec()).await;
        let answer = line.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (200, None));
        gateway.store().remove_device(&anna(), &mailbox("hew"), &super::scene::id("Raw1"), Removal::default()).await.unwrap();
    }
    assert_eq!(commands(&backend), 0);
}

#[tokio::test]
async fn a_mailbox_without_active_sync_is_told_so() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    let settings = MailboxSettings { active_sync_enabled: false, ..MailboxSettings::default() };
    let edit = MailboxEdit { settings: Some(settings), ..MailboxEdit::default() };
    gateway.store().change_mailbox(&anna(), mailbox("hew"), 0, edit).await.unwrap();
    assert_eq!(phone.answer().await, PingAnswer::HierarchyChanged);
    assert_eq!(phone.told().await, Told::Status(126));
    assert_eq!(device().named("Another1").at(&gateway).told().await, Told::Status(126), "a new one as well");
    assert_eq!(device().of("anna").at(&gateway).told().await, Told::Status(1));
}

#[tokio::test]
async fn a_mailbox_has_so_many_devices_and_no_more() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("provision.devices_max", 2).start().await;
    for name in ["Phone1", "Phone2"] {
        device().named(name).in_step_at(&gateway).await;
    }
    let mut third = device().named("Phone3").at(&gateway);
    assert_eq!(third.told().await, Told::Status(177));
    assert_eq!(third.told().await, Told::Status(177));
    let away = gateway.inner().turned_away();
    let told: Vec<_> = away.iter().map(|device| (&device.mailbox, &device.device_id, device.count)).collect();
    assert_eq!(told, [(&mailbox("hew"), &super::scene::id("Phone3"), 2)]);
    gateway.store().remove_device(&anna(), &mailbox("hew"), &super::scene::id("Phone1"), Removal::default()).await.unwrap();
    assert_eq!(third.told().await, Told::Status(1));
    until("it known", async || gateway.partnership("Phone3").await.is_some()).await;
    assert_eq!(gateway.inner().turned_away(), [], "it got in");
}

#[tokio::test]
async fn what_devices_show_is_kept() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("store.flush_s", 1).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    until("the facts written", async || gateway.partnership("Phone1").await.is_some_and(|known| known.last_heartbeat_s.is_some())).await;
    let known = gateway.partnership("Phone1").await.unwrap();
    assert_eq!((known.last_heartbeat_s, known.folders_synced), (Some(600), 1));
    assert!(known.last_success_at.is_some() && known.last_attempt_at >= known.last_success_at && known.last_sync_status.is_none());
    assert_eq!((known.user_agent.as_deref(), known.version), (Some("pushgate-standin/1"), Some(Version::V14_1)));
    assert_eq!(known.device_type.as_str(), "SmartPhone");
}

/// A device that is removed while its Ping is held makes itself known again.
#[tokio::test]
async fn a_removed_device_that_syncs_makes_a_new_partnership() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().in_step_at(&gateway).await;
    phone.hold(&gateway).await;
    gateway.store().remove_device(&anna(), &mailbox("hew"), &super::scene::id("Phone1"), Removal::default()).await.unwrap();
    assert_eq!(phone.answer().await, PingAnswer::HierarchyChanged);
    assert_eq!(phone.told().await, Told::Status(1));
    until("it known again", async || gateway.partnership("Phone1").await.is_some()).await;
}
