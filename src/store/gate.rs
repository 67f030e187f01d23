//! What the data plane asks for every request, in memory: one small record a device, in a sharded map under a keyed hash of its names.
//!
//! A million devices are some 120 MB at most, free places included. What few devices have (an offer, an order to erase) hangs off the record.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError, RwLock};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;

use super::dense::{Dense, Row};
use crate::logic::eas::{DeviceId, DeviceType, Mailbox, PolicyKey, Version};
use crate::logic::policy::access::{AccessState, AccessWhy, DeviceAccess};
use crate::logic::policy::document::DocumentHash;
use crate::logic::policy::provisioning::{Application, Applied, Offer, Provisioning, Sent};
use crate::logic::policy::wipe::Wipe;
use crate::logic::policy::{Partnership, PolicyName, Timestamp};

/// Locks: as many as there may be threads that meet, times some.
const SHARDS: usize = 64;

/// A device, by a keyed hash of its mailbox and its id: 128 bits, so that no two ever meet, keyed, so that nobody can make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u64; 2]);

/// Compact enough for a million. Times are seconds since 1970 in 32 bits (until 2106), 0 for never.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GateRecord {
    rare: Option<Box<Rare>>,
    hash: u64,
    key: u32,
    temporary_key: u32,
    revision: u32,
    policy: u32,
    applied_at: u32,
    asked_at: u32,
    first_at: u32,
    last_at: u32,
    version: Version,
    application: Application,
    access: AccessState,
    flags: u8,
}

/// A promise about memory: a record with its key is 72 bytes.
pub const GATE_RECORD_BYTES: usize = size_of::<GateRecord>();
const _: () = assert!(GATE_RECORD_BYTES <= 64);

const HAS_APPLIED: u8 = 1;
const IS_DESCRIBED: u8 = 2;
const TOLD_TO_DESCRIBE: u8 = 4;
const ACTIVE_SYNC_OFF: u8 = 8;

/// What few devices have at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rare {
    offer: Option<Offer>,
    declined: Option<Application>,
    wipe: Option<Wipe>,
    device_access: Option<DeviceAccess>,
}

impl Row for (Key, GateRecord) {
    type Key = Key;

    fn key(&self) -> Key {
        self.0
    }

    fn hash(key: &Key) -> u64 {
        key.0[0]
    }
}

/// A part of all devices.
type Shard = Mutex<Dense<(Key, GateRecord)>>;

/// All devices.
pub(super) struct GateMap {
    key: hmac::Key,
    shards: Box<[Shard]>,
    /// Devices of each mailbox, by a hash of its name.
    counts: Box<[Mutex<HashMap<u64, u32>>]>,
    hasher: RandomState,
    names: RwLock<Names>,
}

/// Names of policies that some device has, each once; they are few and stay.
#[derive(Default)]
struct Names {
    list: Vec<PolicyName>,
    places: HashMap<PolicyName, u32>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing is done under these locks that could panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GateMap {
    pub(super) fn new() -> Self {
        GateMap {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).expect("the system has randomness"),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            counts: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            names: RwLock::default(),
        }
    }

    /// The key of a device. Neither name holds a zero character.
    pub(super) fn key(&self, mailbox: &Mailbox, device_id: &DeviceId) -> Key {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(mailbox.as_str().as_bytes());
        context.update(&[0]);
        context.update(device_id.as_str().as_bytes());
        let tag = context.sign();
        let half = |at: usize| tag.as_ref()[at..at + 8].try_into().map(u64::from_le_bytes).expect("a tag has 32 bytes");
        Key([half(0), half(8)])
    }

    /// What is known of a device, as far as deciding its requests needs it: see [`super::Store::known`].
    pub(super) fn find(&self, mailbox: &Mailbox, device_id: &DeviceId, device_type: &DeviceType) -> Option<Partnership> {
        let key = self.key(mailbox, device_id);
        let record = lock(self.shard(key)).get(&key).map(|(_, record)| record.clone())?;
        Some(self.expand(record, Partnership::new(mailbox.clone(), device_id.clone(), device_type.clone(), Timestamp(0))))
    }

    /// Changes one record in place, from `base` if it is new.
    pub(super) fn change(&self, key: Key, base: Partnership, change: impl FnOnce(&mut Partnership)) {
        let hash = self.hasher.hash_one(&base.mailbox);
        let mut shard = lock(self.shard(key));
        match shard.get_mut(&key) {
            Some((_, record)) => {
                let mut partnership = self.expand(record.clone(), base);
                change(&mut partnership);
                *record = self.compact(&partnership);
            }
            None => {
                let mut partnership = base;
                change(&mut partnership);
                shard.insert((key, self.compact(&partnership)));
                *lock(self.count(hash)).entry(hash).or_insert(0) += 1;
            }
        }
    }

    /// Puts what the database has in the place of what was known.
    pub(super) fn put(&self, partnership: &Partnership) {
        let key = self.key(&partnership.mailbox, &partnership.device_id);
        let last_at = partnership.last_attempt_at;
        self.change(key, partnership.clone(), |known| {
            // What this process saw last may not be written yet.
            let seen_at = known.last_attempt_at;
            known.clone_from(partnership);
            known.last_attempt_at = seen_at.max(last_at);
        });
    }

    /// A request of a known device came.
    pub(super) fn seen(&self, key: Key, now: Timestamp) {
        if let Some((_, record)) = lock(self.shard(key)).get_mut(&key) {
            record.last_at = record.last_at.max(short(now));
        }
    }

