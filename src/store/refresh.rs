//! Memory follows the database: everything at start, then what this or another process changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::alarms::Alarm;
use super::error::{OpenError, StoreError};
use super::gate::Key;
use super::news::Before;
use super::pending::Queues;
use super::place::in_one_moment;
use super::rows::{self, Stored};
use super::snapshot::Snapshot;
use super::sql::{Sql, SqlError, params};
use super::transaction::{Touched, Tx};
use super::writer::Writer;
use crate::logic::eas::{DeviceId, Mailbox};
use crate::logic::policy::access::{AccessState, DISCOVERY_S, Rules};

/// Devices read at once.
const PAGE: u64 = 2_000;
/// How often devices are looked for that did not describe themselves in time.
const DISCOVERY: Duration = Duration::from_secs(20);

/// The row of that name.
struct State {
    generation: u64,
    snapshot_generation: u64,
    removals_since: u64,
    decide_after: Option<u64>,
}

fn state(sql: &mut dyn Sql) -> Result<State, SqlError> {
    let rows = sql.query("SELECT generation, snapshot_generation, removals_since, decide_after FROM store_state WHERE id = 1", &[])?;
    let row = rows.first().ok_or_else(|| rows::strange("its state"))?;
    Ok(State {
        generation: row.number(0)?,
        snapshot_generation: row.number(1)?,
        removals_since: row.number(2)?,
        decide_after: row.some_int(3)?.and_then(|id| u64::try_from(id).ok()),
    })
}

impl Writer {
    /// Everything, at start.
    pub(super) fn load(&mut self) -> Result<(), OpenError> {
        let started = Instant::now();
        self.refresh()?;
        self.compare_keys()?;
        let gate = &self.shared.gate;
        tracing::info!(devices = gate.len(), bytes = gate.bytes(), ms = started.elapsed().as_millis() as u64, "store loaded");
        Ok(())
    }

    /// A recovery key that is not the one used last makes what was stored unreadable; nothing else breaks.
    fn compare_keys(&mut self) -> Result<(), SqlError> {
        let mark = self.shared.key.mark();
        let Some(sql) = self.sql.as_deref_mut() else { return Ok(()) };
        let rows = sql.query("SELECT key_mark FROM store_state WHERE id = 1", &[])?;
        let known = rows.first().map(|row| row.some_text(0)).transpose()?.flatten();
        if known.is_some_and(|known| known != mark) {
            tracing::error!(
                "store.key_file is not the one the recovery passwords were stored with: they cannot be shown until it is restored"
            );
        }
        Ok(())
    }

    /// What changed since the last time. True: devices wait to be decided anew.
    pub(super) fn refresh(&mut self) -> Result<bool, SqlError> {
        let Some(sql) = self.sql.as_deref_mut() else { return Ok(false) };
        let state = state(sql)?;
        if self.shared.snapshot.load().generation < state.snapshot_generation {
            let snapshot = in_one_moment(sql, |sql| {
                let generation = self::state(sql)?.generation;
                Snapshot::load(sql, generation)
            })?;
            let snapshot = Arc::new(snapshot);
            let before = self.shared.snapshot.swap(snapshot.clone());
            self.shared.alarms.replaced(&before, &snapshot);
        }
        if state.generation > self.generation {
            if self.generation < state.removals_since {
                self.reload_devices()?;
            } else {
                self.reload_changed()?;
            }
            self.generation = state.generation;
        }
        Ok(state.decide_after.is_some())
    }

