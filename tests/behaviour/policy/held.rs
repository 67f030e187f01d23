//! What is held when a device may no longer wait.

use pushgate::logic::eas::{Command, PingAnswer, Version};
use pushgate::logic::policy::wipe::WipeKind;
use pushgate::standin::device::SyncWish;

use super::scene::{Administrates, Obedient, PASSWORD, Told, commands, settled_phone};
use crate::scene::{backend, gateway, until};

#[tokio::test]
async fn a_hanging_sync_is_answered_that_the_folder_list_changed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    let inbox = phone.inbox();
    let wish = SyncWish { heartbeat_s: Some(600), ..SyncWish::default() };
    let before = {
        let hanging = phone.device.sync(&inbox, &wish);
        let wiping = async {
            gateway.holds(&["Phone1"]).await;
            gateway.orders_wipe("Phone1", WipeKind::Device).await;
            commands(&backend)
        };
        let (answer, before) = tokio::join!(hanging, wiping);
        assert_eq!(answer.unwrap().status, 12);
        before
    };
    assert_eq!(phone.told().await, Told::Status(140));
    assert_eq!(commands(&backend), before);
}

/// A Ping carries no policy status, whatever the version: devices stop pushing on one.
#[tokio::test]
async fn a_ping_of_a_device_that_has_to_provision_is_told_7_and_not_held() {
    for version in Version::ALL {
        let backend = backend().start().await;
        let gateway = gateway().behind(backend.url()).start().await;
        let mut phone = crate::scene::device().speaks(version).in_step_at(&gateway).await;
        gateway.has_policy(PASSWORD).await;
        phone.device.policy_key = Some(0);
        let inbox = [phone.inbox()];
        assert_eq!(phone.asks(Some(600), Some(&inbox)).await, PingAnswer::HierarchyChanged, "{version}");
        assert_eq!(backend.count(Command::Ping), 0);
    }
}

/// Between two packets: it passed the gate and is held an instant later.
#[tokio::test]
async fn a_ping_that_meets_the_order_half_way_is_not_missed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    for _ in 0..20 {
        let inbox = [phone.inbox()];
        phone.ping(Some(600), Some(&inbox)).await;
        gateway.orders_wipe("Phone1", WipeKind::Device).await;
        assert_eq!(phone.answer().await, PingAnswer::HierarchyChanged);
        gateway.cancels_wipe("Phone1").await;
        until("nothing held", async || gateway.held().await.is_empty()).await;
    }
}

/// A device in step costs the backend nothing and the database nothing.
#[tokio::test]
async fn a_ping_sent_anew_asks_nobody() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    phone.hold(&gateway).await;
    let before = backend.requests();
    for _ in 0..20 {
        phone.take_line();
        phone.ping(None, None).await;
        phone.is_held(&gateway).await;
    }
    assert_eq!(backend.requests(), before);
}
