//! What the gateway shows of itself, as it goes over the wire.

use std::future::Future;
use std::pin::Pin;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::Timestamp;

/// A future behind a pointer, so that the trait can be an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The gateway, seen from the internal address.
pub trait GatewayView: Send + Sync + 'static {
    /// Counters and gauges of this moment; answers at once.
    fn status(&self) -> Status;
    /// Sets the gauges that `/metrics` is about to show.
    fn refresh_gauges(&self);
    /// Held Pings that match, at most `filter.limit`; asks the lots.
    fn pings(&self, filter: PingFilter) -> BoxFuture<'_, Vec<HeldPing>>;
    /// Devices that are kept from the backend for now: that one of that mailbox, or all of them.
    fn troubles(&self, of: Option<(&Mailbox, &DeviceId)>) -> Vec<Trouble>;
    /// Whether a balancer should send devices here.
    fn ready(&self) -> Readiness;
}

/// `GET /v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Pings held now, hanging Syncs included.
    pub held: usize,
    /// Those of them that are hanging Syncs.
    #[serde(default)]
    pub held_syncs: usize,
    /// Connections parked between two requests.
    pub parked_idle: usize,
    /// Device connections open now.
    pub connections: usize,
    /// Pings woken since the start.
    pub wakes_total: u64,
    /// Pings woken a second, lately.
    pub wakes_per_s: f64,
    /// Notification in → answer written, median; absent until something was woken.
    pub wake_p50_ms: Option<f64>,
    /// The same, 99th percentile.
    pub wake_p99_ms: Option<f64>,
    /// Requests sent to backends since the start.
    pub backend_requests_total: u64,
    /// Checks under way.
    pub checks_running: usize,
    /// Checks that wait their turn.
    pub checks_waiting: usize,
    /// Held Pings of which it cannot be said that nothing changed: under a check, or waiting for one or for a turn to Sync.
    #[serde(default)]
    pub in_doubt: usize,
    /// Changes taken from sources since the start.
    pub notifications_total: u64,
    /// One entry a lot.
    pub lots: Vec<LotStatus>,
    /// One entry a configured source that calls in.
    #[serde(default)]
    pub sources: Vec<SourceStatus>,
    /// One entry a class.
    #[serde(default)]
    pub classes: Vec<ClassStatus>,
    /// The directory that groups are read from; null: there is none.
    #[serde(default)]
    pub directory: Option<DirectoryStatus>,
}

/// The directory in [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DirectoryStatus {
    /// The last reading that counted.
    #[schemars(schema_with = "super::api::shape::some_time")]
    pub read_at: Option<Timestamp>,
    /// Since when readings fail; null: the last one counted.
    #[schemars(schema_with = "super::api::shape::some_time")]
    pub failing_since: Option<Timestamp>,
    /// Why the last one failed.
    pub error: Option<String>,
    /// Groups found by the last reading that counted.
    pub groups: usize,
    /// Members of all of them together.
    pub mailboxes: usize,
    /// Members that are neither a person with a mailbox nor a group.
    pub strangers: usize,
    /// Groups that could not be taken: no usable name, a name twice, or one that a group made by hand has.
    pub skipped: Vec<String>,
}

/// A device that is kept from the backend for now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// Whose, as far as its credentials say.
    pub mailbox: Option<String>,
    /// Which, if it said.
    pub device_id: Option<String>,
    /// It repeats a password that the backend has just rejected.
    #[serde(default)]
    pub shield: Option<ShieldView>,
    /// It asks the same over and over.
    #[serde(default, rename = "loop")]
    pub looping: Option<LoopView>,
    /// Its mailbox has as many devices as it may.
    #[serde(default)]
    pub turned_away: Option<TurnedAwayView>,
}

/// A device that its mailbox has no room for: it has no partnership.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TurnedAway")]
pub struct TurnedAwayView {
    /// What it says it is.
    pub device_type: String,
    /// Since when it tries.
    #[schemars(schema_with = "super::api::shape::time")]
    pub since: Timestamp,
    /// When it last did; a day later it is forgotten.
    #[schemars(schema_with = "super::api::shape::time")]
    pub last_at: Timestamp,
    /// How often.
    pub count: u32,
}

