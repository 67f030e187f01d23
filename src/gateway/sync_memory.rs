//! What devices that use hanging Sync asked for last: the full request and the keys to continue from.
//!
//! Empty and Partial Syncs stand for it, and a Sync that was held is repeated from it. Only a request with a wait makes an entry,
//! so everybody else costs nothing; an entry is a request without items (some 100 bytes a folder), its keys (some 60 a folder)
//! and 150 bytes. Bounded in bytes, forgotten after a while. Any entry may be gone at any time: the device is asked for the
//! whole request again, or the backend's own memory serves.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::limits::{HANGING_SYNC_BYTES_MAX, HANGING_SYNCS_BYTES_MAX};
use crate::logic::eas::sync::{SyncAnswer, SyncRequest};
use crate::logic::eas::sync_repeat::SyncKeys;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::hold::Moment;

/// Locks: many connections ask at once, and each only looks something up.
const SHARDS: usize = 16;
/// Bytes of an entry besides the request and its keys: hash, pointers, times, the table's slack.
const ENTRY_BYTES: usize = 150;
/// Entries looked at to find one that makes room.
const SAMPLE: usize = 16;
/// Between two looks for entries that are too old.
const SWEEP: Duration = Duration::from_secs(60);

/// Which device of which mailbox: two keyed hashes, so that no names are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Whose([u64; 2]);

/// All of it.
pub(crate) struct SyncMemory {
    hashers: [RandomState; 2],
    shards: [Mutex<Shard>; SHARDS],
    forget: Duration,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Whose, Entry>,
    bytes: usize,
    swept: Moment,
}

struct Entry {
    /// With its wait, without what the device changed.
    request: Arc<[u8]>,
    keys: SyncKeys,
    seen: Moment,
    /// The last answer had new keys and nothing else.
    had_only_keys: bool,
    /// The answer to the last request has not arrived: which keys the device has is not known.
    is_open: bool,
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.request.len() + self.keys.bytes()
    }
}

impl SyncMemory {
    /// Nothing remembered; entries go when their device was not seen for `forget`.
    pub(crate) fn new(forget: Duration) -> Self {
        SyncMemory { hashers: [RandomState::new(), RandomState::new()], shards: std::array::from_fn(|_| Mutex::default()), forget }
    }

    pub(crate) fn whose(&self, mailbox: &Mailbox, device: &DeviceId) -> Whose {
        Whose([0, 1].map(|i| self.hashers[i].hash_one((mailbox, device))))
    }

    /// The last full request and the keys to continue from; `None` too while it is not known which keys the device has.
    pub(crate) fn last(&self, whose: Whose, now: Moment) -> Option<(Arc<[u8]>, SyncKeys)> {
        let shard = self.shard(whose);
        let entry = shard.entries.get(&whose).filter(|entry| now.since(entry.seen) < self.forget && !entry.is_open)?;
        Some((entry.request.clone(), entry.keys.clone()))
    }

    /// The latest keys that were handed out.
    pub(crate) fn keys(&self, whose: Whose) -> Option<SyncKeys> {
        self.shard(whose).entries.get(&whose).map(|entry| entry.keys.clone())
    }

    /// Whether the device uses hanging Sync.
    pub(crate) fn knows(&self, whose: Whose) -> bool {
        self.shard(whose).entries.contains_key(&whose)
    }

    /// A full request came, and the backend answered it. Without a wait it only takes the place of one that is remembered.
    pub(crate) fn remember(&self, whose: Whose, body: Arc<[u8]>, request: &SyncRequest, now: Moment) {
        let is_hanging = request.wait_min.or(request.heartbeat_s).is_some();
        let mut shard = self.shard(whose);
        shard.sweep(now, self.forget);
        let known = shard.remove(whose);
        if body.len() > HANGING_SYNC_BYTES_MAX || (known.is_none() && !is_hanging) {
            return;
        }
        let fresh = || Entry { request: Arc::default(), keys: SyncKeys::default(), seen: now, had_only_keys: false, is_open: true };
        let mut entry = known.unwrap_or_else(fresh);
        entry.keys.show(request, HANGING_SYNC_BYTES_MAX);
        (entry.request, entry.seen, entry.is_open) = (body, now, true);
        shard.insert(whose, entry);
        shard.make_room();
    }

    /// The device has an answer, all of it. `only_keys`: there is nothing in it but new keys.
    pub(crate) fn answered(&self, whose: Whose, answer: &SyncAnswer, only_keys: bool, now: Moment) {
        let mut shard = self.shard(whose);
        let Some(mut entry) = shard.remove(whose) else { return };
        entry.keys.learn(answer, HANGING_SYNC_BYTES_MAX);
        (entry.seen, entry.had_only_keys, entry.is_open) = (now, only_keys, false);
        shard.insert(whose, entry);
    }

    /// An answer got lost: which keys the device has is not known, so it is to send everything again.
    pub(crate) fn forget(&self, whose: Whose) {
        drop(self.shard(whose).remove(whose));
    }

    /// The answer was not passed on, and the request is held.
    pub(crate) fn held(&self, whose: Whose) {
        if let Some(entry) = self.shard(whose).entries.get_mut(&whose) {
            entry.is_open = false;
        }
    }

    /// Whether the last answer had new keys and nothing else: a second one in a row is not worth waking a device for.
    pub(crate) fn had_only_keys(&self, whose: Whose) -> bool {
        self.shard(whose).entries.get(&whose).is_some_and(|entry| entry.had_only_keys)
    }

