//! A device fetches its policy, in every version, and again when it changes.

use pushgate::logic::eas::provision::{PolicyData, PolicyRequest, PolicyType, ProvisionRequest};
use pushgate::logic::eas::{Command, PolicyKey, Version};
use pushgate::logic::policy::Setting;
use pushgate::logic::policy::provisioning::Application;
use pushgate::standin::device::{Obeys, Provisioned};

use super::scene::{Administrates, Obedient, PASSWORD, Told, commands, new_phone, settled_phone};
use crate::scene::{backend, device, eas, gateway, http};

/// "You have no policy" and "your policy changed", by version.
fn tellings(version: Version) -> (Told, Told) {
    if version < Version::V14_0 { (Told::Http(449), Told::Http(449)) } else { (Told::Status(142), Told::Status(144)) }
}

#[tokio::test]
async fn a_device_of_every_version_is_told_fetches_its_policy_and_syncs() {
    for version in Version::ALL {
        let backend = backend().start().await;
        let gateway = gateway().behind(backend.url()).start().await;
        gateway.has_policy(PASSWORD).await;
        let mut phone = new_phone(&gateway, version);
        assert_eq!(phone.told().await, tellings(version).0, "{version}");
        assert_eq!(commands(&backend), 0, "{version}: nothing of it came through");
        let Provisioned::Policy(data) = phone.obeys().await else { panic!("{version}: no policy") };
        match data {
            PolicyData::Document(document) => {
                let tag = Setting::DevicePasswordEnabled.definition().element.unwrap().tag;
                assert_eq!(document.text(tag), Some("1"), "{version}");
            }
            PolicyData::WapXml(text) => assert!(version == Version::V2_5 && text.contains("wap-provisioningdoc"), "{text}"),
        }
        phone.synchronise().await;
        phone.hold(&gateway).await;
        assert_eq!(backend.count(Command::Provision), 0, "{version}: the gateway answered");
        let partnership = gateway.partnership("Phone1").await.unwrap();
        assert_eq!(partnership.provisioning.application(), Application::AppliedInFull, "{version}");
        assert_eq!(partnership.version, Some(version));
    }
}

#[tokio::test]
async fn a_changed_policy_answers_the_held_ping_and_the_device_fetches_it() {
    for version in Version::ALL {
        let backend = backend().start().await;
        let gateway = gateway().behind(backend.url()).start().await;
        gateway.has_policy(PASSWORD).await;
        let mut phone = settled_phone(&gateway, version).await;
        phone.hold(&gateway).await;
        let before = commands(&backend);
        gateway.changes_policy(&[("min_device_password_length", "6")]).await;
        assert_eq!(phone.answer().await, pushgate::logic::eas::PingAnswer::HierarchyChanged, "{version}");
        assert_eq!(phone.told().await, tellings(version).1, "{version}");
        assert_eq!(commands(&backend), before, "{version}");
        phone.settles().await;
        phone.hold(&gateway).await;
        assert_eq!(gateway.partnership("Phone1").await.unwrap().provisioning.applied.unwrap().document.revision, 2);
    }
}

/// The refresh interval and UNC access are the gateway's alone: no document changes.
#[tokio::test]
async fn a_change_that_no_document_shows_disturbs_nobody() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = settled_phone(&gateway, Version::V14_1).await;
    phone.hold(&gateway).await;
    gateway.changes_policy(&[("wss_access_enabled", "false")]).await;
    assert_eq!(phone.told().await, Told::Status(1));
    gateway.holds(&["Phone1"]).await;
}

#[tokio::test]
async fn a_mailbox_without_policy_is_told_so_by_the_gateway() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut phone = new_phone(&gateway, Version::V14_1);
    assert_eq!(phone.told().await, Told::Status(1));
    assert_eq!(phone.obeys().await, Provisioned::NoPolicy);
    assert_eq!(backend.count(Command::Provision), 0);
}

#[tokio::test]
async fn from_14_1_a_device_is_told_once_to_describe_itself() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = new_phone(&gateway, Version::V14_1);
    let asks = PolicyRequest { policy_type: PolicyType::Wbxml, policy_key: None, status: None };
    let bare = ProvisionRequest { policy: Some(asks), ..ProvisionRequest::default() };
    assert_eq!(phone.device.ask_provision(&bare).await.unwrap().status, 165);
    assert!(phone.device.ask_provision(&bare).await.unwrap().policy.is_some(), "some never do");
}