/// A password that the backend rejected, and that is answered 401 here when the same device repeats it. Another password passes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShieldView {
    /// When the backend rejected it first.
    #[schemars(schema_with = "super::api::shape::time")]
    pub since: Timestamp,
    /// When the backend is asked about it again.
    #[schemars(schema_with = "super::api::shape::time")]
    pub until: Timestamp,
    /// How often the backend rejected it.
    pub rejected: u32,
    /// How often it was answered here instead.
    pub spared: u64,
}

/// Something a device asks over and over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoopView {
    /// What.
    #[schemars(extend("enum" = ["pings", "folder_syncs", "syncs", "provisioning"]))]
    pub kind: String,
    /// Since when.
    #[schemars(schema_with = "super::api::shape::time")]
    pub since: Timestamp,
    /// How often since then.
    pub count: u32,
    /// What it is, and what to do about it.
    pub advice: String,
}

/// One source in [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceStatus {
    /// Its name, as in `notifications_total`.
    pub source: String,
    /// Its reports are taken for complete.
    pub believed: bool,
    /// That has been so for so many seconds.
    pub since_s: u64,
    /// Seconds since it last reported anything; absent when it never did.
    pub heard_s: Option<u64>,
    /// What became of its last canary: `awaited`, `in_time`, `missing` or `undeliverable`; absent when it has none.
    pub canary: Option<String>,
    /// Milliseconds from handing the last canary to the mail server to its notification.
    pub feed_ms: Option<f64>,
    /// Times it was believed anew after a gap, since the start.
    pub epochs: u64,
}

/// One class in [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassStatus {
    /// The protocol's name.
    pub class: String,
    /// Believed sources that report it.
    pub pushed_by: Vec<String>,
    /// Without such a source: the backend is asked every so many seconds.
    pub polled_every_s: Option<u64>,
}

/// One lot in [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LotStatus {
    /// Index of the lot.
    pub lot: usize,
    /// Pings held.
    pub held: usize,
    /// Connections parked between two requests.
    pub idle: usize,
    /// Devices remembered.
    pub devices: usize,
    /// Mailboxes remembered.
    pub mailboxes: usize,
    /// Notes waiting in the inbox.
    pub inbox: usize,
    /// Pings woken since the start.
    pub wakes_total: u64,
}

/// Which held Pings to list.
#[derive(Debug, Clone, PartialEq)]
pub struct PingFilter {
    /// Only of this mailbox.
    pub mailbox: Option<Mailbox>,
    /// Only of the device with this id.
    pub device: Option<DeviceId>,
    /// At most so many.
    pub limit: usize,
}

/// One held Ping, or hanging Sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldPing {
    /// Whose.
    pub mailbox: String,
    /// Device id as the device sends it.
    pub device_id: String,
    /// Device type as the device sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// What is held: `Ping`, or `Sync` for a hanging one.
    #[serde(default)]
    pub kind: String,
    /// Heartbeat, seconds; of a Sync, its wait.
    pub heartbeat_s: u32,
    /// Held for so many seconds.
    pub held_s: u32,
    /// Ids of the folders it watches.
    pub folders: Vec<String>,
    /// Address and port of the device's side.
    pub address: String,
    /// What it waits for: `parked`, `checking`, ….
    pub phase: String,
}

/// `GET /v1/pings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldPings {
    /// The Pings, in no order.
    pub pings: Vec<HeldPing>,
    /// There are more than the limit allows to list.
    pub more: bool,
}

/// `GET /readyz`: 200 when ready, 503 when not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Send devices here.
    pub ready: bool,
    /// One sentence a reason. Shown without a token: nothing secret.
    pub details: Vec<String>,
}

/// `POST /v1/notifications`: 202.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// Entries the sender is done with, repeats included.
    pub accepted: usize,
    /// Of these, repeats of an `id` seen shortly before.
    pub repeated: usize,
    /// Held Pings that are woken; `null` when the lots had not said so in time.
    pub woken: Option<usize>,
}
