//! A policy is to be fetched anew from time to time, and a device that stops half-way is told again.

use pushgate::logic::eas::provision::{PolicyRequest, PolicyType, ProvisionRequest};
use pushgate::logic::eas::{DeviceType, PingAnswer, Version};
use pushgate::logic::policy::Timestamp;
use pushgate::store::{DeviceChange, Recorded};

use super::scene::{Administrates, Obedient, PASSWORD, Told, commands, id, mailbox, new_phone, settled_phone};
use crate::scene::{Gateway, backend, gateway};

/// As if the phone had applied its policy so many seconds earlier.
async fn applied_earlier(gateway: &Gateway, seconds: u64) {
    let mut provisioning = gateway.partnership("Phone1").await.unwrap().provisioning;
    let at = &mut provisioning.applied.as_mut().unwrap().document.at;
    *at = Timestamp(at.0 - seconds);
    let kind = DeviceType::new(b"SmartPhone").unwrap();
    let changes = vec![DeviceChange::Provisioned(provisioning)];
    assert_eq!(gateway.store().record(&mailbox("hew"), &id("Phone1"), &kind, changes).await, Recorded::Saved);
}

#[tokio::test]
async fn a_policy_that_is_too_old_is_fetched_anew() {
    for version in [Version::V2_5, Version::V12_1, Version::V14_1, Version::V16_1] {
        let backend = backend().start().await;
        let gateway = gateway().behind(backend.url()).start().await;
        gateway.has_policy(&[PASSWORD, &[("device_policy_refresh_interval_s", "3600")]].concat()).await;
        let mut phone = settled_phone(&gateway, version).await;
        applied_earlier(&gateway, 3_500).await;
        assert_eq!(phone.told().await, Told::Status(1), "{version}: there is time yet");
        applied_earlier(&gateway, 200).await;
        let before = commands(&backend);
        let telling = if version < Version::V14_0 { Told::Http(449) } else { Told::Status(143) };
        assert_eq!(phone.told().await, telling, "{version}");
        let inbox = [phone.inbox()];
        assert_eq!(phone.asks(Some(600), Some(&inbox)).await, PingAnswer::HierarchyChanged, "{version}: never inside a Ping");
        assert_eq!(commands(&backend), before, "{version}");
        phone.settles().await;
        phone.hold(&gateway).await;
    }
}

/// The key of the first step opens nothing but the second.
#[tokio::test]
async fn a_device_that_never_acknowledges_does_not_sync() {
    for version in [Version::V12_1, Version::V14_1] {
        let backend = backend().start().await;
        let gateway = gateway().behind(backend.url()).start().await;
        gateway.has_policy(PASSWORD).await;
        let mut phone = new_phone(&gateway, version);
        let asks = PolicyRequest { policy_type: PolicyType::Wbxml, policy_key: None, status: None };
        let device_information = (version >= Version::V14_1).then(|| phone.device.information());
        let first = ProvisionRequest { device_information, policy: Some(asks), ..ProvisionRequest::default() };
        let temporary = phone.device.ask_provision(&first).await.unwrap().policy.unwrap().policy_key.unwrap();
        phone.device.policy_key = Some(temporary.0);
        let telling = if version < Version::V14_0 { Told::Http(449) } else { Told::Status(144) };
        assert_eq!(phone.told().await, telling, "{version}");
        assert_eq!(commands(&backend), 0, "{version}");
        phone.settles().await;
    }
}
