//! What is known of one device of one mailbox: everything Exchange's `Get-ActiveSyncDeviceStatistics` shows, and what provisioning
//! and wiping need.

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::access::{AccessState, AccessWhy, DeviceAccess, Traits};
use super::provisioning::Provisioning;
use super::wipe::Wipe;
use crate::config::limits::NOTE_BYTES_MAX;
use crate::logic::eas::{DeviceId, DeviceInformation, DeviceType, Mailbox, Version};

/// A partnership. Facts come in through its methods; what they mean is decided elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partnership {
    /// Whose.
    pub mailbox: Mailbox,
    /// Which device (DeviceID).
    pub device_id: DeviceId,
    /// DeviceType, as the last request said.
    pub device_type: DeviceType,
    /// DeviceUserAgent: the last request's header; `None` before it had one.
    pub user_agent: Option<String>,
    /// What the device last spoke.
    pub version: Option<Version>,
    /// DeviceModel, DeviceIMEI, DeviceFriendlyName, DeviceOS, …; empty until the device describes itself.
    pub information: DeviceInformation,
    /// When it last did.
    pub information_at: Option<Timestamp>,
    /// FirstSyncTime: when it was first seen.
    pub first_sync_at: Timestamp,
    /// LastSyncAttemptTime: any request that is not refused for its credentials.
    pub last_attempt_at: Option<Timestamp>,
    /// LastSuccessSync: a Sync that brought a folder in step.
    pub last_success_at: Option<Timestamp>,
    /// LastSyncResponseStatus: what the last Sync was answered with, if it was not 1.
    pub last_sync_status: Option<u16>,
    /// LastPingHeartbeat, seconds.
    pub last_heartbeat_s: Option<u32>,
    /// NumberOfFoldersSynced.
    pub folders_synced: u32,
    /// Policy keys, the policy applied, and how far.
    pub provisioning: Provisioning,
    /// The last order to erase, standing or not.
    pub wipe: Option<Wipe>,
    /// When a recovery password was last stored; `None` if there is none. The password itself is the store's.
    pub recovery_password_at: Option<Timestamp>,
    /// What an administrator said of this very device.
    pub device_access: Option<DeviceAccess>,
    /// DeviceAccessState, as last decided.
    pub access_state: AccessState,
    /// DeviceAccessStateReason.
    pub access_why: AccessWhy,
}

/// What every request tells about its device.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// What it speaks now.
    pub version: Version,
    /// What kind it says it is.
    pub device_type: &'a DeviceType,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
}

impl Partnership {
    /// Of a device seen for the first time.
    pub fn new(mailbox: Mailbox, device_id: DeviceId, device_type: DeviceType, now: Timestamp) -> Self {
        Partnership {
            mailbox,
            device_id,
            device_type,
            user_agent: None,
            version: None,
            information: DeviceInformation::default(),
            information_at: None,
            first_sync_at: now,
            last_attempt_at: None,
            last_success_at: None,
            last_sync_status: None,
            last_heartbeat_s: None,
            folders_synced: 0,
            provisioning: Provisioning::default(),
            wipe: None,
            recovery_password_at: None,
            device_access: None,
            access_state: AccessState::Allowed,
            access_why: AccessWhy::Default,
        }
    }

    /// Identity, as Exchange writes it: `hew@example.org\AirSync-SmartPhone-abc123`.
    pub fn identity(&self) -> String {
        format!("{}\\AirSync-{}-{}", self.mailbox, self.device_type, self.device_id)
    }

    /// A request came. `true` if it told something new, other than the time.
    pub fn attempted(&mut self, attempt: &Attempt<'_>, now: Timestamp) -> bool {
        self.last_attempt_at = self.last_attempt_at.max(Some(now));
        let mut is_new = replace(&mut self.version, Some(attempt.version));
        if self.device_type != *attempt.device_type {
            self.device_type = attempt.device_type.clone();
            is_new = true;
        }
        if let Some(agent) = attempt.user_agent.filter(|agent| !agent.is_empty()) {
            is_new |= replace(&mut self.user_agent, Some(note(agent)));
        }
        is_new
    }

    /// A Sync was answered with this status; 1 (or an empty answer) is success.
    pub fn synced(&mut self, status: u16, now: Timestamp) {
        if status == 1 {
            self.last_success_at = self.last_success_at.max(Some(now));
            self.last_sync_status = None;
        } else {
            self.last_sync_status = Some(status);
        }
    }

    /// A Ping was held, or would have been, with this heartbeat.
    pub fn pinged(&mut self, heartbeat_s: u32) {
        self.last_heartbeat_s = Some(heartbeat_s);
    }

    /// So many folders take part.
    pub fn folders(&mut self, count: u32) {
        self.folders_synced = count;
    }

    /// The device described itself. It may send a part, which leaves the rest, or nothing, which deletes all.
    pub fn informed(&mut self, information: &DeviceInformation, now: Timestamp) {
        if *information == DeviceInformation::default() {
            self.information = DeviceInformation::default();
        } else {
            self.information.update(information);
        }
        self.information_at = Some(now);
    }

    /// A recovery password was stored, or (`false`) cleared.
    pub fn recovery_password(&mut self, is_stored: bool, now: Timestamp) {
        self.recovery_password_at = is_stored.then_some(now);
    }

    /// Whether it is to be erased as soon as it comes.
    pub fn wipe_stands(&self) -> bool {
        self.wipe.as_ref().is_some_and(Wipe::stands)
    }

    /// IsRemoteWipeSupported: a device that provisions can be told, and so can one that was.
    pub fn is_remote_wipe_supported(&self) -> bool {
        let was_told = self.wipe.as_ref().is_some_and(|wipe| wipe.sent_at.is_some());
        self.provisioning.applied.is_some() || self.provisioning.offer.is_some() || was_told
    }

    /// What access rules look at.
    pub fn traits(&self, now: Timestamp) -> Traits<'_> {
        let information = &self.information;
        Traits {
            device_type: self.device_type.as_str(),
            user_agent: self.user_agent.as_deref().or(information.user_agent.as_deref()),
            os: information.os.as_deref(),
            model: information.model.as_deref(),
            undescribed_s: self.information_at.is_none().then(|| now.since(self.first_sync_at)),
        }
    }
}

/// Sets; `true` if that changed anything.
fn replace<T: PartialEq>(slot: &mut T, value: T) -> bool {
    let is_new = *slot != value;
    *slot = value;
    is_new
}

/// A text of a peer as it is kept: printable, and cut.
fn note(text: &str) -> String {
    let mut kept = String::new();
    for character in text.chars().map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }) {
        if kept.len() + character.len_utf8() > NOTE_BYTES_MAX {
            break;
        }
        kept.push(character);
    }
    kept
}
