//! What the store's threads and its callers share.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::hmac;
use tokio::sync::Semaphore;

use super::alarms::Alarms;
use super::gate::GateMap;
use super::key::SealingKey;
use super::news::Newsroom;
use super::pending::Inbox;
use super::snapshot::Snapshot;

/// One of everything.
pub(super) struct Shared {
    pub(super) inbox: Inbox,
    pub(super) gate: GateMap,
    pub(super) alarms: Alarms,
    pub(super) newsroom: Newsroom,
    pub(super) snapshot: ArcSwap<Snapshot>,
    pub(super) key: SealingKey,
    pub(super) connected: AtomicBool,
    /// The last transaction went through; false: the database answers and takes nothing (a full disk).
    pub(super) takes_writes: AtomicBool,
    pub(super) flush: Duration,
    /// `None`: for ever.
    pub(super) audit_keep: Option<Duration>,
    /// Tokens proved right once, by id: a keyed hash of each, so that only the first use costs the slow one.
    pub(super) proved: Mutex<HashMap<String, hmac::Tag>>,
    pub(super) proving_key: hmac::Key,
    /// The slow hash takes memory and a core; strangers may not have many of either.
    pub(super) proving: Semaphore,
}
