//! What is shown of a device.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::admin::router::Internal;
use crate::admin::view::{HeldPing, LoopView, ShieldView, Trouble};
use crate::logic::eas::{DeviceId, DeviceInformation, Mailbox};
use crate::logic::policy::wipe::Wipe;
use crate::logic::policy::{Partnership, Timestamp};
use crate::store::Stored;

/// What is shown of a recovery password unless somebody asks for it alone.
const MASK: &str = "********";

/// A device of a mailbox: what `Get-ActiveSyncDeviceStatistics` shows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Device")]
pub(crate) struct DeviceView {
    /// As Exchange writes it: `hew@example.org\AirSync-SmartPhone-abc123`.
    pub(crate) identity: String,
    /// Whose.
    pub(crate) mailbox: String,
    /// DeviceID.
    pub(crate) device_id: String,
    /// DeviceType.
    pub(crate) device_type: String,
    /// DeviceUserAgent.
    pub(crate) user_agent: Option<String>,
    /// The protocol version it last spoke.
    pub(crate) version: Option<String>,
    /// FirstSyncTime.
    #[schemars(schema_with = "super::shape::time")]
    pub(crate) first_sync_at: Timestamp,
    /// LastSyncAttemptTime; some seconds late, as are the four below.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) last_attempt_at: Option<Timestamp>,
    /// LastSuccessSync.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) last_success_at: Option<Timestamp>,
    /// LastSyncResponseStatus, if it was not 1.
    pub(crate) last_sync_status: Option<u16>,
    /// LastPingHeartbeat, seconds.
    pub(crate) last_heartbeat_s: Option<u32>,
    /// NumberOfFoldersSynced, as the last Ping that named folders says; 0 before the first.
    pub(crate) folders_synced: u32,
    /// DeviceAccessState.
    #[schemars(extend("enum" = ["allowed", "blocked", "quarantined", "discovery"]))]
    pub(crate) access_state: String,
    /// DeviceAccessStateReason, a sentence's worth.
    pub(crate) access_why: String,
    /// What was said of this very device; null: nothing, its mailbox and the rules decide.
    #[serde(default)]
    #[schemars(schema_with = "super::shape::some_access")]
    pub(crate) own_access: Option<String>,
    /// The policy and how far it is applied.
    pub(crate) policy: PolicyState,
    /// The last order to erase, standing or not.
    pub(crate) wipe: Option<WipeView>,
    /// IsRemoteWipeSupported: it has shown that it provisions, so it can be told.
    pub(crate) is_remote_wipe_supported: bool,
    /// RecoveryPassword: asterisks if there is one.
    pub(crate) recovery_password: Option<String>,
    /// When the recovery password was stored.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) recovery_password_at: Option<Timestamp>,
    /// What it says of itself.
    pub(crate) information: InformationView,
    /// Passwords of it that the backend has just rejected, answered here until the backend is asked again.
    #[serde(default)]
    pub(crate) shields: Vec<ShieldView>,
    /// What it asks over and over, for which it is slowed.
    #[serde(default)]
    pub(crate) loops: Vec<LoopView>,
    /// What the asked process holds for it now: it is connected and waits. Null in lists, and if it holds nothing.
    #[serde(default)]
    pub(crate) waiting: Option<HeldPing>,
    /// One more with every change, other than what is merely seen; also the ETag.
    pub(crate) revision: u64,
}

/// What a device has of its policy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PolicyState {
    /// DevicePolicyApplied.
    pub(crate) applied: Option<String>,
    /// Its revision then.
    pub(crate) revision: Option<u64>,
    /// DevicePolicyApplicationStatus.
    #[schemars(extend("enum" = ["Unknown", "NotApplied", "AppliedInFull", "PartiallyApplied", "ExternallyManaged"]))]
    pub(crate) status: String,
    /// LastPolicyUpdateTime.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) updated_at: Option<Timestamp>,
    /// LastPolicyUpdateRequestTime.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) asked_at: Option<Timestamp>,
}

/// An order to erase.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Wipe")]
pub(crate) struct WipeView {
    /// What is erased.
    #[schemars(extend("enum" = ["device", "account_only"]))]
    pub(crate) kind: String,
    /// How far it has come. What the device acknowledged stays acknowledged when the order is taken back.
    #[schemars(extend("enum" = ["requested", "sent", "acknowledged", "failed", "cancelled"]))]
    pub(crate) state: String,
    /// The device is erased whenever it comes: the order was not taken back.
    #[serde(default)]
    pub(crate) stands: bool,
    /// DeviceWipeRequestTime.
    #[schemars(schema_with = "super::shape::time")]
    pub(crate) requested_at: Timestamp,
    /// LastDeviceWipeRequestor.
    pub(crate) requested_by: String,
    /// DeviceWipeSentTime: the first time.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) sent_at: Option<Timestamp>,
    /// When it was last told after that: it had not answered, could not, or came back.
    #[serde(default)]
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) sent_again_at: Option<Timestamp>,
    /// DeviceWipeAckTime.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) acknowledged_at: Option<Timestamp>,
    /// When it last acknowledged an order before this one.
    #[serde(default)]
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) acknowledged_before_at: Option<Timestamp>,
    /// The acknowledgement came with the user's credentials; without them, anybody who knows the device id may have sent it.
    pub(crate) acknowledged_with_credentials: bool,
    /// When the device last said that it could not.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) failed_at: Option<Timestamp>,
    /// When it was taken back.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) cancelled_at: Option<Timestamp>,
    /// By whom.
    pub(crate) cancelled_by: Option<String>,
}

