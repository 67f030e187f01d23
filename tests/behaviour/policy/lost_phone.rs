//! The story of a lost phone, from the morning it was set up to the entry that says it is empty.

use pushgate::logic::eas::settings::{RecoveryPassword, SettingsAnswer, SettingsRequest};
use pushgate::logic::eas::{Command, PingAnswer, Version};
use pushgate::logic::policy::wipe::{WipeKind, WipeState};
use pushgate::standin::device::Provisioned;
use pushgate::store::AuditFilter;

use super::scene::{Administrates, Obedient, Told, anna, commands, id, mailbox, new_phone};
use crate::scene::{backend, device, gateway, until};

#[tokio::test]
async fn a_phone_is_set_up_lost_and_erased() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("store.flush_s", 1).start().await;
    gateway.has_policy(&[("device_password_enabled", "true"), ("password_recovery_enabled", "true")]).await;

    // hew sets up his phone. It is told to fetch its policy, does, and leaves a recovery password.
    let mut phone = new_phone(&gateway, Version::V14_1);
    assert_eq!(phone.told().await, Told::Status(142));
    phone.settles().await;
    let password = Some(RecoveryPassword::new("once-upon-a-time".into()));
    let settings = SettingsRequest { device_password: password, ..SettingsRequest::default() };
    let answer = phone.device.command(Command::Settings, settings.encode()).await.unwrap();
    assert_eq!(SettingsAnswer::parse(&answer.body).unwrap().device_password, Some(1));

    // It is in use: mail arrives, the next Ping is held.
    phone.hold(&gateway).await;
    backend.deliver("hew", "Inbox");
    gateway.notify(crate::scene::mailbox("hew").folder("INBOX")).await;
    assert_eq!(phone.answer().await, PingAnswer::Changes(vec![phone.inbox()]));
    phone.synchronise_folders().await;
    phone.hold(&gateway).await;

    // hew calls: he forgot it in a taxi. anna looks at it; it was here a moment ago.
    until("its heartbeat shown", async || gateway.partnership("Phone1").await.is_some_and(|known| known.last_heartbeat_s == Some(600)))
        .await;
    let known = gateway.partnership("Phone1").await.unwrap();
    assert_eq!(known.information.friendly_name.as_deref(), Some("hew's phone"));
    assert!(known.is_remote_wipe_supported() && known.recovery_password_at.is_some());

    // The driver found it and reads the number of its lock screen; anna helps hew to unlock it.
    let shown = gateway.store().show_recovery_password(&anna(), &mailbox("hew"), &id("Phone1")).await.unwrap();
    assert_eq!(*shown, "once-upon-a-time");

    // He did not find it after all. It is to be erased, and hew's password is no longer accepted.
    let before = commands(&backend);
    gateway.orders_wipe("Phone1", WipeKind::Device).await;
    assert_eq!(phone.answer().await, PingAnswer::HierarchyChanged, "within the moment");
    let mut phone = device().password("revoked").at(&gateway);
    phone.device.policy_key = Some(0);
    assert_eq!(phone.told().await, Told::Status(140));
    assert_eq!(phone.obeys().await, Provisioned::Wipe);
    assert_eq!(phone.device.acknowledge_wipe(false, 1).await.unwrap().status, 1);
    assert_eq!(commands(&backend), before, "the backend heard nothing of it any more");

    // The books say all of it.
    let wipe = gateway.partnership("Phone1").await.unwrap().wipe.unwrap();
    assert_eq!((wipe.state, wipe.requested_by.as_str()), (WipeState::Acknowledged, "anna"));
    assert!(wipe.sent_at >= Some(wipe.requested_at) && wipe.acknowledged_at >= wipe.sent_at);
    assert_eq!(gateway.trail("Phone1").await, ["recovery password show", "wipe order", "wipe sent", "wipe acknowledged"]);
    let last = gateway.store().audit_trail(AuditFilter::default(), None, 1).await.unwrap().remove(0);
    assert!(last.detail.contains("without a password"), "{}", last.detail);
    assert!(last.source.parse::<std::net::IpAddr>().is_ok_and(|from| from.is_loopback()), "who said so: {}", last.source);
}
