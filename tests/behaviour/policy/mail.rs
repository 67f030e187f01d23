//! People are told what became of a device.

use pushgate::logic::eas::Version;
use pushgate::logic::policy::wipe::WipeKind;
use pushgate::standin::device::Provisioned;

use super::scene::{Administrates, Obedient, PASSWORD, settled_phone};
use crate::scene::{backend, gateway, until};

/// A program takes the mail here; tests/servers has a real mail server.
#[tokio::test]
async fn a_device_that_was_erased_is_told_to_its_user_and_to_administrators() {
    let outbox = tempfile::tempdir().unwrap();
    let file = outbox.path().join("outbox");
    let backend = backend().start().await;
    let gateway = gateway()
        .behind(backend.url())
        .set("mail.command", format!("[\"/bin/sh\", \"-c\", \"cat >>{}\"]", file.display()))
        .set("mail.administrators", "[\"admins@example.org\"]")
        .start()
        .await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    gateway.orders_wipe("Phone1", WipeKind::Device).await;
    assert_eq!(phone.obeys().await, Provisioned::Wipe);
    assert_eq!(phone.device.acknowledge_wipe(false, 1).await.unwrap().status, 1);
    let mail = || std::fs::read_to_string(&file).unwrap_or_default();
    until("two letters", async || mail().matches("Subject: ").count() == 2).await;
    let (to_administrators, to_user) = (mail().contains("To: <admins@example.org>"), mail().contains("To: <hew@example.org>"));
    assert!(to_administrators && to_user, "{}", mail());
    assert!(mail().contains(" by anna\r\n"), "{}", mail());
}
