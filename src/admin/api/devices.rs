//! Devices: `/v1/devices`. One device is `/v1/devices/{mailbox}/{device}`: a device that has two mailboxes has two partnerships.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::caller::Caller;
pub(crate) use super::device_view::{DeviceView, WipeView};
use super::device_view::{Troubles, view};
use super::etag::{IfMatch, Tagged};
use super::input::{Json, Path, Query};
use super::page::{self, Page};
use crate::admin::problem::Problem;
use crate::admin::router::Internal;
use crate::admin::view::{PingFilter, Trouble};
use crate::config::limits::LISTED_MAX;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::access::{Access, AccessState};
use crate::logic::policy::wipe::{WipeKind, WipeState};
use crate::logic::policy::{Partnership, PolicyName};
use crate::store::{DeviceFilter, Removal, Stored};

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

/// What may go with a partnership.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RemoveQuery {
    /// A standing order to erase the device may be forgotten; without this it keeps the partnership from being removed.
    forget_wipe: Option<bool>,
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
    let mut shown = stored
        .as_ref()
        .map(|stored| tagged(&internal, stored))
        .ok_or_else(|| Problem::missing(&format!("device {device_id} of {mailbox}")))?;
    let filter = PingFilter { mailbox: Some(mailbox), device: Some(device_id), limit: 1 };
    shown.1.waiting = internal.view.pings(filter).await.pop();
    Ok(shown)
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
    if_match: IfMatch,
    Json(change): Json<DeviceChange>,
) -> Result<Tagged<DeviceView>, Problem> {
    let (mailbox, device_id) = meant(&internal, &place)?;
    let stored = internal.store.set_device_access(&caller.by(), &mailbox, &device_id, change.access, if_match.given()).await?;
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

pub(super) async fn remove(
    State(internal): State<Arc<Internal>>,
    caller: Caller,
    place: Place,
    Query(query): Query<RemoveQuery>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let (mailbox, device_id) = meant(&internal, &place)?;
    let removal = Removal { forget_wipe: query.forget_wipe.unwrap_or(false), read_revision: if_match.given() };
    internal.store.remove_device(&caller.by(), &mailbox, &device_id, removal).await?;
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

fn tagged(internal: &Internal, stored: &Stored) -> Tagged<DeviceView> {
    let Partnership { mailbox, device_id, .. } = &stored.partnership;
    Tagged(stored.revision, view(stored, &Troubles::of(internal, Some((mailbox, device_id)))))
}
