//! Devices: `/v1/devices`. One device is `/v1/devices/{mailbox}/{device}`: a device that has two mailboxes has two partnerships.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::etag::Tagged;
use super::input::{Json, Path, Query};
use super::page::{self, Page};
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::admin::view::{LoopView, ShieldView, Trouble};
use crate::config::limits::LISTED_MAX;
use crate::logic::eas::{DeviceId, DeviceInformation, Mailbox};
use crate::logic::policy::access::{Access, AccessState};
use crate::logic::policy::wipe::{Wipe, WipeKind, WipeState};
use crate::logic::policy::{Partnership, PolicyName, Timestamp};
use crate::store::{DeviceFilter, Stored};

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
    /// NumberOfFoldersSynced.
    pub(crate) folders_synced: u32,
    /// DeviceAccessState.
    #[schemars(extend("enum" = ["allowed", "blocked", "quarantined", "discovery"]))]
    pub(crate) access_state: String,
    /// DeviceAccessStateReason, a sentence's worth.
    pub(crate) access_why: String,
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
    /// How far it has come.
    #[schemars(extend("enum" = ["requested", "sent", "acknowledged", "failed", "cancelled"]))]
    pub(crate) state: String,
    /// DeviceWipeRequestTime.
    #[schemars(schema_with = "super::shape::time")]
    pub(crate) requested_at: Timestamp,
    /// LastDeviceWipeRequestor.
    pub(crate) requested_by: String,
    /// DeviceWipeSentTime.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) sent_at: Option<Timestamp>,
    /// DeviceWipeAckTime.
    #[schemars(schema_with = "super::shape::some_time")]
    pub(crate) acknowledged_at: Option<Timestamp>,
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

/// Which devices to list; every parameter narrows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DevicesQuery {
    /// Of this mailbox.
    mailbox: Option<String>,
    /// With this device id, in any mailbox.
    device: Option<String>,
    /// In this access state.
    #[schemars(with = "Option<StateWord>")]
    access: Option<AccessState>,
    /// Whose last order to erase came so far.
    #[schemars(with = "Option<WipeStateWord>")]
    wipe: Option<WipeState>,
    /// That acknowledged this policy last.
    policy: Option<String>,
    /// Not seen since this time, such as 2026-11-22T20:23:13Z.
    last_seen_before: Option<String>,
    /// With this in mailbox, id, type, user agent or description, in any case; * is any text.
    #[schemars(length(max = 255))]
    search: Option<String>,
    /// That ask the same over and over (true), as the asked process sees it; false is as if it were left out.
    looping: Option<bool>,
    /// What the page before gave as `next`.
    after: Option<String>,
    /// At most so many.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

/// What is said of this very device.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceChange {
    /// Null leaves it to the mailbox and the rules.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(schema_with = "super::shape::some_access")]
    access: Option<Access>,
}

/// An order to erase.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WipeOrder {
    /// The whole device, or (from protocol version 16.1) only this account on it.
    #[schemars(with = "WipeKindWord")]
    kind: WipeKind,
}

/// A recovery password.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct RecoveryPasswordView {
    /// As the device stored it.
    pub(crate) recovery_password: String,
}

/// The words of [`AccessState`].
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
#[expect(dead_code, reason = "a shape")]
enum StateWord {
    Allowed,
    Blocked,
    Quarantined,
    Discovery,
}

/// The words of [`WipeState`].
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
#[expect(dead_code, reason = "a shape")]
enum WipeStateWord {
    Requested,
    Sent,
    Acknowledged,
    Failed,
    Cancelled,
}

/// The words of [`WipeKind`].
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
#[expect(dead_code, reason = "a shape")]
enum WipeKindWord {
    Device,
    AccountOnly,
}

type Place = Path<(String, String)>;

pub(super) async fn list(
    State(internal): State<Arc<Internal>>,
    Query(query): Query<DevicesQuery>,
) -> Result<axum::Json<Page<DeviceView>>, Problem> {
    let (limit, after) = (page::limit(query.limit)?, page::number(query.after.as_deref())?);
    let filter = filter(&internal, query)?;
    let found = internal.store.devices(filter, after.unwrap_or(0), limit).await?;
    let troubles = Troubles::of(&internal, None);
    Ok(axum::Json(Page {
        items: found.devices.iter().map(|stored| view(stored, &troubles)).collect(),
        next: found.next.map(|next| next.to_string()),
    }))
}

pub(super) async fn show(State(internal): State<Arc<Internal>>, place: Place) -> Result<Tagged<DeviceView>, Problem> {
    let (mailbox, device_id) = meant(&internal, &place)?;
    let stored = internal.store.device(&mailbox, &device_id).await?;
    let shown = stored.as_ref().map(|stored| tagged(&internal, stored)).ok_or_else(|| Problem::missing(&format!("device {device_id} of {mailbox}")));
    shown
}

/// Devices that are kept from the backend for now, known or not.
pub(super) async fn troubles(State(internal): State<Arc<Internal>>) -> axum::Json<Vec<Trouble>> {
    let mut troubles = internal.view.troubles(None);
    troubles.truncate(LISTED_MAX);
    axum::Json(troubles)
}