    pub(super) fn remove(&self, mailbox: &Mailbox, device_id: &DeviceId) {
        let (key, hash) = (self.key(mailbox, device_id), self.hasher.hash_one(mailbox));
        if lock(self.shard(key)).remove(&key).is_none() {
            return;
        }
        let mut counts = lock(self.count(hash));
        if let Some(count) = counts.get_mut(&hash) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&hash);
            }
        }
    }

    /// Partnerships of a mailbox.
    pub(super) fn devices_of(&self, mailbox: &Mailbox) -> u32 {
        let hash = self.hasher.hash_one(mailbox);
        lock(self.count(hash)).get(&hash).copied().unwrap_or(0)
    }

    /// Devices in all.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether the device is known.
    pub(super) fn contains(&self, key: Key) -> bool {
        lock(self.shard(key)).get(&key).is_some()
    }

    /// Forgets all devices but these. Their mailboxes are not known here, so these count as they did: a mailbox may seem to have more
    /// devices than it has until the next start.
    pub(super) fn retain(&self, present: &HashSet<Key>) {
        self.shards.iter().for_each(|shard| lock(shard).retain(|key| present.contains(key)));
    }

    /// Bytes that the maps hold, free places included; not what hangs off some records.
    pub(super) fn bytes(&self) -> usize {
        // One byte of control a place, as hashbrown has it; places are a power of two, and an eighth of them stays free.
        let places = |capacity: usize| if capacity == 0 { 0 } else { (capacity * 8 / 7).next_power_of_two() };
        let records = self.shards.iter().map(|shard| lock(shard).bytes());
        let counts = self.counts.iter().map(|counts| places(lock(counts).capacity()) * (size_of::<(u64, u32)>() + 1));
        records.sum::<usize>() + counts.sum::<usize>()
    }

    fn shard(&self, key: Key) -> &Shard {
        &self.shards[key.0[1] as usize % SHARDS]
    }

    fn count(&self, hash: u64) -> &Mutex<HashMap<u64, u32>> {
        &self.counts[hash as usize % SHARDS]
    }

    fn place(&self, name: &PolicyName) -> u32 {
        let known = self.names.read().unwrap_or_else(PoisonError::into_inner).places.get(name).copied();
        known.unwrap_or_else(|| {
            let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
            let next = names.list.len() as u32;
            let place = *names.places.entry(name.clone()).or_insert(next);
            if place == next {
                names.list.push(name.clone());
            }
            place
        })
    }

    fn compact(&self, partnership: &Partnership) -> GateRecord {
        let provisioning = &partnership.provisioning;
        let rare = Rare {
            offer: provisioning.offer.clone(),
            declined: provisioning.declined,
            wipe: partnership.wipe.clone().filter(Wipe::stands),
            device_access: partnership.device_access.clone(),
        };
        let applied = provisioning.applied.as_ref();
        let flag = |bit: u8, is_set: bool| if is_set { bit } else { 0 };
        GateRecord {
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
            hash: applied.map_or(0, |applied| applied.document.hash.0),
            key: applied.map_or(0, |applied| applied.key.0),
            temporary_key: applied.map_or(0, |applied| applied.temporary_key.0),
            revision: applied.map_or(0, |applied| applied.document.revision.try_into().unwrap_or(u32::MAX)),
            policy: applied.map_or(0, |applied| self.place(&applied.document.policy)),
            applied_at: applied.map_or(0, |applied| short(applied.document.at)),
            asked_at: provisioning.asked_at.map_or(0, short),
            first_at: short(partnership.first_sync_at),
            last_at: partnership.last_attempt_at.map_or(0, short),
            version: applied.map_or(Version::V2_5, |applied| applied.document.version),
            application: applied.map(|applied| applied.application).unwrap_or_default(),
            access: partnership.access_state,
            flags: flag(HAS_APPLIED, applied.is_some())
                | flag(IS_DESCRIBED, partnership.information_at.is_some())
                | flag(TOLD_TO_DESCRIBE, provisioning.told_to_describe)
                | flag(ACTIVE_SYNC_OFF, partnership.access_why == AccessWhy::ActiveSyncOff),
        }
    }

    fn expand(&self, record: GateRecord, base: Partnership) -> Partnership {
        let has = |bit: u8| record.flags & bit != 0;
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let policy = names.list.get(record.policy as usize).filter(|_| has(HAS_APPLIED));
        let applied = policy.map(|policy| Applied {
            key: PolicyKey(record.key),
            temporary_key: PolicyKey(record.temporary_key),
            application: record.application,
            document: Sent {
                policy: policy.clone(),
                revision: u64::from(record.revision),
                version: record.version,
                hash: DocumentHash(record.hash),
                at: Timestamp(u64::from(record.applied_at)),
            },
        });
        let rare = record.rare.map(|rare| *rare).unwrap_or_default();
        let first_sync_at = Timestamp(u64::from(record.first_at));
        Partnership {
            provisioning: Provisioning {
                offer: rare.offer,
                declined: rare.declined,
                applied,
                asked_at: long(record.asked_at),
                told_to_describe: has(TOLD_TO_DESCRIBE),
            },
            wipe: rare.wipe,
            device_access: rare.device_access,
            access_state: record.access,
            access_why: if has(ACTIVE_SYNC_OFF) { AccessWhy::ActiveSyncOff } else { AccessWhy::Default },
            information_at: has(IS_DESCRIBED).then_some(first_sync_at),
            first_sync_at,
            last_attempt_at: long(record.last_at),
            ..base
        }
    }
}

fn short(time: Timestamp) -> u32 {
    time.0.try_into().unwrap_or(u32::MAX)
}

fn long(seconds: u32) -> Option<Timestamp> {
    (seconds != 0).then(|| Timestamp(u64::from(seconds)))
}
