//! What devices change in their partnership, as facts: applied to the record in memory at once, and to the database by the writer.

use std::net::IpAddr;

use crate::logic::eas::settings::RecoveryPassword;
use crate::logic::eas::{DeviceId, DeviceInformation, DeviceType, Mailbox, Version};
use crate::logic::policy::access::{AccessState, AccessWhy};
use crate::logic::policy::provisioning::{Fact, Outcome, Provisioning};
use crate::logic::policy::{Attempt, Partnership, Timestamp};

/// Something that must not be forgotten; see [`super::Store::record`].
#[derive(Debug, Clone)]
pub enum DeviceChange {
    /// It came for the first time, or tells other things about itself than before.
    Seen {
        /// What it speaks.
        version: Version,
        /// `User-Agent`.
        user_agent: Option<String>,
    },
    /// What was decided about it.
    Access {
        /// What.
        state: AccessState,
        /// Why.
        why: AccessWhy,
    },
    /// It described itself, in part, or with nothing at all, which deletes what was known.
    Informed(DeviceInformation),
    /// Keys were given or acknowledged.
    Provisioned(Provisioning),
    /// It got the order to erase.
    WipeSent {
        /// Its address.
        from: Option<IpAddr>,
    },
    /// It reports what became of the order.
    WipeReported {
        /// It erases itself, or could not.
        is_done: bool,
        /// Whether the report came with good credentials.
        with_credentials: bool,
        /// Its address.
        from: Option<IpAddr>,
    },
    /// Its recovery password; `None` deletes it.
    RecoveryPassword(Option<RecoveryPassword>),
}

/// Changes of one device that belong together.
#[derive(Debug, Clone)]
pub(super) struct DeviceWrite {
    pub(super) mailbox: Mailbox,
    pub(super) device_id: DeviceId,
    pub(super) device_type: DeviceType,
    pub(super) at: Timestamp,
    pub(super) changes: Vec<DeviceChange>,
}

impl DeviceChange {
    /// What a Provision exchange changed. `information` is what the request described, if it did; `with_credentials` as for
    /// [`DeviceChange::WipeReported`], `from` its address.
    pub fn of_provision(outcome: &Outcome, information: Option<&DeviceInformation>, with_credentials: bool, from: IpAddr) -> Vec<Self> {
        let from = Some(from);
        let mut changes = Vec::new();
        for fact in &outcome.facts {
            match fact {
                Fact::Informed => changes.extend(information.cloned().map(DeviceChange::Informed)),
                Fact::WipeSent(_) => changes.push(DeviceChange::WipeSent { from }),
                Fact::WipeAcknowledged(_) => changes.push(DeviceChange::WipeReported { is_done: true, with_credentials, from }),
                Fact::WipeFailed(_) => changes.push(DeviceChange::WipeReported { is_done: false, with_credentials, from }),
                Fact::ToldToDescribe
                | Fact::Offered { .. }
                | Fact::Acknowledged { .. }
                | Fact::NotProvisionable { .. }
                | Fact::WrongKey
                | Fact::WrongPolicyType => {}
            }
        }
        let is_about_policy = outcome.facts.iter().any(|fact| {
            matches!(
                fact,
                Fact::ToldToDescribe
                    | Fact::Offered { .. }
                    | Fact::Acknowledged { .. }
                    | Fact::NotProvisionable { .. }
                    | Fact::WipeAcknowledged(_)
            )
        });
        if is_about_policy {
            changes.push(DeviceChange::Provisioned(outcome.partnership.provisioning.clone()));
        }
        changes
    }

    /// What it makes of a partnership. The recovery password itself is the caller's.
    pub(super) fn apply(&self, partnership: &mut Partnership, device_type: &DeviceType, at: Timestamp) {
        match self {
            DeviceChange::Seen { version, user_agent } => {
                partnership.attempted(&Attempt { version: *version, device_type, user_agent: user_agent.as_deref() }, at);
            }
            DeviceChange::Access { state, why } => {
                partnership.access_state = *state;
                partnership.access_why = why.clone();
            }
            DeviceChange::Informed(information) => partnership.informed(information, at),
            DeviceChange::Provisioned(provisioning) => partnership.provisioning = provisioning.clone(),
            DeviceChange::WipeSent { .. } => {
                if let Some(wipe) = partnership.wipe.as_mut().filter(|wipe| wipe.stands()) {
                    wipe.sent(at);
                }
            }
            DeviceChange::WipeReported { is_done, with_credentials, .. } => {
                if let Some(wipe) = partnership.wipe.as_mut().filter(|wipe| wipe.may_be_reported()) {
                    wipe.reported(*is_done, *with_credentials, at);
                }
            }
            DeviceChange::RecoveryPassword(password) => partnership.recovery_password(password.is_some(), at),
        }
    }
}

impl DeviceWrite {
    /// A partnership that begins with these changes.
    pub(super) fn base(&self) -> Partnership {
        Partnership::new(self.mailbox.clone(), self.device_id.clone(), self.device_type.clone(), self.at)
    }

    /// The address from which it came, as far as that matters.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.changes.iter().find_map(|change| match change {
            DeviceChange::WipeSent { from } | DeviceChange::WipeReported { from, .. } => *from,
            _ => None,
        })
    }

    pub(super) fn apply(&self, partnership: &mut Partnership) {
        for change in &self.changes {
            change.apply(partnership, &self.device_type, self.at);
        }
    }
}