pub(super) async fn change(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    place: Place,
    Json(change): Json<DeviceChange>,
) -> Result<Tagged<DeviceView>, Problem> {
    let (mailbox, device_id) = meant(&internal, &place)?;
    let stored = internal.store.set_device_access(&caller.by(), &mailbox, &device_id, change.access).await?;
    Ok(tagged(&internal, &stored))
}

pub(super) async fn wipe(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    place: Place,
    Json(order): Json<WipeOrder>,
) -> Result<Tagged<DeviceView>, Problem> {
    let (mailbox, device_id) = meant(&internal, &place)?;
    let stored = internal.store.order_wipe(&caller.by(), &mailbox, &device_id, order.kind).await?;
    Ok(tagged(&internal, &stored))
}

pub(super) async fn cancel_wipe(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    place: Place,
) -> Result<Tagged<DeviceView>, Problem> {
    let (mailbox, device_id) = meant(&internal, &place)?;
    let stored = internal.store.cancel_wipe(&caller.by(), &mailbox, &device_id).await?;
    Ok(tagged(&internal, &stored))
}

pub(super) async fn remove(State(internal): State<Arc<Internal>>, caller: Caller, place: Place) -> Result<StatusCode, Problem> {
    let (mailbox, device_id) = meant(&internal, &place)?;
    internal.store.remove_device(&caller.by(), &mailbox, &device_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn recovery_password(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    place: Place,
) -> Result<axum::Json<RecoveryPasswordView>, Problem> {
    let (mailbox, device_id) = meant(&internal, &place)?;
    let password = internal.store.show_recovery_password(&caller.by(), &mailbox, &device_id).await?;
    Ok(axum::Json(RecoveryPasswordView { recovery_password: password.as_str().to_owned() }))
}

fn filter(internal: &Internal, query: DevicesQuery) -> Result<DeviceFilter, Problem> {
    let bad_device = |error| Problem::bad_request(format!("The device is the id that the device sends; this one {error}."));
    let bad_policy = |error| Problem::bad_request(format!("The policy is a name: {error}."));
    Ok(DeviceFilter {
        mailbox: query.mailbox.map(|name| internal.mailbox(&name)).transpose()?,
        device_id: query.device.map(|id| DeviceId::new(id.as_bytes())).transpose().map_err(bad_device)?,
        access_state: query.access,
        wipe_state: query.wipe,
        policy: query.policy.map(|name| PolicyName::new(&name)).transpose().map_err(bad_policy)?,
        last_seen_before: page::time(query.last_seen_before.as_deref())?,
        search: page::search(query.search)?,
        among: query.looping.filter(|only| *only).map(|_| Troubles::of(internal, None).looping()),
    })
}

fn meant(internal: &Internal, Path((mailbox, device_id)): &Place) -> Result<(Mailbox, DeviceId), Problem> {
    let device_id = DeviceId::new(device_id.as_bytes()).map_err(|error| Problem::missing(&format!("such device: its id {error}")))?;
    Ok((internal.mailbox(mailbox)?, device_id))
}

/// What is kept from the backend for now, by mailbox and device.
struct Troubles(HashMap<(String, String), Vec<Trouble>>);

impl Troubles {
    fn of(internal: &Internal, device: Option<(&Mailbox, &DeviceId)>) -> Self {
        let mut by_device: HashMap<_, Vec<Trouble>> = HashMap::new();
        for trouble in internal.view.troubles(device) {
            if let (Some(mailbox), Some(device_id)) = (trouble.mailbox.clone(), trouble.device_id.clone()) {
                by_device.entry((mailbox, device_id)).or_default().push(trouble);
            }
        }
        Troubles(by_device)
    }

    /// Those that ask the same over and over.
    fn looping(self) -> Vec<(Mailbox, DeviceId)> {
        let looping = self.0.into_iter().filter(|(_, troubles)| troubles.iter().any(|trouble| trouble.looping.is_some()));
        // Written by a mailbox and a device id, and read as they were.
        looping.filter_map(|((mailbox, id), _)| Some((Mailbox::normalise(&mailbox, None, false)?, DeviceId::new(id.as_bytes()).ok()?))).collect()
    }
}

fn tagged(internal: &Internal, stored: &Stored) -> Tagged<DeviceView> {
    let Partnership { mailbox, device_id, .. } = &stored.partnership;
    Tagged(stored.revision, view(stored, &Troubles::of(internal, Some((mailbox, device_id)))))
}

fn view(stored: &Stored, troubles: &Troubles) -> DeviceView {
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
        policy: policy(p),
        wipe: p.wipe.as_ref().map(wipe_view),
        is_remote_wipe_supported: p.is_remote_wipe_supported(),
        recovery_password: p.recovery_password_at.map(|_| MASK.to_owned()),
        recovery_password_at: p.recovery_password_at,
        information: information(&p.information),
        shields: troubles.iter().filter_map(|trouble| trouble.shield.clone()).collect(),
        loops: troubles.iter().filter_map(|trouble| trouble.looping.clone()).collect(),
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
        requested_at: wipe.requested_at,
        requested_by: wipe.requested_by.clone(),
        sent_at: wipe.sent_at,
        acknowledged_at: wipe.acknowledged_at,
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
