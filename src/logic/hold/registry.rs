//! Mailboxes and their devices: what a lot remembers, parked or not.
//!
//! Mailboxes are found by their hash (computed outside, keyed, the same that chose the lot); devices hang on their mailbox in
//! a short list. All of it is bounded; the longest unseen device makes room.

use hashbrown::HashTable;

use super::folders::FolderTable;
use super::slab::{Slab, SlotKey};
use crate::config::limits::MAILBOX_DEVICES_MAX;
use crate::logic::eas::{DeviceId, Mailbox};

/// Names one device as long as the lot remembers it.
pub type DeviceKey = SlotKey;

/// Names a device that is certainly remembered, in four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceIndex(std::num::NonZeroU32);

impl DeviceIndex {
    /// The index of a device.
    pub fn of(key: DeviceKey) -> Self {
        DeviceIndex(std::num::NonZeroU32::MIN.saturating_add(key.index))
    }

    fn get(self) -> u32 {
        self.0.get() - 1
    }
}

/// Whose Ping or traffic it is.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// Keyed hash of the mailbox name.
    pub hash: u64,
    /// Whose mailbox.
    pub mailbox: &'a Mailbox,
    /// Which device.
    pub device: &'a DeviceId,
}

/// A device of a mailbox.
#[derive(Debug)]
pub struct Device {
    /// Its own id, canonical form.
    pub id: DeviceId,
    mailbox: SlotKey,
    next: Option<DeviceIndex>,
    /// The slot of its held Ping.
    pub held: Option<SlotKey>,
    /// When it last spoke to us, seconds.
    pub seen_s: u32,
    /// Last heartbeat it asked for, seconds; 0: none yet.
    pub heartbeat_s: u16,
    /// Answers that told it of changes since it last did something about them.
    pub unheeded: u8,
    /// It has sent a folder list.
    pub has_folders: bool,
    /// Number of the last change of the folder list itself.
    pub hierarchy_change: u64,
    /// Number up to which its folder list is in step; without a proof, the last number before it was known.
    pub hierarchy_fresh: u64,
    /// When a FolderSync or a check proved it, seconds; none yet.
    pub hierarchy_proven_s: Option<u32>,
    /// Tick of its turn to be told to Sync because of doubt (if no check clears it before); 0: none. A Ping sent anew keeps it.
    pub turn: u32,
    /// Its place in what is spread out over devices.
    pub spread: u8,
    /// Its folders.
    pub folders: FolderTable,
}

struct MailboxRecord {
    hash: u64,
    name: Mailbox,
    first: Option<DeviceIndex>,
    devices: u16,
}

impl Device {
    /// Its folder list is in step up to a number read before it was asked for.
    pub fn prove_hierarchy(&mut self, as_of: u64, now_s: u32) {
        if as_of >= self.hierarchy_fresh {
            (self.hierarchy_fresh, self.hierarchy_proven_s) = (as_of, Some(now_s));
        }
    }

    /// Changes of the folder list up to this number never arrived, unless a later answer brought them.
    pub fn miss_hierarchy(&mut self, number: u64) {
        if self.hierarchy_proven_s.is_none() || self.hierarchy_fresh < number {
            self.hierarchy_change = self.hierarchy_change.max(number).max(self.hierarchy_fresh + 1);
        }
    }
}

/// All mailboxes and devices of a lot.
#[derive(Default)]
pub struct Registry {
    /// Indexes of mailboxes.
    by_hash: HashTable<u32>,
    mailboxes: Slab<MailboxRecord>,
    devices: Slab<Device>,
    sweep: u32,
}

impl Registry {
    /// Devices remembered.
    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// Mailboxes with at least one device.
    pub fn mailbox_count(&self) -> usize {
        self.mailboxes.len()
    }

    /// The key of a device that is held, and so remembered.
    pub fn key_at(&self, index: DeviceIndex) -> Option<DeviceKey> {
        self.devices.at(index.get()).map(|(key, _)| key)
    }

    /// The device, if remembered.
    pub fn device(&self, key: DeviceKey) -> Option<&Device> {
        self.devices.get(key)
    }

