//! A policy that devices must take before they are answered anything else, where [`super::CasOptions::wants_policy`] says so.

use super::http::Answer;
use super::shared::{Shared, Who};
use crate::logic::eas::provision::{PolicyAnswer, PolicyData, PolicyRequest, ProvisionAnswer, ProvisionRequest};
use crate::logic::eas::provision_doc::ProvisionDoc;
use crate::logic::eas::{Command, PolicyKey, status};

/// What one device was given.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Given {
    /// With the policy; good for nothing but to acknowledge it.
    temporary: Option<PolicyKey>,
    /// After that.
    key: Option<PolicyKey>,
}

/// A Policy's Status; see MS-ASPROV 2.2.2.54.2.
const FINE: u16 = 1;
const WRONG_KEY: u16 = 5;

/// The answer to a device that has not taken the policy; `None`: it has, or none is wanted, or it asks for it.
pub(super) fn demand(shared: &Shared, who: &Who, command: Command, shown: Option<PolicyKey>) -> Option<Answer> {
    // A Ping need not show a key, as MS-ASHTTP has it.
    let is_free = command == Command::Provision || command == Command::Ping && shown.is_none();
    if !shared.options.wants_policy || is_free {
        return None;
    }
    let given = given(shared, who, |given| *given);
    if given.key.is_some() && shown == given.key {
        return None;
    }
    let shown = shown.filter(|key| key.0 != 0);
    let wanted = if shown.is_some() { status::INVALID_POLICY_KEY } else { status::DEVICE_NOT_PROVISIONED };
    let body = who.version.has_common_statuses().then(|| status::answer(command, wanted)).flatten();
    Some(body.map_or(Answer::status(449), Answer::wbxml))
}

/// Provision: first the policy with a temporary key, then, when that was acknowledged, the key that counts.
pub(super) fn provision(shared: &Shared, who: &Who, body: &[u8]) -> Answer {
    let Ok(ProvisionRequest { policy: Some(policy), device_information, .. }) = ProvisionRequest::parse(body) else {
        return Answer::status(400);
    };
    let fresh = || Some(PolicyKey(u32::try_from(shared.next_item().0).unwrap_or(u32::MAX)));
    let PolicyRequest { policy_type, policy_key, status } = policy;
    let (status, policy_key, data) = given(shared, who, |given| match policy_key {
        None => {
            given.temporary = fresh();
            (FINE, given.temporary, Some(PolicyData::Document(ProvisionDoc::default())))
        }
        acknowledged if acknowledged == given.temporary && status == Some(FINE) => {
            *given = Given { temporary: None, key: fresh() };
            (FINE, given.key, None)
        }
        Some(_) => (WRONG_KEY, None, None),
    });
    let policy = Some(PolicyAnswer { policy_type, status, policy_key, data });
    let answer = ProvisionAnswer { device_information: device_information.map(|_| 1), status: 1, policy, ..ProvisionAnswer::default() };
    Answer::wbxml(answer.encode())
}

fn given<T>(shared: &Shared, who: &Who, work: impl FnOnce(&mut Given) -> T) -> T {
    shared.with_mailbox(&who.mailbox, |mailbox| work(&mut mailbox.partnerships.entry(who.device.clone()).or_default().policy))
}