    fn shard(&self, whose: Whose) -> MutexGuard<'_, Shard> {
        self.shards[whose.0[0] as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn insert(&mut self, whose: Whose, entry: Entry) {
        self.bytes += entry.bytes();
        self.entries.insert(whose, entry);
    }

    fn remove(&mut self, whose: Whose) -> Option<Entry> {
        let entry = self.entries.remove(&whose)?;
        self.bytes -= entry.bytes();
        Some(entry)
    }

    fn sweep(&mut self, now: Moment, forget: Duration) {
        if now.since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        self.entries.retain(|_, entry| now.since(entry.seen) < forget);
        self.bytes = self.entries.values().map(Entry::bytes).sum();
        self.entries.shrink_to(self.entries.len() * 2);
    }

    /// The longest unseen of a few makes room.
    fn make_room(&mut self) {
        while self.bytes > HANGING_SYNCS_BYTES_MAX / SHARDS {
            let few = self.entries.iter().take(SAMPLE);
            let Some(victim) = few.min_by_key(|(_, entry)| entry.seen).map(|(whose, _)| *whose) else { return };
            drop(self.remove(victim));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::eas::FolderId;
    use crate::logic::eas::sync::{SyncCollection, SyncedCollection};

    fn id() -> FolderId {
        FolderId::new("5").expect("short")
    }

    fn request(key: &str, wait_min: Option<u32>) -> SyncRequest {
        SyncRequest { collections: vec![SyncCollection::new(id(), key)], wait_min, ..SyncRequest::default() }
    }

    fn remember(memory: &SyncMemory, whose: Whose, request: &SyncRequest, at_s: u64) {
        memory.remember(whose, request.encode().into(), request, Moment(at_s * 1_000_000));
        memory.held(whose);
    }

    fn device(memory: &SyncMemory, name: &str) -> Whose {
        let mailbox = Mailbox::normalise("hew", Some("example.org"), true).expect("a name");
        memory.whose(&mailbox, &DeviceId::new(name.as_bytes()).expect("an id"))
    }

    #[test]
    fn only_a_sync_that_waits_makes_an_entry_and_any_takes_its_place() {
        let memory = SyncMemory::new(Duration::from_secs(100));
        let (a, b) = (device(&memory, "a"), device(&memory, "b"));
        remember(&memory, a, &request("1", None), 0);
        assert!(memory.last(a, Moment::default()).is_none());
        remember(&memory, a, &request("1", Some(8)), 0);
        remember(&memory, a, &request("2", None), 0);
        let (body, keys) = memory.last(a, Moment::default()).expect("remembered");
        assert_eq!((&*body, keys.of(&id())), (&*request("2", None).encode(), Some("2")));
        assert!(memory.knows(a) && !memory.knows(b));
    }

    #[test]
    fn nothing_is_repeated_while_an_answer_may_be_lost() {
        let memory = SyncMemory::new(Duration::from_secs(100));
        let a = device(&memory, "a");
        let asked = request("1", Some(8));
        memory.remember(a, asked.encode().into(), &asked, Moment::default());
        assert!(memory.last(a, Moment::default()).is_none());
        let collection = SyncedCollection { id: Some(id()), status: Some(1), sync_key: Some("2".into()), ..SyncedCollection::default() };
        memory.answered(a, &SyncAnswer { collections: vec![collection], ..SyncAnswer::default() }, true, Moment::default());
        let (_, keys) = memory.last(a, Moment::default()).expect("remembered");
        assert_eq!((keys.of(&id()), memory.had_only_keys(a)), (Some("2"), true));
    }

    #[test]
    fn entries_grow_old() {
        let memory = SyncMemory::new(Duration::from_secs(100));
        let (a, b) = (device(&memory, "a"), device(&memory, "b"));
        remember(&memory, a, &request("1", Some(8)), 0);
        assert!(memory.last(a, Moment(99_000_000)).is_some() && memory.last(a, Moment(100_000_000)).is_none());
        // Whichever shard it is in, one that is swept loses it.
        for index in 0..200 {
            remember(&memory, device(&memory, &format!("d{index}")), &request("1", Some(8)), 200);
        }
        assert!(!memory.knows(a) && !memory.knows(b));
    }

    #[test]
    fn the_bytes_are_bounded_and_counted() {
        let memory = SyncMemory::new(Duration::from_secs(100));
        let large: Arc<[u8]> = vec![0; HANGING_SYNC_BYTES_MAX].into();
        for index in 0..2 * HANGING_SYNCS_BYTES_MAX / HANGING_SYNC_BYTES_MAX {
            memory.remember(device(&memory, &format!("d{index}")), large.clone(), &request("1", Some(8)), Moment(index as u64));
        }
        let mut bytes = 0;
        for shard in &memory.shards {
            let shard = shard.lock().expect("no panic");
            assert_eq!(shard.bytes, shard.entries.values().map(Entry::bytes).sum::<usize>());
            bytes += shard.bytes;
        }
        assert!(bytes <= HANGING_SYNCS_BYTES_MAX && bytes > HANGING_SYNCS_BYTES_MAX / 2, "{bytes}");
        memory.remember(device(&memory, "x"), vec![0; HANGING_SYNC_BYTES_MAX + 1].into(), &request("1", Some(8)), Moment(0));
        assert!(!memory.knows(device(&memory, "x")));
    }
}
