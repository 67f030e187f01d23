//! Devices that ask the same over and over (`logic::repeats`): counted as requests pass, slowed with 503, named once an episode.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use super::Gateway;
use super::exchange::{Answer, Eas, Exchange};
use super::own::retry_later;
use crate::config::limits::{BEGINNING_ROWS, PING_ROWS, REPEATING_DEVICES_MAX};
use crate::logic::eas::sync::SyncRequest;
use crate::logic::eas::{Command, DeviceId, Mailbox};
use crate::logic::policy::Timestamp;
use crate::logic::repeats::{Kind, PINGS_AGAIN_MAX, Pace, Repeats, Row, is_loop};
use crate::store;
use crate::telemetry::metrics::LOOPS_SLOWED_TOTAL;

/// How often those that are over are let go.
const SWEPT_EVERY_S: u64 = 60;

/// A device that is slowed down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looping {
    /// Whose.
    pub mailbox: Mailbox,
    /// Which.
    pub device_id: DeviceId,
    /// What it repeats.
    pub kind: Kind,
    /// Since when it gets nowhere; by the steady clock until it is shown.
    pub since: Timestamp,
    /// How often it asked since then.
    pub count: u32,
}

/// See the module.
pub(super) struct Repeating {
    /// Pings in a row. A device shares its place with others, which costs a row at worst.
    pings: Box<[AtomicU64]>,
    /// Beginnings in a row, by device and what begins, shared as well.
    beginnings: Box<[AtomicU64]>,
    hasher: RandomState,
    all: Mutex<All>,
    /// Devices slowed: only when there are some is it looked which.
    slowed: AtomicUsize,
}

/// Of one Sync, so many folders are counted: the others of a device that loops are in the same Syncs.
const FOLDERS_MAX: usize = 64;

#[derive(Default)]
struct All {
    of: HashMap<(Mailbox, DeviceId), Repeats>,
    swept_at: Timestamp,
}

impl Repeating {
    pub(super) fn new() -> Self {
        let rows = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Repeating {
            pings: rows(PING_ROWS),
            beginnings: rows(BEGINNING_ROWS),
            hasher: RandomState::new(),
            all: Mutex::default(),
            slowed: AtomicUsize::new(0),
        }
    }

