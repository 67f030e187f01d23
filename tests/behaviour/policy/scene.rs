//! An administrator, and devices that say what they were told.

use pushgate::logic::eas::{Command, DeviceId, Mailbox, Version};
use pushgate::logic::policy::access::Access;
use pushgate::logic::policy::wipe::WipeKind;
use pushgate::logic::policy::{Changes, Partnership, PolicyName};
use pushgate::standin::device::{DeviceError, Obeys, Provisioned};
use pushgate::store::{AuditFilter, By};

use crate::scene::{Gateway, Phone, device, until};

/// What every mailbox has in these tests: a password is required.
pub const PASSWORD: &[(&str, &str)] = &[("device_password_enabled", "true")];

/// anna, who may do everything.
pub fn anna() -> By {
    By { actor: "anna".into(), source: "192.0.2.7".into(), token: None }
}

pub fn mailbox(name: &str) -> Mailbox {
    Mailbox::normalise(name, Some("example.org"), true).unwrap()
}

pub fn id(name: &str) -> DeviceId {
    DeviceId::new(name.as_bytes()).unwrap()
}

/// Settings by key and text, as the command line takes them.
fn changes(settings: &[(&str, &str)]) -> Changes {
    Changes::parse(settings.iter().copied()).unwrap()
}

fn name(name: &str) -> PolicyName {
    PolicyName::new(name).unwrap()
}

/// What administrators do to hew and his devices, without REST.
pub trait Administrates {
    /// Makes "Default", which every mailbox has.
    async fn has_policy(&self, settings: &[(&str, &str)]);
    /// Changes "Default".
    async fn changes_policy(&self, settings: &[(&str, &str)]);
    async fn orders_wipe(&self, device: &str, kind: WipeKind);
    async fn cancels_wipe(&self, device: &str);
    async fn sets_access(&self, device: &str, access: Option<Access>);
    /// hew's device, in full.
    async fn partnership(&self, device: &str) -> Option<Partnership>;
    /// Acts in the audit trail about the device, the first first.
    async fn trail(&self, device: &str) -> Vec<String>;
}

impl Administrates for Gateway {
    async fn has_policy(&self, settings: &[(&str, &str)]) {
        let store = self.store();
        store.create_policy(&anna(), name("Default"), changes(settings)).await.unwrap();
        store.choose_default(&anna(), Some(name("Default")), 0).await.unwrap();
    }

    async fn changes_policy(&self, settings: &[(&str, &str)]) {
        let revision = self.store().snapshot().policies.find(&name("Default")).unwrap().policy().revision;
        self.store().change_policy(&anna(), name("Default"), revision, changes(settings)).await.unwrap();
    }

    async fn orders_wipe(&self, device: &str, kind: WipeKind) {
        // A device has its answer before its partnership is stored.
        until("there is a partnership", async || self.partnership(device).await.is_some()).await;
        self.store().order_wipe(&anna(), &mailbox("hew"), &id(device), kind).await.unwrap();
    }

    async fn cancels_wipe(&self, device: &str) {
        self.store().cancel_wipe(&anna(), &mailbox("hew"), &id(device)).await.unwrap();
    }

    async fn sets_access(&self, device: &str, access: Option<Access>) {
        until("there is a partnership", async || self.partnership(device).await.is_some()).await;
        self.store().set_device_access(&anna(), &mailbox("hew"), &id(device), access, None).await.unwrap();
    }

    async fn partnership(&self, device: &str) -> Option<Partnership> {
        self.store().device(&mailbox("hew"), &id(device)).await.unwrap().map(|stored| stored.partnership)
    }

    async fn trail(&self, device: &str) -> Vec<String> {
        let mut entries = self.store().audit_trail(AuditFilter::default(), None, 100).await.unwrap();
        entries.retain(|entry| entry.device_id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(device)));
        entries.sort_by_key(|entry| entry.id);
        entries.into_iter().map(|entry| entry.act).collect()
    }
}

/// What a device is told when it asks for its folders: a Status, or an HTTP code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Status(u32),
    Http(u16),
}

/// What a device does about policies.
pub trait Obedient {
    /// FolderSync.
    async fn told(&mut self) -> Told;
    /// Provisions as a good device does.
    async fn obeys(&mut self) -> Provisioned;
    /// Provisions and synchronises.
    async fn settles(&mut self);
}

impl Obedient for Phone {
    async fn told(&mut self) -> Told {
        match self.device.folder_sync().await {
            Ok(answer) => Told::Status(answer.status),
            Err(DeviceError::Http(status)) => Told::Http(status),
            Err(error) => panic!("{error}"),
        }
    }

    async fn obeys(&mut self) -> Provisioned {
        self.device.fetch_policy(Obeys::InFull).await.unwrap()
    }

    async fn settles(&mut self) {
        let provisioned = self.obeys().await;
        assert!(matches!(provisioned, Provisioned::Policy(_)), "{provisioned:?}");
        self.synchronise().await;
    }
}

/// hew's phone of that version, which can provision and has not yet.
pub fn new_phone(gateway: &Gateway, version: Version) -> Phone {
    let mut phone = device().speaks(version).at(gateway);
    phone.device.policy_key = Some(0);
    phone
}

/// hew's phone of that version, with its policy, in step.
pub async fn settled_phone(gateway: &Gateway, version: Version) -> Phone {
    let mut phone = new_phone(gateway, version);
    phone.settles().await;
    until("the partnership written", async || gateway.partnership("Phone1").await.is_some()).await;
    phone
}

/// How many EAS commands a backend has seen.
pub fn commands(backend: &pushgate::standin::cas::Cas) -> u64 {
    Command::ALL.into_iter().map(|command| backend.count(command)).sum()
}
