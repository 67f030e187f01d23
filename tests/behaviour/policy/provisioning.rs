//! A device fetches its policy, in every version, and again when it changes.

use pushgate::logic::eas::provision::PolicyData;
use pushgate::logic::eas::{Command, PingAnswer, Version};
use pushgate::logic::policy::Setting;
use pushgate::logic::policy::provisioning::Application;
use pushgate::standin::device::{DeviceError, Obeys, Provisioned};

use super::scene::Administrates;
use crate::scene::{backend, device, gateway};

#[tokio::test]
async fn a_device_is_told_fetches_its_policy_and_syncs() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(&[("device_password_enabled", "true")]).await;
    let mut phone = device().at(&gateway);
    phone.device.policy_key = Some(0);
    assert_eq!(phone.device.folder_sync().await.unwrap().status, 142);
    assert_eq!(backend.count(Command::FolderSync), 0);
    let Provisioned::Policy(PolicyData::Document(document)) = phone.device.fetch_policy(Obeys::InFull).await.unwrap() else {
        panic!("a document");
    };
    assert_eq!(document.text(Setting::DevicePasswordEnabled.definition().element.unwrap().tag), Some("1"));
    phone.synchronise().await;
    phone.hold(&gateway).await;
    assert_eq!(backend.count(Command::Provision), 0, "the gateway answered");
    let partnership = gateway.partnership("Phone1").await.unwrap();
    assert_eq!(partnership.provisioning.application(), Application::AppliedInFull);
    let _ = (PingAnswer::HierarchyChanged, Version::V2_5, DeviceError::Timeout);
}
