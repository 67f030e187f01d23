//! What becomes of a request before anything is forwarded: may this device, now, ask this?
//!
//! In order: an order to erase; access; too many devices; then the policy key. Ping, OPTIONS and Autodiscover carry no key and need
//! none; but a Ping of a device that has to fetch its policy is told to look (Status 7), or it would be held with the old one.

use super::access::{AccessState, AccessWhy};
use super::loops::Steps;
use super::provisioning::Due;
use super::signal::Refusal;
use super::wipe::WipeKind;
use super::{Partnership, Prepared, Setting, Timestamp};
use crate::logic::eas::{Command, PolicyKey, Version};

/// A request, as far as the gate looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// `None`: OPTIONS or Autodiscover.
    pub command: Option<Command>,
    /// What the device speaks.
    pub version: Version,
    /// The key it sent; 0 is a key, a missing one is none.
    pub policy_key: Option<PolicyKey>,
}

/// What is known, all of it from a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The partnership; `None` if this is the first request of the device.
    pub partnership: Option<&'a Partnership>,
    /// What `access::decide` says of it.
    pub access: (AccessState, &'a AccessWhy),
    /// The mailbox's policy; `None` if it has none, or provisioning is left to the backend.
    pub policy: Option<&'a Prepared>,
    /// Partnerships the mailbox has, this one not counted.
    pub others: u32,
    /// Most it may have.
    pub devices_max: u32,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Go on: forward it, or hold it.
    Pass,
    /// Answer it with `provisioning`.
    Provision,
    /// Say no; `signal` says how.
    Refuse(Refusal),
}

/// Decides a request whose credentials are good. A Provision of a mailbox without policy is [`Decision::Provision`] as well: whether it
/// goes to the backend instead is for the caller, who knows the mode.
pub fn decide(asked: &Asked, known: &Known<'_>, now: Timestamp) -> Decision {
    if let Some(decision) = known.partnership.and_then(|partnership| wipe_first(asked, partnership)) {
        return decision;
    }
    // OPTIONS and Autodiscover say nothing of a mailbox, and a refused device needs them to say what it is refused.
    let Some(command) = asked.command else { return Decision::Pass };
    if let Some(refusal) = access(known) {
        return Decision::Refuse(refusal);
    }
    if command == Command::Provision {
        return Decision::Provision;
    }
    if let Some(refusal) = known.policy.and_then(|policy| key(command, asked, known.partnership, policy, now)) {
        return Decision::Refuse(refusal);
    }
    // It describes itself in Provision (from 14.1, and that was looked after just now) or in Settings.
    let must_describe = known.access.0 == AccessState::Discovery && command != Command::Settings;
    if must_describe { Decision::Refuse(Refusal::Discovery) } else { Decision::Pass }
}

/// Decides a request of a device that is to be erased, whatever its credentials: the user may have been disabled since. `None` if no
/// order stands. The caller has found the partnership by mailbox and device id, so who does not know the id learns nothing.
pub fn wipe_first(asked: &Asked, partnership: &Partnership) -> Option<Decision> {
    let wipe = partnership.wipe.as_ref().filter(|wipe| wipe.stands())?;
    let command = asked.command?;
    let can_be_told = wipe.kind == WipeKind::Device || asked.version >= Version::V16_1;
    Some(match command {
        // It spoke 16.1 when this was ordered. It gets nothing, rather than an order that it does not know.
        _ if !can_be_told => Decision::Refuse(Refusal::Blocked),
        Command::Provision => Decision::Provision,
        _ => Decision::Refuse(Refusal::Wipe(wipe.kind)),
    })
}

/// Tellings after which a device that could provision, by the key it sends, is taken for one that cannot.
const TELLINGS_MAX: u32 = 6;

/// Whether a refused request passes after all: the policy lets devices sync that cannot provision, and this one, which sends the key 0 as
/// if it could, was told so often by now and never asked for a policy. The caller forwards it and counts no step.
pub fn passes_anyway(refusal: Refusal, known: &Known<'_>, steps: &Steps) -> bool {
    let is_allowed = known.policy.is_some_and(|policy| policy.is_on(Setting::AllowNonProvisionableDevices));
    let never_asked = known.partnership.is_none_or(|partnership| partnership.provisioning.asked_at.is_none());
    refusal == Refusal::NotProvisioned && is_allowed && never_asked && steps.told >= TELLINGS_MAX
}

/// The part that is about the device as such.
fn access(known: &Known<'_>) -> Option<Refusal> {
    let (state, why) = known.access;
    match state {
        AccessState::Blocked if *why == AccessWhy::ActiveSyncOff => return Some(Refusal::UserDisabled),
        AccessState::Blocked => return Some(Refusal::Blocked),
        AccessState::Quarantined => return Some(Refusal::Quarantined),
        AccessState::Discovery | AccessState::Allowed => {}
    }
    let is_new = known.partnership.is_none();
    (is_new && known.others >= known.devices_max).then_some(Refusal::TooManyDevices)
}

/// The part that is about the policy key.
fn key(command: Command, asked: &Asked, partnership: Option<&Partnership>, policy: &Prepared, now: Timestamp) -> Option<Refusal> {
    let provisioning = partnership.map(|partnership| &partnership.provisioning);
    let due = match provisioning {
        Some(provisioning) => provisioning.due(policy, asked.version, now),
        None => Some(Due::Never),
    };
    let allows_all = policy.is_on(Setting::AllowNonProvisionableDevices);
    if command == Command::Ping {
        // Ping has no key to judge by. A device that never provisioned, and need not, is one of those that cannot.
        return due.filter(|due| !(allows_all && *due == Due::Never)).map(Refusal::from);
    }
    let never_sent = provisioning.is_none_or(|state| state.applied.is_none() && state.offer.is_none());
    match asked.policy_key {
        None if never_sent && allows_all => None,
        None if never_sent => Some(Refusal::Legacy),
        None | Some(PolicyKey(0)) => Some(Refusal::NotProvisioned),
        Some(key) if provisioning.is_some_and(|state| state.is_final(key)) => due.map(Refusal::from),
        Some(_) => Some(Refusal::InvalidKey),
    }
}

impl From<Due> for Refusal {
    fn from(due: Due) -> Refusal {
        match due {
            Due::Never => Refusal::NotProvisioned,
            Due::Changed => Refusal::InvalidKey,
            Due::Refresh => Refusal::Refresh,
        }
    }
}
