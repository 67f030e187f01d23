//! What a lot is told and what it says.

use std::time::Duration;

use crate::logic::decide::{PingBounds, PingRefusal};
use crate::logic::eas::ping::PingRequest;
use crate::logic::eas::{DeviceId, FolderId, Mailbox};
use crate::logic::hold::folders::Coverage;
use crate::logic::hold::guards::Guards;
use crate::logic::hold::registry::DeviceIndex;
use crate::logic::hold::{Moment, SlotKey};

/// How doubt about a held Ping is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    /// Answer Status 2: the device Syncs once and is in step from then on.
    Sync,
    /// Ask the backend with its shortest Ping.
    Check,
}

/// What a lot must know of the configuration; durations and counts are this lot's share.
#[derive(Debug, Clone, Copy)]
pub struct LotOptions {
    /// Bounds of a Ping.
    pub ping: PingBounds,
    /// What the sources report.
    pub coverage: Coverage,
    /// How doubt is cleared.
    pub resolve: Resolve,
    /// Time between two devices told to Sync because of doubt.
    pub resolve_gap: Duration,
    /// How long a connection may stay between two requests.
    pub idle: Duration,
    /// Devices remembered.
    pub devices_max: usize,
    /// When an unseen device is forgotten.
    pub device_forget: Duration,
    /// All on, but in the simulation.
    #[doc(hidden)]
    pub guards: Guards,
}

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldKind {
    /// A Ping: what it brings is remembered for Pings that leave it out.
    Ping,
    /// A hanging Sync. The shell asks the backend again by itself, so that a check is always possible.
    Sync,
}

/// A Ping that wants to be held, with its connection.
#[derive(Debug)]
pub struct Offer<C> {
    /// Whose.
    pub mailbox: Mailbox,
    /// Keyed hash of the mailbox name.
    pub hash: u64,
    /// Which device.
    pub device: DeviceId,
    /// What it asks for; of a hanging Sync, the same in a Ping's words.
    pub ping: PingRequest,
    /// What is held.
    pub kind: HoldKind,
    /// When its head arrived: the heartbeat counts from here.
    pub received: Moment,
    /// Where to answer.
    pub connection: C,
}

/// How a hold ends, or why a Ping is not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The heartbeat is over (Status 1).
    Expired,
    /// Watched folders changed (Status 2).
    Changed(Vec<FolderId>),
    /// Refused: Status 3, 5 or 6.
    Refused(PingRefusal),
    /// The folder list changed, or the backend wants to speak to the device (Status 7).
    HierarchyChanged,
    /// The backend no longer accepts the credentials: the next request will tell (Status 1).
    VerdictLost,
    /// A newer Ping of the same device took over (Status 1).
    Replaced,
    /// The process leaves (Status 1, and the connection closes).
    Drained,
    /// No room (503 with Retry-After: devices repeat a Status 8 without delay).
    Overloaded,
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write the answer; the slot is idle from now on.
    Answer {
        /// Whose.
        slot: SlotKey,
        /// The device, if it is known: see [`super::Lot::device_at`].
        device: Option<DeviceIndex>,
        /// What.
        outcome: Outcome,
        /// When the change that caused it was received.
        cause: Option<Moment>,
        /// How long it was held.
        held: Duration,
    },
    /// A Ping is held; checks will never be needed unless `needs_checks`.
    Held {
        /// Whose.
        slot: SlotKey,
        /// Seconds.
        heartbeat_s: u32,
        /// A check may be asked for while it is held.
        needs_checks: bool,
    },
    /// The check of this slot no longer matters.
    CancelCheck {
        /// Whose.
        slot: SlotKey,
    },
    /// The connection is to be closed: take it with `release`.
    Close {
        /// Whose.
        slot: SlotKey,
    },
}

/// A held Ping, for people to look at.
#[derive(Debug, Clone)]
pub struct HeldView {
    /// Slot it is in.
    pub slot: SlotKey,
    /// Whose mailbox.
    pub mailbox: Mailbox,
    /// Which device.
    pub device: DeviceId,
    /// A Ping or a hanging Sync.
    pub kind: HoldKind,
    /// Seconds asked for.
    pub heartbeat_s: u32,
    /// How long held so far.
    pub held: Duration,
    /// Ids watched.
    pub folders: Vec<FolderId>,
    /// It cannot be said that nothing changed; a check or a Sync is to clear that.
    pub is_in_doubt: bool,
}