/// What a device says of itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DeviceInformation")]
pub(crate) struct InformationView {
    /// DeviceFriendlyName.
    pub(crate) friendly_name: Option<String>,
    /// DeviceModel.
    pub(crate) model: Option<String>,
    /// DeviceIMEI.
    pub(crate) imei: Option<String>,
    /// DeviceOS.
    pub(crate) os: Option<String>,
    /// DeviceOSLanguage.
    pub(crate) os_language: Option<String>,
    /// DevicePhoneNumber.
    pub(crate) phone_number: Option<String>,
    /// DeviceMobileOperator.
    pub(crate) mobile_operator: Option<String>,
}

/// What is kept from the backend for now, by mailbox and device.
pub(super) struct Troubles(HashMap<(String, String), Vec<Trouble>>);

impl Troubles {
    pub(super) fn of(internal: &Internal, device: Option<(&Mailbox, &DeviceId)>) -> Self {
        let mut by_device: HashMap<_, Vec<Trouble>> = HashMap::new();
        for trouble in internal.view.troubles(device) {
            if let (Some(mailbox), Some(device_id)) = (trouble.mailbox.clone(), trouble.device_id.clone()) {
                by_device.entry((mailbox, device_id)).or_default().push(trouble);
            }
        }
        Troubles(by_device)
    }

    /// Those that ask the same over and over.
    pub(super) fn looping(self) -> Vec<(Mailbox, DeviceId)> {
        let looping = self.0.into_iter().filter(|(_, troubles)| troubles.iter().any(|trouble| trouble.looping.is_some()));
        // Written by a mailbox and a device id, and read as they were.
        looping
            .filter_map(|((mailbox, id), _)| Some((Mailbox::normalise(&mailbox, None, false)?, DeviceId::new(id.as_bytes()).ok()?)))
            .collect()
    }
}

pub(super) fn view(stored: &Stored, troubles: &Troubles) -> DeviceView {
    let p = &stored.partnership;
    let troubles: &[Trouble] = troubles.0.get(&(p.mailbox.to_string(), p.device_id.to_string())).map_or(&[], Vec::as_slice);
    DeviceView {
        identity: p.identity(),
        mailbox: p.mailbox.to_string(),
        device_id: p.device_id.to_string(),
        device_type: p.device_type.to_string(),
        user_agent: p.user_agent.clone(),
        version: p.version.map(|version| version.to_string()),
        first_sync_at: p.first_sync_at,
        last_attempt_at: p.last_attempt_at,
        last_success_at: p.last_success_at,
        last_sync_status: p.last_sync_status,
        last_heartbeat_s: p.last_heartbeat_s,
        folders_synced: p.folders_synced,
        access_state: p.access_state.name().to_owned(),
        access_why: p.access_why.to_string(),
        own_access: p.device_access.as_ref().map(|said| said.access.name().to_owned()),
        policy: policy(p),
        wipe: p.wipe.as_ref().map(wipe_view),
        is_remote_wipe_supported: p.is_remote_wipe_supported(),
        recovery_password: p.recovery_password_at.map(|_| MASK.to_owned()),
        recovery_password_at: p.recovery_password_at,
        information: information(&p.information),
        shields: troubles.iter().filter_map(|trouble| trouble.shield.clone()).collect(),
        loops: troubles.iter().filter_map(|trouble| trouble.looping.clone()).collect(),
        waiting: None,
        revision: stored.revision,
    }
}

fn policy(partnership: &Partnership) -> PolicyState {
    let applied = partnership.provisioning.applied.as_ref();
    PolicyState {
        applied: applied.map(|applied| applied.document.policy.as_str().to_owned()),
        revision: applied.map(|applied| applied.document.revision),
        status: partnership.provisioning.application().name().to_owned(),
        updated_at: applied.map(|applied| applied.document.at),
        asked_at: partnership.provisioning.asked_at,
    }
}

fn wipe_view(wipe: &Wipe) -> WipeView {
    WipeView {
        kind: wipe.kind.name().to_owned(),
        state: wipe.state.name().to_owned(),
        stands: wipe.stands(),
        requested_at: wipe.requested_at,
        requested_by: wipe.requested_by.clone(),
        sent_at: wipe.sent_at,
        sent_again_at: wipe.sent_again_at,
        acknowledged_at: wipe.acknowledged_at,
        acknowledged_before_at: wipe.acknowledged_before_at,
        acknowledged_with_credentials: wipe.acknowledged_with_credentials,
        failed_at: wipe.failed_at,
        cancelled_at: wipe.cancelled_at,
        cancelled_by: wipe.cancelled_by.clone(),
    }
}

fn information(of: &DeviceInformation) -> InformationView {
    InformationView {
        friendly_name: of.friendly_name.clone(),
        model: of.model.clone(),
        imei: of.imei.clone(),
        os: of.os.clone(),
        os_language: of.os_language.clone(),
        phone_number: of.phone_number.clone(),
        mobile_operator: of.mobile_operator.clone(),
    }
}