#[tokio::test]
async fn a_key_that_was_never_given_is_not_acknowledged() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut phone = new_phone(&gateway, Version::V14_0);
    let acknowledges = PolicyRequest { policy_type: PolicyType::Wbxml, policy_key: Some(PolicyKey(4711)), status: Some(1) };
    let request = ProvisionRequest { policy: Some(acknowledges), ..ProvisionRequest::default() };
    assert_eq!(phone.device.ask_provision(&request).await.unwrap().policy.unwrap().status, 5);
    phone.device.policy_key = Some(4711);
    assert_eq!(phone.told().await, Told::Status(144));
}

#[tokio::test]
async fn a_device_that_does_not_obey_syncs_only_where_that_is_allowed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    for (obeys, application) in [(Obeys::InPart, Application::PartiallyApplied), (Obeys::NotAtAll, Application::NotApplied)] {
        let mut phone = new_phone(&gateway, Version::V14_1);
        assert_eq!(phone.device.fetch_policy(obeys).await.unwrap(), Provisioned::Refused(139));
        assert_eq!(gateway.partnership("Phone1").await.unwrap().provisioning.application(), application);
    }
    assert_eq!(commands(&backend), 0);
    gateway.changes_policy(&[("allow_non_provisionable_devices", "true")]).await;
    let mut phone = new_phone(&gateway, Version::V14_1);
    assert!(matches!(phone.device.fetch_policy(Obeys::InPart).await.unwrap(), Provisioned::Policy(_)));
    phone.synchronise().await;
}

#[tokio::test]
async fn a_device_that_knows_no_policies_syncs_only_where_that_is_allowed() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut old = device().named("Old1").speaks(Version::V12_1).at(&gateway);
    let mut new = device().named("New1").at(&gateway);
    assert_eq!((old.told().await, new.told().await), (Told::Http(449), Told::Status(141)));
    assert_eq!(commands(&backend), 0);
    gateway.changes_policy(&[("allow_non_provisionable_devices", "true")]).await;
    old.synchronise().await;
    new.synchronise().await;
    new.hold(&gateway).await;
}

#[tokio::test]
async fn options_offers_provision_where_the_backend_does_not() {
    let backend = backend().kind(pushgate::standin::cas::Kind::Horde).start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    for _ in 0..2 {
        let commands = device().at(&gateway).device.options().await.unwrap().commands;
        assert_eq!(commands.iter().filter(|command| *command == "Provision").count(), 1, "{commands:?}");
    }
}

#[tokio::test]
async fn bad_credentials_get_the_backends_answer_and_leave_nothing() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    gateway.has_policy(PASSWORD).await;
    let mut stranger = device().password("guess").at(&gateway);
    stranger.device.policy_key = Some(0);
    assert_eq!(stranger.told().await, Told::Http(401));
    let provision = ProvisionRequest::default().encode();
    assert_eq!(stranger.device.command(Command::Provision, provision).await.unwrap().status, 401);
    assert!(gateway.partnership("Phone1").await.is_none());
}

#[tokio::test]
async fn a_provision_that_is_none_is_refused_without_asking_anybody() {
    let backend = backend().start().await;
    let gateway = gateway().behind(backend.url()).start().await;
    let mut line = gateway.line().await;
    assert_eq!(line.ask(eas("Provision").version("12.1").body(b"\x03\x01\x6A\x00\x45".to_vec())).await.status, 400);
    assert_eq!(backend.requests(), 0);
    // What is no command is nobody's to provision.
    assert_eq!(line.ask(http("OPTIONS", "/Microsoft-Server-ActiveSync")).await.status, 200);
}

/// Whichever process the device is connected to.
#[tokio::test]
async fn gateways_that_share_a_database_tell_each_others_devices() {
    let backend = backend().start().await;
    let folder = tempfile::tempdir().unwrap();
    let shared = || {
        let file = |name: &str| folder.path().join(name).display().to_string();
        gateway()
            .behind(backend.url())
            .set("store.url", format!("\"sqlite:{}\"", file("store.db")))
            .set("store.key_file", format!("{:?}", file("key")))
    };
    let (one, other) = (shared().start().await, shared().start().await);
    one.has_policy(PASSWORD).await;
    crate::scene::until("the other to know", async || !other.store().snapshot().policies.is_empty()).await;
    let mut phone = settled_phone(&other, Version::V14_1).await;
    phone.hold(&other).await;
    one.changes_policy(&[("min_device_password_length", "6")]).await;
    assert_eq!(phone.answer().await, pushgate::logic::eas::PingAnswer::HierarchyChanged);
    phone.settles().await;
    phone.hold(&other).await;
    crate::scene::until("the first to know", async || one.partnership("Phone1").await.is_some()).await;
    one.orders_wipe("Phone1", pushgate::logic::policy::wipe::WipeKind::Device).await;
    assert_eq!(phone.answer().await, pushgate::logic::eas::PingAnswer::HierarchyChanged);
    assert_eq!(phone.told().await, Told::Status(140));
}
