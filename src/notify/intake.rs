//! From the bytes of a source that calls in to the lots: parse, leave out repeats, hand over, count.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::entry::{self, Notice};
use super::repeats::Repeats;
use super::{ChangeSink, Overloaded, Source, Supervisor, Woken, dovecot, webhook};
use crate::config;
use crate::config::limits::{NOTIFICATION_ID_AGE, NOTIFICATION_IDS_MAX};
use crate::logic::hold::MailboxChange;
use crate::telemetry::metrics::NOTIFICATIONS_TOTAL;

pub use super::entry::BadBatch;

/// Takes notifications of sources that call in.
pub struct Intake {
    sink: Arc<dyn ChangeSink>,
    mailboxes: config::Mailbox,
    webhook: bool,
    dovecot: bool,
    supervisor: Arc<Supervisor>,
    repeats: Mutex<Repeats>,
}

/// A batch that was handed over.
#[derive(Debug)]
pub struct Accepted {
    /// Entries, repeats and such that concern nobody included: the sender is done with all of them.
    pub entries: usize,
    /// Of these, repeats of something applied before.
    pub repeated: usize,
    /// How many Pings will be woken.
    pub woken: Woken,
}

/// Why a batch was not taken. Nothing of it counts as applied.
#[derive(Debug, PartialEq)]
pub enum Refused {
    /// The operator switched this source off.
    SwitchedOff,
    /// The sender's mistake.
    Bad(BadBatch),
    /// Ours: try again.
    Overloaded,
}

impl From<Overloaded> for Refused {
    fn from(_: Overloaded) -> Self {
        Refused::Overloaded
    }
}

impl Intake {
    /// An intake that hands changes to `sink`, and canaries to the supervisor.
    pub fn new(sink: Arc<dyn ChangeSink>, mailboxes: &config::Mailbox, notify: &config::Notify, supervisor: Arc<Supervisor>) -> Intake {
        Intake {
            sink,
            mailboxes: mailboxes.clone(),
            webhook: notify.webhook.is_some(),
            dovecot: notify.dovecot.is_some(),
            supervisor,
            repeats: Mutex::new(Repeats::new(NOTIFICATION_IDS_MAX, NOTIFICATION_ID_AGE)),
        }
    }

    /// Takes one request body of a source, all of it or nothing.
    pub fn take(&self, source: Source, body: &[u8]) -> Result<Accepted, Refused> {
        let taken = self.apply(source, body);
        if let Err(refused) = &taken {
            let (result, count) = match refused {
                Refused::SwitchedOff => ("switched_off", 1),
                Refused::Bad(BadBatch::Entries { count, .. }) => ("bad", *count as u64),
                Refused::Bad(_) => ("bad", 1),
                Refused::Overloaded => ("overloaded", 1),
            };
            count_result(source, result, count);
        }
        taken
    }

    fn apply(&self, source: Source, body: &[u8]) -> Result<Accepted, Refused> {
        let notices = match source {
            Source::Webhook if !self.webhook => return Err(Refused::SwitchedOff),
            Source::Dovecot if !self.dovecot => return Err(Refused::SwitchedOff),
            Source::Webhook | Source::Manual => webhook::parse(body, &self.mailboxes),
            Source::Dovecot => dovecot::parse(body, &self.mailboxes),
        };
        let notices = notices.map_err(Refused::Bad)?;
        self.supervisor.heard(source);
        let entries = notices.len();
        let (notices, canaries) = self.without_canaries(notices, source, body);
        let ignored = notices.iter().filter(|notice| notice.change.is_none()).count();
        let (changes, keys) = self.without_repeats(notices);
        let applied = changes.len();
        let repeated = entries - canaries - ignored - applied;
        let woken = if changes.is_empty() { Woken::default() } else { self.sink.changed(source, changes)? };
        // Only now: had the lots refused, the sender's repeat must not be taken for one.
        self.remember(&keys);
        for (result, count) in [("accepted", applied), ("repeated", repeated), ("ignored", ignored), ("canary", canaries)] {
            count_result(source, result, count as u64);
        }
        Ok(Accepted { entries, repeated, woken })
    }

    /// What is not about the canary's mailbox, which no device looks at; and how many entries were.
    fn without_canaries(&self, notices: Vec<Notice>, source: Source, body: &[u8]) -> (Vec<Notice>, usize) {
        let is_canary = |notice: &Notice| notice.change.as_ref().is_some_and(|change| self.supervisor.is_canary(&change.mailbox));
        if !notices.iter().any(is_canary) {
            return (notices, 0);
        }
        let (canaries, notices): (Vec<Notice>, Vec<Notice>) = notices.into_iter().partition(is_canary);
        // Dovecot also reports what else happens in that mailbox, its expiry for one. Only arrivals have an id there.
        if canaries.iter().any(|notice| source != Source::Dovecot || notice.id.is_some()) {
            self.supervisor.canary_heard(source, &entry::texts(body, &["subject"]));
        }
        (notices, canaries.len())
    }

    /// The changes that are news, and the keys by which their repeats will be known.
    fn without_repeats(&self, notices: Vec<Notice>) -> (Vec<MailboxChange>, Vec<u64>) {
        let (mut changes, mut keys) = (Vec::with_capacity(notices.len()), Vec::new());
        let mut repeats = self.repeats();
        let mut in_batch = HashSet::new();
        let now = Instant::now();
        for notice in notices {
            let Some(change) = notice.change else { continue };
            if let Some(id) = notice.id {
                let key = repeats.key(&change, &id);
                if repeats.contains(key, now) || !in_batch.insert(key) {
                    continue;
                }
                keys.push(key);
            }
            changes.push(change);
        }
        (changes, keys)
    }

    fn remember(&self, keys: &[u64]) {
        let mut repeats = self.repeats();
        let now = Instant::now();
        keys.iter().for_each(|key| repeats.remember(*key, now));
    }

    /// A thread that panicked with the lock held left at worst an id unremembered.
    fn repeats(&self) -> std::sync::MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count_result(source: Source, result: &'static str, count: u64) {
    if count > 0 {
        metrics::counter!(NOTIFICATIONS_TOTAL.name, "source" => source.label(), "result" => result).increment(count);
    }
}
