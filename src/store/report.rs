//! What the store says about itself: metrics, readiness, and one line a minute when it has to give something up.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Store;
use super::writer::Writer;
use crate::config::limits::{STORE_CHANGES_MAX, STORE_FACTS_MAX};
use crate::telemetry::metrics::{STORE_CONNECTED, STORE_DEVICES, STORE_DROPPED_TOTAL, STORE_QUEUE_LENGTH};

/// Between two lines about the same.
const QUIET: Duration = Duration::from_secs(60);

/// The state of the store, for readiness and status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The database answers.
    pub is_connected: bool,
    /// It takes what is written; false: it answers and has no room, or refuses for another reason that may pass.
    pub takes_writes: bool,
    /// Devices' changes (keys, wipes) that are not written yet.
    pub changes: usize,
    /// Devices of which something seen is not written yet.
    pub seen: usize,
    /// No room for more of either: what comes now is not written.
    pub is_full: bool,
    /// What found no room since the start.
    pub dropped: u64,
    /// Devices known.
    pub devices: usize,
}

/// What was said last.
#[derive(Default)]
pub(super) struct Said {
    dropped: u64,
    at: Option<Instant>,
}

impl Store {
    /// How it is.
    pub fn health(&self) -> Health {
        let shared = self.shared();
        let devices = shared.gate.len();
        let queues = shared.inbox.lock();
        Health {
            is_connected: shared.connected.load(Ordering::Acquire),
            takes_writes: shared.takes_writes.load(Ordering::Acquire),
            changes: queues.changes.len(),
            seen: queues.facts.len(),
            is_full: queues.changes.len() >= STORE_CHANGES_MAX || queues.facts.len() >= STORE_FACTS_MAX,
            dropped: queues.dropped,
            devices,
        }
    }
}

impl Health {
    /// One sentence for the readiness answer; `None` if there is nothing to say.
    pub fn trouble(&self) -> Option<String> {
        if self.is_full {
            return Some(format!(
                "the database does not take what devices do, and memory for it is full: {} facts were given up",
                self.dropped
            ));
        }
        let waiting = self.changes + self.seen;
        let what = match (self.is_connected, self.takes_writes) {
            (false, _) => "is away",
            (true, false) => "takes no writes (is the disk full?)",
            (true, true) => return None,
        };
        Some(format!("the database {what}: devices are served from memory, {waiting} facts wait for it, administrators have to wait"))
    }
}

impl Writer {
    /// Once a turn.
    pub(super) fn report(&mut self) {
        let (changes, seen, dropped) = {
            let queues = self.shared.inbox.lock();
            (queues.changes.len(), queues.facts.len(), queues.dropped)
        };
        metrics::gauge!(STORE_QUEUE_LENGTH.name, "of" => "changes").set(changes as f64);
        metrics::gauge!(STORE_QUEUE_LENGTH.name, "of" => "seen").set(seen as f64);
        metrics::gauge!(STORE_DEVICES.name).set(self.shared.gate.len() as f64);
        metrics::gauge!(STORE_CONNECTED.name).set(if self.sql.is_some() { 1.0 } else { 0.0 });
        metrics::counter!(STORE_DROPPED_TOTAL.name).absolute(dropped);
        let now = Instant::now();
        if dropped > self.said.dropped && self.said.at.is_none_or(|at| now.duration_since(at) >= QUIET) {
            tracing::error!(
                given_up = dropped - self.said.dropped,
                "the database does not take what devices do, and memory for it is full: facts are given up"
            );
            self.said = Said { dropped, at: Some(now) };
        }
    }
}