    /// The device, if remembered.
    pub fn device_mut(&mut self, key: DeviceKey) -> Option<&mut Device> {
        self.devices.get_mut(key)
    }

    /// The mailbox a device belongs to.
    pub fn mailbox_of(&self, key: DeviceKey) -> Option<&Mailbox> {
        let device = self.devices.get(key)?;
        self.mailboxes.get(device.mailbox).map(|record| &record.name)
    }

    /// Keys of a mailbox's devices, newest first.
    pub fn devices_of(&self, hash: u64, name: &Mailbox) -> impl Iterator<Item = DeviceKey> + '_ {
        let mut next = self.find_mailbox(hash, name).and_then(|key| self.mailboxes.get(key)).and_then(|record| self.key_at(record.first?));
        std::iter::from_fn(move || {
            let key = next?;
            next = self.after(key);
            Some(key)
        })
    }

    /// The next device of the same mailbox.
    pub fn after(&self, key: DeviceKey) -> Option<DeviceKey> {
        self.key_at(self.devices.get(key)?.next?)
    }

    /// A device that is remembered.
    pub fn find(&self, who: &Who<'_>) -> Option<DeviceKey> {
        self.devices_of(who.hash, who.mailbox).find(|key| self.devices.get(*key).is_some_and(|d| d.id == *who.device))
    }

    /// The device, made when it is new; `devices_max` bounds the lot. `None` when everything is held and full.
    pub fn find_or_add(&mut self, who: &Who<'_>, now_s: u32, last_number: u64, devices_max: usize) -> Option<DeviceKey> {
        let &Who { hash, mailbox: name, .. } = who;
        if let Some(key) = self.find(who) {
            if let Some(device) = self.devices.get_mut(key) {
                device.seen_s = now_s;
            }
            return Some(key);
        }
        if self.devices.len() >= devices_max {
            let victim = self.longest_unseen()?;
            self.forget(victim);
        }
        let crowded = self
            .find_mailbox(hash, name)
            .and_then(|k| self.mailboxes.get(k))
            .is_some_and(|m| usize::from(m.devices) >= MAILBOX_DEVICES_MAX);
        if crowded {
            let idle = self.devices_of(hash, name).filter(|k| self.devices.get(*k).is_some_and(|d| d.held.is_none()));
            let victim = idle.min_by_key(|k| self.devices.get(*k).map(|d| d.seen_s))?;
            self.forget(victim);
        }
        Some(self.add(who, now_s, last_number))
    }

    /// Forgets devices unseen since before `since_s`, looking at no more than `max` of them.
    pub fn sweep(&mut self, since_s: u32, max: usize) {
        for _ in 0..max.min(self.devices.capacity()) {
            self.sweep = if (self.sweep as usize) + 1 < self.devices.capacity() { self.sweep + 1 } else { 0 };
            let old = self.devices.at(self.sweep).filter(|(_, d)| d.held.is_none() && d.seen_s < since_s).map(|(key, _)| key);
            if let Some(key) = old {
                self.forget(key);
            }
        }
    }

    fn add(&mut self, who: &Who<'_>, now_s: u32, last_number: u64) -> DeviceKey {
        let &Who { hash, mailbox: name, device: id } = who;
        let mailbox = self.find_mailbox(hash, name).unwrap_or_else(|| {
            let key = self.mailboxes.insert(MailboxRecord { hash, name: name.clone(), first: None, devices: 0 });
            let mailboxes = &self.mailboxes;
            self.by_hash.insert_unique(hash, key.index, |index| mailboxes.at(*index).map_or(0, |(_, m)| m.hash));
            key
        });
        let next = self.mailboxes.get(mailbox).and_then(|m| m.first);
        let key = self.devices.insert(Device {
            id: id.clone(),
            mailbox,
            next,
            held: None,
            seen_s: now_s,
            heartbeat_s: 0,
            unheeded: 0,
            has_folders: false,
            hierarchy_change: 0,
            hierarchy_fresh: last_number,
            hierarchy_proven_s: None,
            turn: 0,
            spread: 0,
            folders: FolderTable::default(),
        });
        if let Some(device) = self.devices.get_mut(key) {
            // Any mixing does: neighbours must differ, and devices of one mailbox too.
            device.spread = ((hash ^ u64::from(key.index)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8;
        }
        if let Some(record) = self.mailboxes.get_mut(mailbox) {
            (record.first, record.devices) = (Some(DeviceIndex::of(key)), record.devices + 1);
        }
        key
    }

    fn find_mailbox(&self, hash: u64, name: &Mailbox) -> Option<SlotKey> {
        let is_of_name = |index: &u32| self.mailboxes.at(*index).is_some_and(|(_, m)| m.name == *name);
        self.by_hash.find(hash, is_of_name).and_then(|index| self.mailboxes.at(*index)).map(|(key, _)| key)
    }

    /// One of the longest unseen devices without a held Ping: the oldest of a sample, as a full scan would cost too much.
    fn longest_unseen(&mut self) -> Option<DeviceKey> {
        const SAMPLE: usize = 64;
        let (mut oldest, mut seen) = (None::<(u32, DeviceKey)>, 0);
        for _ in 0..self.devices.capacity() {
            self.sweep = if (self.sweep as usize) + 1 < self.devices.capacity() { self.sweep + 1 } else { 0 };
            let Some((key, device)) = self.devices.at(self.sweep) else { continue };
            if device.held.is_none() && oldest.is_none_or(|(s, _)| device.seen_s < s) {
                oldest = Some((device.seen_s, key));
            }
            seen += 1;
            if seen >= SAMPLE && oldest.is_some() {
                break;
            }
        }
        oldest.map(|(_, key)| key)
    }

    fn forget(&mut self, key: DeviceKey) {
        let Some(device) = self.devices.remove(key) else { return };
        self.unlink(device.mailbox, DeviceIndex::of(key), device.next);
        let Some(record) = self.mailboxes.get_mut(device.mailbox) else { return };
        record.devices -= 1;
        if record.first.is_none() {
            let hash = record.hash;
            self.mailboxes.remove(device.mailbox);
            if let Ok(entry) = self.by_hash.find_entry(hash, |index| *index == device.mailbox.index) {
                entry.remove();
            }
        }
    }

    /// Whether lists, counts and the index agree; a sentence about the first that does not.
    pub fn check_invariants(&self) -> Result<(), String> {
        let mut listed = 0;
        for (key, record) in self.mailboxes.iter() {
            let devices: Vec<DeviceKey> = self.devices_of(record.hash, &record.name).collect();
            listed += devices.len();
            if self.find_mailbox(record.hash, &record.name) != Some(key) {
                return Err(format!("mailbox {:?} is not found by its hash", record.name));
            }
            if devices.is_empty() || devices.len() != usize::from(record.devices) {
                return Err(format!("mailbox {:?} counts {} devices and lists {}", record.name, record.devices, devices.len()));
            }
            if devices.iter().any(|device| self.devices.get(*device).is_none_or(|d| d.mailbox != key)) {
                return Err(format!("mailbox {:?} lists a device of another", record.name));
            }
        }
        match listed == self.devices.len() && self.by_hash.len() == self.mailboxes.len() {
            true => Ok(()),
            false => Err(format!(
                "{} devices, {listed} listed; {} mailboxes, {} found",
                self.devices.len(),
                self.mailboxes.len(),
                self.by_hash.len()
            )),
        }
    }

    /// All devices that are remembered.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceKey, &Device)> {
        self.devices.iter()
    }

    fn unlink(&mut self, mailbox: SlotKey, gone: DeviceIndex, next: Option<DeviceIndex>) {
        let Some(record) = self.mailboxes.get_mut(mailbox) else { return };
        if record.first == Some(gone) {
            record.first = next;
            return;
        }
        let mut at = record.first;
        while let Some(device) = at.and_then(|index| self.devices.at_mut(index.get())) {
            if device.next == Some(gone) {
                device.next = next;
                return;
            }
            at = device.next;
        }
    }
}
