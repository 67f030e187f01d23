//! An administrator, and what he says.

use pushgate::logic::eas::{DeviceId, Mailbox};
use pushgate::logic::policy::{Changes, Partnership, PolicyName};
use pushgate::store::By;

use crate::scene::Gateway;

/// anna, who may do everything.
pub fn anna() -> By {
    By { actor: "anna".into(), source: "192.0.2.7".into() }
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

/// What administrators do, without REST.
pub trait Administrates {
    /// Makes "Default", which every mailbox has.
    async fn has_policy(&self, settings: &[(&str, &str)]);
    /// Changes "Default".
    async fn changes_policy(&self, settings: &[(&str, &str)]);
    /// hew's device, in full, as an administrator sees it.
    async fn partnership(&self, device: &str) -> Option<Partnership>;
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

    async fn partnership(&self, device: &str) -> Option<Partnership> {
        self.store().device(&mailbox("hew"), &id(device)).await.unwrap().map(|stored| stored.partnership)
    }
}