    /// All devices. Those that are known stay known meanwhile: the data plane must not take them for new ones.
    fn reload_devices(&mut self) -> Result<(), SqlError> {
        let shared = self.shared.clone();
        let mut present = HashSet::new();
        let is_first = shared.gate.len() == 0;
        let mut after = 0;
        loop {
            let Some(sql) = self.sql.as_deref_mut() else { return Ok(()) };
            let page = rows::page_after(sql, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            if !is_first {
                present.extend(page.iter().map(|stored| shared.gate.key(&stored.partnership.mailbox, &stored.partnership.device_id)));
            }
            self.put(&page);
        }
        if !is_first {
            // Under the lock, so that a device that comes for the first time just now is among those that wait.
            let queues = shared.inbox.lock();
            present.extend(queues.changes.iter().map(|change| change.key));
            shared.gate.retain(&present);
            shared.alarms.raise(Alarm::Everyone);
        }
        Ok(())
    }

    /// Devices that were removed or changed, in that order: one that was removed and came back is there.
    fn reload_changed(&mut self) -> Result<(), SqlError> {
        let since = self.generation;
        let Some(sql) = self.sql.as_deref_mut() else { return Ok(()) };
        let removed = sql.query("SELECT mailbox, device_id FROM removed_devices WHERE generation > ?1", params![since])?;
        for row in &removed {
            let mailbox = Mailbox::normalise(row.text(0)?, None, false);
            if let (Some(mailbox), Ok(device_id)) = (mailbox, DeviceId::new(row.text(1)?.as_bytes())) {
                let gate = &self.shared.gate;
                gate.remove(&mailbox, &device_id);
                self.shared.alarms.removed(&mailbox, &device_id);
                // What was seen before must not bring it back.
                self.shared.inbox.lock().facts.remove(&gate.key(&mailbox, &device_id));
            }
        }
        let mut after = 0;
        loop {
            let Some(sql) = self.sql.as_deref_mut() else { return Ok(()) };
            let page = rows::changed_since(sql, since, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            self.put(&page);
        }
    }

    fn put(&self, page: &[Stored]) {
        let queues = self.shared.inbox.lock();
        let waiting = waiting(&queues);
        for stored in page {
            self.put_one(&stored.partnership, &queues, &waiting);
        }
    }

    /// What a transaction touched.
    pub(super) fn tell(&self, touched: &Touched) {
        let mut queues = self.shared.inbox.lock();
        for (mailbox, device_id) in &touched.removed {
            queues.forget(self.shared.gate.key(mailbox, device_id));
            self.shared.gate.remove(mailbox, device_id);
            self.shared.alarms.removed(mailbox, device_id);
        }
        let waiting = waiting(&queues);
        for partnership in &touched.saved {
            self.put_one(partnership, &queues, &waiting);
        }
    }

    /// The database's record, and on top of it what still waits to be written.
    fn put_one(&self, partnership: &crate::logic::policy::Partnership, queues: &Queues, waiting: &HashMap<Key, Vec<usize>>) {
        let gate = &self.shared.gate;
        let key = gate.key(&partnership.mailbox, &partnership.device_id);
        match waiting.get(&key) {
            None => gate.put(partnership),
            Some(places) => {
                let mut ahead = partnership.clone();
                places.iter().for_each(|place| queues.changes[*place].write.apply(&mut ahead));
                gate.put(&ahead);
            }
        }
        self.shared.alarms.saved(partnership);
    }

    /// Once a second.
    pub(super) fn poll(&mut self) {
        let done = self.refresh().map_err(StoreError::from);
        let done = done.and_then(|are_waiting| self.decide_some(are_waiting)).and_then(|()| self.expire_audit());
        if let Err(error) = done {
            tracing::debug!(%error, "looking for changes failed");
            self.look_after_connection();
        }
    }

    /// Decides devices anew after the access rules changed, a page at a time, and those whose time to describe themselves is over.
    fn decide_some(&mut self, are_waiting: bool) -> Result<(), StoreError> {
        if are_waiting {
            self.transact(decide_page)?;
            // The rest soon, with everybody's turn in between.
            self.poll_at_once();
        }
        if Instant::now() >= self.next_discovery {
            self.next_discovery = Instant::now() + DISCOVERY;
            self.end_discovery()?;
        }
        Ok(())
    }

    fn end_discovery(&mut self) -> Result<(), StoreError> {
        let due = super::now().0.saturating_sub(DISCOVERY_S);
        let statement = format!(
            "SELECT {} FROM devices WHERE access_state = 'discovery' AND access_state <> 'allowed' AND first_sync_at <= ?1 LIMIT {PAGE}",
            rows::COLUMNS
        );
        let Some(sql) = self.sql.as_deref_mut() else { return Ok(()) };
        if sql.query(&statement, params![due])?.is_empty() {
            return Ok(());
        }
        self.transact(|tx| {
            let page: Vec<Stored> = tx.sql.query(&statement, params![due])?.iter().map(rows::read).collect::<Result<_, _>>()?;
            decide(tx, page)
        })
    }
}

/// A page of [`decide_all_anew`].
fn decide_page(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    // Read again inside: another process may have been faster, or the rules changed once more.
    let State { decide_after, snapshot_generation, .. } = state(tx.sql)?;
    let Some(after) = decide_after else { return Ok(()) };
    if tx.snapshot.generation < snapshot_generation {
        return Ok(());
    }
    let page = rows::page_after(tx.sql, after, PAGE)?;
    let next = page.last().map(|last| last.id).filter(|_| page.len() as u64 == PAGE);
    decide(tx, page)?;
    tx.sql.execute("UPDATE store_state SET decide_after = ?1 WHERE id = 1", params![next])?;
    Ok(())
}

/// New rules, for the first page at once, so that whoever sets them sees what they do. Then all of them by whichever process comes to it
/// first: another may decide a device by the old rules for a second yet.
pub(super) fn decide_all_anew(tx: &mut Tx<'_>, rules: &Rules) -> Result<(), StoreError> {
    let page = rows::page_after(tx.sql, 0, PAGE)?;
    decide_by(tx, page, rules)?;
    tx.sql.execute("UPDATE store_state SET decide_after = 0 WHERE id = 1", &[])?;
    Ok(())
}

fn decide(tx: &mut Tx<'_>, page: Vec<Stored>) -> Result<(), StoreError> {
    let snapshot = tx.snapshot;
    decide_by(tx, page, &snapshot.rules)
}

/// Saves those that are decided otherwise than before.
fn decide_by(tx: &mut Tx<'_>, page: Vec<Stored>, rules: &Rules) -> Result<(), StoreError> {
    let mut changed = Vec::new();
    for mut partnership in page.into_iter().map(|stored| stored.partnership) {
        let (before, why) = (Before::of(&partnership), partnership.access_why.clone());
        let settings = tx.snapshot.mailbox(&partnership.mailbox).settings;
        tx.decide(&mut partnership, &settings, rules);
        if (before.access, &why) != (partnership.access_state, &partnership.access_why) {
            // Whoever changes the rules knows that devices are decided anew; a device that kept silent for too long is news.
            tx.touched.news.extend(before.news(&partnership).filter(|_| before.access == AccessState::Discovery));
            changed.push(partnership);
        }
    }
    rows::save_many(tx.sql, &changed, tx.generation)?;
    tx.touched.saved.extend(changed);
    Ok(())
}

/// Where in the queue each device's changes wait.
fn waiting(queues: &Queues) -> HashMap<Key, Vec<usize>> {
    let mut places: HashMap<Key, Vec<usize>> = HashMap::new();
    for (place, change) in queues.changes.iter().enumerate() {
        places.entry(change.key).or_default().push(place);
    }
    places
}
