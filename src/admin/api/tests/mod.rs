//! Each operation: done, refused by role, stale, wrong input. Over a real socket, on a real store.

mod devices;
mod mailboxes;
mod people;
mod policies;
mod roles;

use crate::admin::tests::scene::{Answer, Scene};
use crate::logic::eas::settings::RecoveryPassword;
use crate::logic::eas::{DeviceId, DeviceType, Mailbox, Version};
use crate::store::{By, DeviceChange, Recorded, Role};

/// `If-Match` with a revision.
fn at(revision: u64) -> String {
    format!("If-Match: \"{revision}\"\r\n")
}

/// A policy is made.
async fn policy(scene: &Scene, name: &str) {
    let answer = scene.ask("POST", "/v1/policies", "", &format!("{{\"name\":{name:?}}}")).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
}

/// A device comes, and says what it speaks and what its recovery password is.
async fn device(scene: &Scene, mailbox: &str, id: &str, version: Version) {
    let mailbox = Mailbox::normalise(mailbox, None, true).expect("a mailbox");
    let (id, phone) = (DeviceId::new(id.as_bytes()).expect("an id"), DeviceType::new(b"SmartPhone").expect("a type"));
    let seen = DeviceChange::Seen { version, user_agent: Some("Phone/1.0".into()) };
    let password = DeviceChange::RecoveryPassword(Some(RecoveryPassword::new("hush-hush".into())));
    assert_eq!(scene.store.record(&mailbox, &id, &phone, vec![seen, password]).await, Recorded::Saved);
}

/// A token of a role.
async fn token(scene: &Scene, role: Role) -> String {
    let by = By { actor: "test".into(), source: "here".into(), token: None };
    let made = scene.store.make_token(&by, role.name(), role).await.expect("made");
    made.token.as_str().to_owned()
}

/// The same as problem, whose errors are told by what they are about.
fn errors(answer: &Answer, about: &str) -> Vec<String> {
    answer.problem();
    let json = answer.json();
    let errors = json["errors"].as_array().expect("errors");
    errors.iter().map(|error| error[about].as_str().map_or_else(|| error[about].to_string(), str::to_owned)).collect()
}
