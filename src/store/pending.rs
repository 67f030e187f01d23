//! What waits for the writer: acts of administrators, changes of devices, and what was merely seen. Everything is bounded.
//!
//! When the database is away, acts are refused at once, and the other two wait here; what was seen is merged, so that it needs one
//! place a device however long it takes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::change::DeviceWrite;
use super::gate::Key;
use super::writer::Writer;
use crate::config::limits::{STORE_CHANGES_MAX, STORE_FACTS_MAX, STORE_JOBS_MAX};
use crate::logic::eas::{DeviceId, DeviceType, Mailbox, Version};
use crate::logic::policy::{Attempt, Timestamp};

/// Something for the writer to do between two batches.
pub(super) type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// What a request showed of its device, besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Nothing more.
    Attempt,
    /// A Sync was answered with this status; 1 is success.
    Synced(u16),
    /// A Ping with this heartbeat, seconds.
    Heartbeat(u32),
    /// So many folders take part.
    Folders(u32),
}

/// What was seen of one device since the last flush.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) mailbox: Mailbox,
    pub(super) device_id: DeviceId,
    pub(super) device_type: DeviceType,
    pub(super) version: Version,
    pub(super) user_agent: Option<Box<str>>,
    pub(super) first_at: Timestamp,
    pub(super) attempt_at: Timestamp,
    pub(super) success_at: Option<Timestamp>,
    /// `Some(None)`: the last Sync succeeded.
    pub(super) sync_status: Option<Option<u16>>,
    pub(super) heartbeat_s: Option<u32>,
    pub(super) folders: Option<u32>,
}

/// A device's change and who waits for it.
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) write: DeviceWrite,
    pub(super) saved: Option<oneshot::Sender<()>>,
}

/// Everything that waits.
#[derive(Default)]
pub(super) struct Queues {
    pub(super) jobs: VecDeque<Job>,
    pub(super) changes: VecDeque<Change>,
    pub(super) facts: HashMap<Key, Facts>,
    /// Tokens used since the last flush.
    pub(super) tokens_used: HashMap<String, Timestamp>,
    /// What found no room since the start.
    pub(super) dropped: u64,
    pub(super) is_closing: bool,
}

/// The queues and the bell.
#[derive(Default)]
pub(super) struct Inbox {
    queues: Mutex<Queues>,
    bell: Condvar,
}

/// There is no room.
#[derive(Debug)]
pub(super) struct Full;

impl Inbox {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queues> {
        // What is done under this lock leaves the queues whole at every step.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Sleeps until somebody rings or the time is over.
    pub(super) fn wait(&self, queues: MutexGuard<'_, Queues>, time: Duration) {
        drop(self.bell.wait_timeout(queues, time).unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn push_job(&self, job: Job) -> Result<(), Full> {
        let mut queues = self.lock();
        if queues.is_closing || queues.jobs.len() >= STORE_JOBS_MAX {
            return Err(Full);
        }
        queues.jobs.push_back(job);
        drop(queues);
        self.ring();
        Ok(())
    }
}

impl Queues {
    pub(super) fn push_change(&mut self, change: Change) -> Result<(), Full> {
        if self.changes.len() >= STORE_CHANGES_MAX {
            self.dropped += 1;
            return Err(Full);
        }
        self.changes.push_back(change);
        Ok(())
    }

    /// Merges what was seen into what waits.
    pub(super) fn note(
        &mut self,
        key: Key,
        who: (&Mailbox, &DeviceId),
        attempt: &Attempt<'_>,
        seen: Seen,
        now: Timestamp,
    ) -> Result<(), Full> {
        let is_full = self.facts.len() >= STORE_FACTS_MAX;
        let facts = match self.facts.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(_) if is_full => {
                self.dropped += 1;
                return Err(Full);
            }
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert(Facts::new(who, attempt, now)),
        };
        facts.note(attempt, seen, now);
        Ok(())
    }

    /// Puts what could not be written back below what came since.
    pub(super) fn put_back(&mut self, key: Key, older: Facts) {
        let has_room = self.facts.len() < STORE_FACTS_MAX;
        match self.facts.get_mut(&key) {
            Some(newer) => newer.fill_from(older),
            None if has_room => drop(self.facts.insert(key, older)),
            None => self.dropped += 1,
        }
    }

    /// A removed device: what was seen before must not bring it back.
    pub(super) fn forget(&mut self, key: Key) {
        self.facts.remove(&key);
        self.changes.retain(|change| change.key != key);
    }
}

impl Facts {
    fn new(who: (&Mailbox, &DeviceId), attempt: &Attempt<'_>, now: Timestamp) -> Self {
        Facts {
            mailbox: who.0.clone(),
            device_id: who.1.clone(),
            device_type: attempt.device_type.clone(),
            version: attempt.version,
            user_agent: None,
            first_at: now,
            attempt_at: now,
            success_at: None,
            sync_status: None,
            heartbeat_s: None,
            folders: None,
        }
    }

    fn note(&mut self, attempt: &Attempt<'_>, seen: Seen, now: Timestamp) {
        self.attempt_at = self.attempt_at.max(now);
        self.version = attempt.version;
        if self.device_type != *attempt.device_type {
            self.device_type = attempt.device_type.clone();
        }
        let agent = attempt.user_agent.filter(|agent| !agent.is_empty() && self.user_agent.as_deref() != Some(agent));
        if let Some(agent) = agent {
            self.user_agent = Some(kept(agent));
        }
        match seen {
            Seen::Attempt => {}
            Seen::Synced(1) => {
                self.success_at = self.success_at.max(Some(now));
                self.sync_status = Some(None);
            }
            Seen::Synced(status) => self.sync_status = Some(Some(status)),
            Seen::Heartbeat(heartbeat_s) => self.heartbeat_s = Some(heartbeat_s),
            Seen::Folders(folders) => self.folders = Some(folders),
        }
    }

    /// What only the older knows.
    fn fill_from(&mut self, older: Facts) {
        self.first_at = self.first_at.min(older.first_at);
        self.user_agent = self.user_agent.take().or(older.user_agent);
        self.success_at = self.success_at.max(older.success_at);
        self.sync_status = self.sync_status.or(older.sync_status);
        self.heartbeat_s = self.heartbeat_s.or(older.heartbeat_s);
        self.folders = self.folders.or(older.folders);
    }
}

/// As a partnership keeps it: printable, and cut.
fn kept(agent: &str) -> Box<str> {
    let mut text = String::new();
    for character in agent.chars().map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character }) {
        if text.len() + character.len_utf8() > crate::config::limits::NOTE_BYTES_MAX {
            break;
        }
        text.push(character);
    }
    text.into()
}
