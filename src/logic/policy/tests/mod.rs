//! Tests of the whole of `policy`, by subject.

mod access;
mod assign;
mod convergence;
mod documents;
mod enforce;
mod gate;
mod policies;
mod provisioning;
mod settings;
mod stories;

use super::{Changes, Partnership, Policy, PolicyName, Prepared, Timestamp};
use crate::logic::eas::{DeviceId, DeviceType, Mailbox};

/// When everything begins.
const START: Timestamp = Timestamp(1_795_379_000);

fn policy(settings: &[(&str, &str)]) -> Policy {
    let policy = Policy::new(PolicyName::new("Strict").unwrap(), START);
    policy.with(&Changes::parse(settings.iter().copied()).unwrap(), START).unwrap()
}

fn prepared(settings: &[(&str, &str)]) -> Prepared {
    Prepared::new(policy(settings))
}

fn mailbox(name: &str) -> Mailbox {
    Mailbox::normalise(name, None, true).unwrap()
}

fn device_id(id: &str) -> DeviceId {
    DeviceId::new(id.as_bytes()).unwrap()
}

fn partnership() -> Partnership {
    let device_type = DeviceType::new(b"SmartPhone").unwrap();
    Partnership::new(mailbox("hew@example.org"), device_id("WM6DEV0001"), device_type, START)
}
