//! Orders to erase, on their way to the device and back.

use pushgate::logic::eas::{Command, PingAnswer, Version};
use pushgate::logic::policy::wipe::{WipeKind, WipeState};
use pushgate::standin::device::Provisioned;

use super::scene::{Administrates, Obedient, PASSWORD, Told, anna, commands, id, mailbox, new_phone, settled_phone};
use crate::scene::{backend, device, gateway, until};

async fn state(gateway: &crate::scene::Gateway) -> WipeState {
    gateway.partnership("Phone1").await.unwrap().wipe.unwrap().state
}

#[tokio::test]
async fn a_device_of_every_version_is_erased_and_nothing_of_it_passes_afterwards() {
    for version in Version::ALL {
        let backend = backend().start().await;
        let gateway = gateway().behind(backend.url()).start().await;
        gateway.has_policy(PASSWORD).await;
        let mut phone = settled_phone(&gateway, version).await;
        phone.hold(&gateway).await;
        let before = commands(&backend);
        gateway.orders_wipe("Phone1", WipeKind::Device).await;
        assert_eq!(phone.answer().await, PingAnswer::HierarchyChanged, "{version}");
        let telling = if version < Version::V14_0 { Told::Http(449) } else { Told::Status(140) };
        assert_eq!(phone.told().await, telling, "{version}");
        assert_eq!(state(&gateway).await, WipeState::Requested);
        assert_eq!(phone.obeys().await, Provisioned::Wipe, "{version}");
        assert_eq!(state(&gateway).await, WipeState::Sent);
        assert_eq!(phone.device.acknowledge_wipe(false, 1).await.unwrap().status, 1);
        let wipe = gateway.partnership("Phone1").await.unwrap().wipe.unwrap();
        assert_eq!((wipe.state, wipe.acknowledged_with_credentials), (WipeState::Acknowledged, true));
        // It comes back, as if nothing had happened.
        assert_eq!(phone.told().await, telling);
        assert_eq!(phone.asks(Some(600), Some(&[phone.inbox()])).await, PingAnswer::HierarchyChanged);
        for command in [Command::Sync, Command::SendMail, Command::Settings, Command::Search, Command::GetItemEstimate] {
            let answer = phone.device.command(command, Vec::new()).await.unwrap();
            assert!(answer.status != 200 || version >= Version::V14_0, "{command} {version}: {}", answer.status);
        }
        assert_eq!(commands(&backend), before, "{version}: nothing came through");
    }
}

/// Whoever looks for a lost phone asks when it was last there.
#[tokio::test]
async fn a_device_that_fetches_its_order_was_there() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).set("store.flush_s", 1).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    gateway.orders_wipe("Phone1", WipeKind::Device).await;
    // Times are whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(phone.obeys().await, Provisioned::Wipe);
    until("it seen", async || {
        let known = gateway.partnership("Phone1").await.unwrap();
        known.last_attempt_at >= known.wipe.unwrap().sent_at
    })
    .await;
}

#[tokio::test]
async fn a_device_without_a_key_is_told_403() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = device().speaks(Version::V12_1).in_step_at(&gateway).await;
    gateway.orders_wipe("Phone1", WipeKind::Device).await;
    assert_eq!(phone.told().await, Told::Http(403));
}

#[tokio::test]
async fn an_account_alone_is_erased_from_16_1_and_refused_with_the_reason_before() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V16_1).await;
    phone.hold(&gateway).await;
    gateway.orders_wipe("Phone1", WipeKind::AccountOnly).await;
    assert_eq!(phone.answer().await, PingAnswer::HierarchyChanged);
    assert_eq!(phone.told().await, Told::Status(140));
    assert_eq!(phone.obeys().await, Provisioned::WipeAccount);
    assert_eq!(phone.device.acknowledge_wipe(true, 1).await.unwrap().status, 1);
    assert_eq!(state(&gateway).await, WipeState::Acknowledged);
}

#[tokio::test]
async fn an_account_only_wipe_of_an_older_device_is_refused() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    settled_phone(&gateway, Version::V14_1).await;
    let refused = gateway.store().order_wipe(&anna(), &mailbox("hew"), &id("Phone1"), WipeKind::AccountOnly).await;
    assert!(refused.unwrap_err().to_string().contains("16.1"));
}

#[tokio::test]
async fn a_device_that_could_not_is_told_again() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    gateway.orders_wipe("Phone1", WipeKind::Device).await;
    assert_eq!(phone.obeys().await, Provisioned::Wipe);
    let answer = phone.device.acknowledge_wipe(false, 2).await.unwrap();
    assert!(answer.remote_wipe, "the order comes with the answer");
    assert_eq!(state(&gateway).await, WipeState::Failed);
}

#[tokio::test]
async fn a_cancelled_order_leaves_the_device_as_it_was() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    gateway.orders_wipe("Phone1", WipeKind::Device).await;
    assert_eq!(phone.told().await, Told::Status(140));
    gateway.cancels_wipe("Phone1").await;
    assert_eq!(phone.told().await, Told::Status(1));
    phone.hold(&gateway).await;
    assert_eq!(gateway.trail("Phone1").await, ["wipe order", "wipe cancel"]);
}

#[tokio::test]
async fn a_device_whose_user_was_disabled_fetches_its_order_and_strangers_learn_nothing() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    settled_phone(&gateway, Version::V14_1).await;
    let mut disabled = device().password("was right once").at(&gateway);
    disabled.device.policy_key = Some(0);
    assert_eq!(disabled.told().await, Told::Http(401), "nothing is ordered yet");
    gateway.orders_wipe("Phone1", WipeKind::Device).await;
    assert_eq!(disabled.told().await, Told::Status(140));
    assert_eq!(disabled.obeys().await, Provisioned::Wipe);
    disabled.device.acknowledge_wipe(false, 1).await.unwrap();
    let wipe = gateway.partnership("Phone1").await.unwrap().wipe.unwrap();
    assert_eq!((wipe.state, wipe.acknowledged_with_credentials), (WipeState::Acknowledged, false));
    for (user, device_id) in [("hew", "Phone2"), ("anna", "Phone1")] {
        let mut stranger = device().of(user).named(device_id).password("guess").at(&gateway);
        assert_eq!(stranger.told().await, Told::Http(401), "{user} {device_id}");
    }
}

#[tokio::test]
async fn an_order_survives_a_restart() {
    let backend = backend().start().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("\"sqlite:{}\"", folder.path().join("store.db").display());
    let started = || gateway().behind(backend.url()).set("store.url", &url).start();
    let first = started().await;
    first.has_policy(PASSWORD).await;
    settled_phone(&first, Version::V14_1).await;
    first.orders_wipe("Phone1", WipeKind::Device).await;
    first.drain().await;
    let second = started().await;
    let mut phone = new_phone(&second, Version::V14_1);
    assert_eq!(phone.told().await, Told::Status(140));
    assert_eq!(phone.obeys().await, Provisioned::Wipe);
}
