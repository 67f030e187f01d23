//! What a device has of its policy.

use serde::{Deserialize, Serialize};

use crate::logic::eas::{PolicyKey, Version};
use crate::logic::policy::document::DocumentHash;
use crate::logic::policy::{PolicyName, Prepared, Setting, Timestamp};

/// Policy keys, and what they stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provisioning {
    /// A policy that was sent and not acknowledged yet.
    pub offer: Option<Offer>,
    /// The policy that was acknowledged last.
    pub applied: Option<Applied>,
    /// What the device would have done with a policy that asks for more, since its last acknowledgement that was good.
    pub declined: Option<Application>,
    /// LastPolicyUpdateRequestTime: when the device last asked for a policy.
    pub asked_at: Option<Timestamp>,
    /// From 14.1: the device was told once to describe itself. It is not told twice; some never do.
    pub told_to_describe: bool,
}

/// A document sent, and the temporary key that it went with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The temporary key.
    pub key: PolicyKey,
    /// The document.
    #[serde(flatten)]
    pub document: Sent,
}

/// A document acknowledged, and the final key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The final key: what later requests must carry.
    pub key: PolicyKey,
    /// The temporary key that was acknowledged with it: an acknowledgement that comes twice is answered alike.
    pub temporary_key: PolicyKey,
    /// What the device says that it did.
    pub application: Application,
    /// The document; its time is that of the acknowledgement (LastPolicyUpdateTime).
    #[serde(flatten)]
    pub document: Sent,
}

/// Which document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// DevicePolicyApplied: the policy.
    pub policy: PolicyName,
    /// Its revision.
    pub revision: u64,
    /// The version it was written for.
    pub version: Version,
    /// What was written.
    pub hash: DocumentHash,
    /// When.
    pub at: Timestamp,
}

/// DevicePolicyApplicationStatus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Application {
    /// No policy has been acknowledged.
    #[default]
    Unknown,
    /// Refused by the device.
    NotApplied,
    /// Every setting.
    AppliedInFull,
    /// Some of them, the password at least.
    PartiallyApplied,
    /// Someone else manages the device.
    ExternallyManaged,
}

/// Why a device must fetch its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It never acknowledged one.
    Never,
    /// It has another, or may no longer get by with what it did.
    Changed,
    /// The refresh interval is over.
    Refresh,
}

impl Provisioning {
    /// DevicePolicyApplicationStatus.
    pub fn application(&self) -> Application {
        let applied = || self.applied.as_ref().map(|applied| applied.application);
        self.declined.or_else(applied).unwrap_or_default()
    }

    /// Why a device that speaks this version must fetch this policy now; `None` if it has it.
    ///
    /// A device that now speaks an older version than the one it was provisioned for keeps what it has, as long as that is current:
    /// one that speaks two versions in turns would otherwise be provisioned for ever.
    pub fn due(&self, policy: &Prepared, version: Version, now: Timestamp) -> Option<Due> {
        let Some(applied) = &self.applied else { return Some(Due::Never) };
        let document = &applied.document;
        let is_current = document.hash == policy.hash(version.max(document.version));
        if !is_current || !applied.application.is_enough(policy) {
            return Some(Due::Changed);
        }
        let interval_s = policy.policy().number(Setting::DevicePolicyRefreshInterval);
        let is_over = interval_s.is_some_and(|interval_s| now.since(document.at) >= u64::from(interval_s));
        is_over.then_some(Due::Refresh)
    }

    /// Whether this is the key that the device was finally given.
    pub fn is_final(&self, key: PolicyKey) -> bool {
        self.applied.as_ref().is_some_and(|applied| applied.key == key)
    }
}

impl Application {
    /// Whether a device that did this may sync under the policy.
    pub fn is_enough(self, policy: &Prepared) -> bool {
        match self {
            Application::AppliedInFull => true,
            Application::PartiallyApplied | Application::NotApplied | Application::Unknown => {
                policy.is_on(Setting::AllowNonProvisionableDevices)
            }
            Application::ExternallyManaged => policy.is_on(Setting::AllowExternalDeviceManagement),
        }
    }

    /// Exchange's word.
    pub fn name(self) -> &'static str {
        match self {
            Application::Unknown => "Unknown",
            Application::NotApplied => "NotApplied",
            Application::AppliedInFull => "AppliedInFull",
            Application::PartiallyApplied => "PartiallyApplied",
            Application::ExternallyManaged => "ExternallyManaged",
        }
    }
}
