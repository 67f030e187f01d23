//! What devices did, written: their changes as soon as possible, many in one transaction; what was merely seen every few seconds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::audit::{By, DEVICE, Deed};
use super::change::{DeviceChange, DeviceWrite};
use super::error::StoreError;
use super::gate::Key;
use super::news::Before;
use super::pending::{Change, Facts};
use super::rows;
use super::sql::params;
use super::transaction::Tx;
use super::writer::Writer;
use crate::logic::policy::wipe::WipeState;
use crate::logic::policy::{Partnership, Timestamp};
use crate::telemetry::metrics::{STORE_ERRORS_TOTAL, STORE_FLUSH_SECONDS};

/// Changes of devices in one transaction: a second's worth of a storm, a fraction of a second of work.
const CHANGES: usize = 500;
/// Devices whose facts go into one transaction.
const FACTS: usize = 10_000;
/// After a failure that trying again at once would only repeat, such as a full disk.
const REST: Duration = Duration::from_secs(1);
/// An erased device that was silent for so long and is told again has come back: seconds.
const COME_BACK_S: u64 = 3_600;

impl Writer {
    /// Writes devices' changes until none waits.
    pub(super) fn save_changes(&mut self) {
        while self.save_some_changes() {}
    }

    /// Writes the oldest changes, in one transaction; whether there may be more to do.
    pub(super) fn save_some_changes(&mut self) -> bool {
        if self.sql.is_none() || Instant::now() < self.rest_until {
            return false;
        }
        let batch: Vec<Change> = {
            let changes = &mut self.shared.inbox.lock().changes;
            let count = changes.len().min(CHANGES);
            changes.drain(..count).collect()
        };
        let has_some = !batch.is_empty();
        if has_some {
            self.save_batch(batch);
        }
        has_some
    }

    fn save_batch(&mut self, batch: Vec<Change>) {
        match self.transact(|tx| save(tx, &batch)) {
            Ok(()) => batch.into_iter().filter_map(|change| change.saved).for_each(|saved| {
                // Who waited may have left.
                let _ = saved.send(());
            }),
            // One of them may be what the database refuses; alone it cannot stop the others.
            Err(StoreError::Broken(_) | StoreError::Unreadable) if batch.len() > 1 => {
                batch.into_iter().for_each(|change| self.save_batch(vec![change]));
            }
            Err(error @ (StoreError::Broken(_) | StoreError::Unreadable)) => {
                metrics::counter!(STORE_ERRORS_TOTAL.name, "what" => "change").increment(1);
                tracing::error!(%error, "a device's change cannot be written");
            }
            Err(_) => self.keep(batch),
        }
    }

    /// In front of what came since, in the order they were.
    fn keep(&mut self, batch: Vec<Change>) {
        self.rest_until = Instant::now() + REST;
        let mut queues = self.shared.inbox.lock();
        batch.into_iter().rev().for_each(|change| queues.changes.push_front(change));
    }

    /// Writes what was seen since the last time.
    pub(super) fn flush(&mut self) {
        if self.sql.is_none() || Instant::now() < self.rest_until {
            return;
        }
        let (facts, tokens) = {
            let mut queues = self.shared.inbox.lock();
            (std::mem::take(&mut queues.facts), std::mem::take(&mut queues.tokens_used))
        };
        if !tokens.is_empty() && self.transact(|tx| save_tokens(tx, &tokens)).is_err() {
            // Newer uses stay.
            let queues = &mut self.shared.inbox.lock();
            for (id, at) in tokens {
                queues.tokens_used.entry(id).or_insert(at);
            }
        }
        let mut facts = facts.into_iter();
        loop {
            let batch: Vec<(Key, Facts)> = facts.by_ref().take(FACTS).collect();
            if batch.is_empty() {
                return;
            }
            if let Err(batch) = self.flush_batch(batch) {
                self.rest_until = Instant::now() + REST;
                let queues = &mut self.shared.inbox.lock();
                batch.into_iter().chain(facts).for_each(|(key, facts)| queues.put_back(key, facts));
                return;
            }
        }
    }

    /// Gives back what could not be written and may be later.
    fn flush_batch(&mut self, batch: Vec<(Key, Facts)>) -> Result<(), Vec<(Key, Facts)>> {
        let started = Instant::now();
        let (keys, facts): (Vec<Key>, Vec<Facts>) = batch.into_iter().unzip();
        let done = self.transact(|tx| Ok(rows::save_facts(tx.sql, &facts, tx.generation)?));
        match done {
            Ok(()) => {
                metrics::histogram!(STORE_FLUSH_SECONDS.name).record(started.elapsed().as_secs_f64());
                tracing::debug!(devices = facts.len(), ms = started.elapsed().as_millis() as u64, "what was seen is written");
                Ok(())
            }
            Err(StoreError::Broken(_)) if facts.len() > 1 => {
                let mut left: Vec<_> = keys.into_iter().zip(facts).collect();
                let right = left.split_off(left.len() / 2);
                self.flush_batch(left).and_then(|()| self.flush_batch(right))
            }
            Err(error @ StoreError::Broken(_)) => {
                metrics::counter!(STORE_ERRORS_TOTAL.name, "what" => "flush").increment(1);
                tracing::error!(%error, "what was seen of a device cannot be written");
                Ok(())
            }
            Err(_) => Err(keys.into_iter().zip(facts).collect()),
        }
    }
}

