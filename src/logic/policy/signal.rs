//! A refusal → what the device is told, by version and command (MS-ASCMD 2.2.2, MS-ASHTTP 3.1.5.2.3).
//!
//! From 14.0 a status in the command's own root element, before it an HTTP code; and never a policy status inside a Ping, on which
//! devices stop pushing: Ping Status 7 sends them to FolderSync, which says the rest.

use super::wipe::WipeKind;
use crate::logic::eas::{Command, PingAnswer, PolicyKey, Version, status};

/// Why a request is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// 126: ActiveSync is off for the mailbox.
    UserDisabled,
    /// 129: this device may not sync.
    Blocked,
    /// 129 as well: not until somebody decides.
    Quarantined,
    /// 111: not yet; the device has to describe itself.
    Discovery,
    /// 177: the mailbox has too many partnerships.
    TooManyDevices,
    /// 140: it is to be erased.
    Wipe(WipeKind),
    /// 139: it cannot apply the whole policy, and must.
    NotFullyProvisionable,
    /// 141: it never sent a policy key, and must.
    Legacy,
    /// 142: it has no policy yet.
    NotProvisioned,
    /// 143: it is time to fetch the policy again.
    Refresh,
    /// 144: its key is not that of the present policy.
    InvalidKey,
    /// 145: someone else manages it.
    ExternallyManaged,
    /// 165: Provision has to describe the device (14.1 and later).
    InformationRequired,
    /// 111: it asks the same thing over and over.
    SlowDown {
        /// Seconds until it may try again.
        retry_after_s: u32,
    },
}

/// What the device is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// HTTP status.
    pub http: u16,
    /// WBXML; empty with HTTP codes other than 200.
    pub body: Vec<u8>,
    /// `Retry-After`, seconds.
    pub retry_after_s: Option<u32>,
}

/// "Provision first", for versions before 14.0, and for later devices that do not understand the statuses.
const NEED_PROVISIONING: u16 = 449;
/// How long a device that has to describe itself may wait before it tries again.
const DISCOVERY_RETRY_S: u32 = 60;

/// How to tell it. `prefers_449` is for devices that were told by status and did not provision: every one understands the old code.
pub fn signal(refusal: Refusal, command: Command, version: Version, policy_key: Option<PolicyKey>, prefers_449: bool) -> Signal {
    let retry_after_s = match refusal {
        Refusal::SlowDown { retry_after_s } => Some(retry_after_s),
        Refusal::Discovery => Some(DISCOVERY_RETRY_S),
        _ => None,
    };
    let http = |http| Signal { http, body: Vec::new(), retry_after_s };
    let with_body = |body| Signal { http: 200, body, retry_after_s };
    if command == Command::Ping && refusal.is_cured_by_provision() {
        return with_body(PingAnswer::HierarchyChanged.encode());
    }
    let is_old = !version.has_common_statuses() || command == Command::Ping;
    let needs_503 = matches!(refusal, Refusal::SlowDown { .. });
    // Provision itself cannot be told to provision first.
    let says_449 = prefers_449 && refusal.is_cured_by_provision() && command != Command::Provision;
    if is_old || needs_503 || says_449 {
        return http(refusal.http(policy_key, says_449));
    }
    match status::answer(command, refusal.status()) {
        Some(body) => with_body(body),
        // Commands whose bodies are not WBXML.
        None => http(refusal.http(policy_key, false)),
    }
}

impl Refusal {
    /// The status of 14.0 and later.
    pub fn status(self) -> u16 {
        match self {
            Refusal::UserDisabled => status::USER_DISABLED_FOR_SYNC,
            Refusal::Blocked | Refusal::Quarantined => status::DEVICE_IS_BLOCKED_FOR_THIS_USER,
            Refusal::Discovery | Refusal::SlowDown { .. } => status::SERVER_ERROR_RETRY_LATER,
            Refusal::TooManyDevices => status::MAXIMUM_DEVICES_REACHED,
            Refusal::Wipe(_) => status::REMOTE_WIPE_REQUESTED,
            Refusal::NotFullyProvisionable => status::DEVICE_NOT_FULLY_PROVISIONABLE,
            Refusal::Legacy => status::LEGACY_DEVICE_ON_STRICT_POLICY,
            Refusal::NotProvisioned => status::DEVICE_NOT_PROVISIONED,
            Refusal::Refresh => status::POLICY_REFRESH,
            Refusal::InvalidKey => status::INVALID_POLICY_KEY,
            Refusal::ExternallyManaged => status::EXTERNALLY_MANAGED_DEVICES_NOT_ALLOWED,
            Refusal::InformationRequired => status::DEVICE_INFORMATION_REQUIRED,
        }
    }

    /// The HTTP code before 14.0. A wipe is 403 to a device that sends no key: it would not know what to do with a 449.
    fn http(self, policy_key: Option<PolicyKey>, is_449_wanted: bool) -> u16 {
        match self {
            Refusal::Wipe(_) if policy_key.is_none() && !is_449_wanted => 403,
            Refusal::Discovery | Refusal::SlowDown { .. } => 503,
            _ if self.is_cured_by_provision() => NEED_PROVISIONING,
            _ => 403,
        }
    }

    /// Whether a device that sends Provision gets any further.
    pub fn is_cured_by_provision(self) -> bool {
        match self {
            Refusal::Wipe(_)
            | Refusal::Legacy
            | Refusal::NotProvisioned
            | Refusal::Refresh
            | Refusal::InvalidKey
            | Refusal::InformationRequired => true,
            Refusal::UserDisabled
            | Refusal::Blocked
            | Refusal::Quarantined
            | Refusal::Discovery
            | Refusal::TooManyDevices
            | Refusal::NotFullyProvisionable
            | Refusal::ExternallyManaged
            | Refusal::SlowDown { .. } => false,
        }
    }

    /// Whether telling it is a step of a possible loop (`loops`). An order to erase is never slowed down.
    pub fn is_step(self) -> bool {
        self.is_cured_by_provision() && !matches!(self, Refusal::Wipe(_))
    }

    /// Label of metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Refusal::UserDisabled => "user_disabled",
            Refusal::Blocked => "blocked",
            Refusal::Quarantined => "quarantined",
            Refusal::Discovery => "discovery",
            Refusal::TooManyDevices => "too_many_devices",
            Refusal::Wipe(_) => "wipe",
            Refusal::NotFullyProvisionable => "not_fully_provisionable",
            Refusal::Legacy => "legacy",
            Refusal::NotProvisioned => "not_provisioned",
            Refusal::Refresh => "refresh",
            Refusal::InvalidKey => "invalid_key",
            Refusal::ExternallyManaged => "externally_managed",
            Refusal::InformationRequired => "information_required",
            Refusal::SlowDown { .. } => "slow_down",
        }
    }
}