    /// The place of what is hashed, and what it is called there.
    fn row<'a>(&self, rows: &'a [AtomicU64], whose: impl Hash) -> (&'a AtomicU64, u32) {
        let hash = self.hasher.hash_one(whose);
        (&rows[hash as usize % rows.len()], (hash >> 32) as u32)
    }

    fn ping(&self, device: (&Mailbox, &DeviceId), now: Timestamp) -> Pace {
        let (row, name) = self.row(&self.pings, device);
        // Two Pings of one device at the same moment count as one: no matter.
        let (next, in_row) = Row(row.load(Ordering::Relaxed)).ping(name, now.0);
        row.store(next.0, Ordering::Relaxed);
        if in_row <= PINGS_AGAIN_MAX && self.slowed.load(Ordering::Relaxed) == 0 {
            return Pace::Go;
        }
        self.step(device, Kind::Pings, in_row, now, now)
    }

    /// It begins anew with these; the longest row counts.
    fn begin(&self, device: (&Mailbox, &DeviceId), kind: Kind, whats: impl Iterator<Item = impl Hash>, now: Timestamp) -> Pace {
        let counts = whats.map(|what| {
            let (row, name) = self.row(&self.beginnings, (device, kind, what));
            let (next, count, lasts_s) = Row(row.load(Ordering::Relaxed)).begin(name, now.0);
            row.store(next.0, Ordering::Relaxed);
            (count, lasts_s)
        });
        let Some((count, lasts_s)) = counts.max() else { return Pace::Go };
        if !is_loop(kind, count) && self.slowed.load(Ordering::Relaxed) == 0 {
            return Pace::Go;
        }
        self.step(device, kind, count, Timestamp(now.0.saturating_sub(lasts_s)), now)
    }

    /// It did something else than ping.
    fn other(&self, device: (&Mailbox, &DeviceId)) {
        let (row, name) = self.row(&self.pings, device);
        let before = row.load(Ordering::Relaxed);
        if Row(before).other(name).0 != before {
            row.store(0, Ordering::Relaxed);
        }
    }

    /// One of so many in a row. Where there is no room, a device is not slowed.
    fn step(&self, (mailbox, device_id): (&Mailbox, &DeviceId), kind: Kind, in_row: u32, since: Timestamp, now: Timestamp) -> Pace {
        let mut all = self.lock();
        if now.since(all.swept_at) >= SWEPT_EVERY_S {
            all.swept_at = now;
            all.of.retain(|_, repeats| !repeats.is_over(now));
        }
        let key = (mailbox.clone(), device_id.clone());
        let has_room = all.of.len() < REPEATING_DEVICES_MAX;
        let pace = match all.of.get_mut(&key) {
            Some(repeats) => repeats.step(kind, in_row, since, now),
            None if has_room && is_loop(kind, in_row) => all.of.entry(key).or_default().step(kind, in_row, since, now),
            None => Pace::Go,
        };
        self.slowed.store(all.of.len(), Ordering::Relaxed);
        pace
    }

    fn list(&self, now: Timestamp) -> Vec<Looping> {
        let all = self.lock();
        let slowed = all.of.iter().filter_map(|((mailbox, device_id), repeats)| {
            let slowed = repeats.slowed(now)?;
            let (kind, since, count) = (slowed.kind, slowed.since, slowed.count);
            Some(Looping { mailbox: mailbox.clone(), device_id: device_id.clone(), kind, since, count })
        });
        slowed.collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        // Nothing is done under this lock that could panic half-way.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device is slowed from now on.
pub(super) fn warn(mailbox: &Mailbox, device: &DeviceId, kind: Kind) {
    tracing::warn!(%mailbox, %device, kind = kind.name(), "a device asks the same over and over and is slowed. {}", kind.advice());
}

impl Gateway {
    /// Devices that ask the same over and over and get nowhere, the worst first.
    pub fn looping(&self) -> Vec<Looping> {
        let mut looping = self.repeating.list(store::steady());
        looping.extend(self.gate.iter().flat_map(super::gate::Gate::looping));
        looping.iter_mut().for_each(|looping| looping.since = store::shown(looping.since));
        looping.sort_by_key(|looping| std::cmp::Reverse(looping.count));
        looping
    }

    /// Devices that their mailbox has no room for, the last that tried first.
    pub fn turned_away(&self) -> Vec<super::gate::TurnedAway> {
        self.gate.as_ref().map_or_else(Vec::new, super::gate::Gate::turned_away)
    }
}

impl Exchange {
    /// A Ping with good credentials: the answer that slows it, if it repeats itself.
    pub(super) fn slow_ping(&self, eas: &Eas) -> Option<Answer> {
        let device = (eas.mailbox.as_ref()?, &eas.request.device_id);
        self.slowed(device, self.gateway.repeating.ping(device, store::steady()))
    }

    /// Any other command passes. Its row of Pings ends.
    pub(super) fn note_other(&self, eas: &Eas) {
        if let Some(mailbox) = eas.mailbox.as_ref().filter(|_| eas.request.command != Command::Ping) {
            self.gateway.repeating.other((mailbox, &eas.request.device_id));
        }
    }

    /// A FolderSync with this key: the answer that slows it, if it begins anew for ever.
    pub(super) fn slow_folder_sync(&self, eas: &Eas, sync_key: &str) -> Option<Answer> {
        let device = (eas.mailbox.as_ref()?, &eas.request.device_id);
        let is_beginning = sync_key == "0" && self.is_known(eas);
        let begin = || self.gateway.repeating.begin(device, Kind::FolderSyncs, std::iter::once(()), store::steady());
        is_beginning.then(|| self.slowed(device, begin()))?
    }

    /// A Sync: the answer that slows it, if it begins anew for ever.
    pub(super) fn slow_sync(&self, eas: &Eas, request: &SyncRequest) -> Option<Answer> {
        let device = (eas.mailbox.as_ref()?, &eas.request.device_id);
        let beginnings = request.collections.iter().filter(|collection| collection.sync_key == "0");
        let folders = beginnings.filter_map(|collection| collection.id.as_ref()).take(FOLDERS_MAX);
        // A look at the store only for those that begin anything.
        let is_beginning = folders.clone().next().is_some() && self.is_known(eas);
        is_beginning.then(|| self.slowed(device, self.gateway.repeating.begin(device, Kind::Syncs, folders, store::steady())))?
    }

    fn slowed(&self, (mailbox, device): (&Mailbox, &DeviceId), pace: Pace) -> Option<Answer> {
        let Pace::Slow { kind, retry_after_s, is_news } = pace else { return None };
        if is_news {
            warn(mailbox, device, kind);
        }
        metrics::counter!(LOOPS_SLOWED_TOTAL.name, "kind" => kind.name()).increment(1);
        Some(retry_later(StatusCode::SERVICE_UNAVAILABLE, retry_after_s))
    }
}