/// Changes of devices, on top of what is stored: all rows are read, then all are written, without waiting for each.
fn save(tx: &mut Tx<'_>, batch: &[Change]) -> Result<(), StoreError> {
    let mut places: HashMap<Key, usize> = HashMap::new();
    let mut names = Vec::new();
    for change in batch {
        places.entry(change.key).or_insert_with(|| {
            names.push((&change.write.mailbox, &change.write.device_id));
            names.len() - 1
        });
    }
    let mut partnerships = rows::load_many(tx.sql, &names)?;
    for Change { key, write, .. } in batch {
        let partnership = partnerships[places[key]].get_or_insert_with(|| write.base());
        let before = Before::of(partnership);
        write.apply(partnership);
        if write.changes.iter().any(|change| matches!(change, DeviceChange::Seen { .. } | DeviceChange::Informed(_))) {
            tx.decide_by_snapshot(partnership);
        }
        audit_wipe(tx, partnership, before, write.source())?;
        tx.touched.news.extend(before.news(partnership));
    }
    let saved: Vec<Partnership> = partnerships.into_iter().flatten().collect();
    rows::save_many(tx.sql, &saved, tx.generation)?;
    tx.touched.saved = saved;
    batch.iter().try_for_each(|change| save_password(tx, &change.write))
}

/// Sealed, into a row that is there by now.
fn save_password(tx: &mut Tx<'_>, write: &DeviceWrite) -> Result<(), StoreError> {
    for change in &write.changes {
        if let DeviceChange::RecoveryPassword(password) = change {
            let password = password.as_ref().map(|password| tx.key.seal(&write.mailbox, &write.device_id, password.reveal()));
            let sealed = password.transpose().map_err(|_| StoreError::Unreadable)?;
            rows::save_password(tx.sql, &write.mailbox, &write.device_id, sealed)?;
            tx.sql.execute("UPDATE store_state SET key_mark = ?1 WHERE id = 1", params![tx.key.mark()])?;
        }
    }
    Ok(())
}

/// The steps of an order to erase that the device takes are part of its story; one that comes back and asks over and over is one step.
fn audit_wipe(tx: &mut Tx<'_>, partnership: &Partnership, before: Before, from: Option<IpAddr>) -> Result<(), StoreError> {
    let Some(wipe) = partnership.wipe.as_ref() else { return Ok(()) };
    // After an acknowledgement the first time counts at once; before, a device that asks twice in a row has not come back.
    let told_before = before.sent_again_at.or(before.sent_at.filter(|_| wipe.state != WipeState::Acknowledged));
    let quiet_s = |at: Timestamp| told_before.map_or(u64::MAX, |earlier| at.since(earlier));
    let came_back = wipe.sent_again_at.is_some_and(|at| quiet_s(at) >= COME_BACK_S);
    let is_new = Some(wipe.state) != before.wipe;
    let act = match wipe.state {
        WipeState::Sent if is_new => "wipe sent",
        WipeState::Acknowledged if is_new => "wipe acknowledged",
        WipeState::Failed if is_new => "wipe failed",
        WipeState::Requested | WipeState::Cancelled => return Ok(()),
        _ if came_back => "wipe sent again",
        _ => return Ok(()),
    };
    let by = By { actor: DEVICE.into(), source: from.map_or_else(String::new, |from| from.to_string()), token: None };
    let proof = match wipe.state {
        WipeState::Acknowledged if is_new && wipe.acknowledged_with_credentials => ", with the user's password",
        WipeState::Acknowledged if is_new => ", without a password: anybody who knows the device id may have said so",
        _ => "",
    };
    let late = if is_new && !wipe.stands() { "; the order had been taken back" } else { "" };
    let detail = format!("{}{proof}{late}", wipe.kind.name());
    let deed = Deed::new(act).mailbox(&partnership.mailbox).device(&partnership.device_id).detail(detail);
    tx.audit(&deed.entry(&by, tx.now, "done"))
}

fn save_tokens(tx: &mut Tx<'_>, tokens: &HashMap<String, Timestamp>) -> Result<(), StoreError> {
    for (id, at) in tokens {
        tx.sql.execute("UPDATE tokens SET last_used_at = ?2 WHERE id = ?1", params![id.as_str(), *at])?;
    }
    Ok(())
}

/// For those who wait for a change.
pub(super) type Saved = oneshot::Receiver<()>;
