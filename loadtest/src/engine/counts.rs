//! What the devices of a process did: states, counts and latencies, taken away tick by tick.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use pushgate::standin::device::{DeviceError, Event, Observer};
use serde::{Deserialize, Serialize};

use super::pending::{Change, Pending};
use crate::results::{States, new_histogram};

/// Counters of one process.
#[derive(Debug)]
pub struct Counts {
    devices: Vec<Cell>,
    /// By [`State`].
    states: [AtomicU64; STATES],
    held_max: AtomicU64,
    held_once: AtomicU64,
    wakes: AtomicU64,
    changes: AtomicU64,
    expired: AtomicU64,
    needless: AtomicU64,
    connections: AtomicU64,
    exchanges: AtomicU64,
    /// Changes that were asked for and are not sent yet.
    pub to_send: AtomicU64,
    lost_after: Duration,
    rare: Mutex<Rare>,
}

/// What is behind a lock: touched by changes and failures, not by waiting.
#[derive(Debug)]
struct Rare {
    pending: Pending,
    corrected: Histogram<u64>,
    uncorrected: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    first_error: Option<String>,
}

#[derive(Debug, Default)]
struct Cell {
    state: AtomicU8,
    was_held: AtomicBool,
}

/// Where a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum State {
    NotStarted,
    Connecting,
    Syncing,
    /// Its Ping is on the way: it can be woken, and will count as held in a moment.
    Asked,
    Held,
    BackingOff,
    Offline,
}

const STATES: usize = 7;

/// What happened since the tick before, and what is now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tick {
    pub states: States,
    pub not_started: u64,
    pub held_max: u64,
    pub held_once: u64,
    /// Changes that could have been answered and are not yet.
    pub outstanding: usize,
    /// Changes that were asked for and are not sent yet.
    pub to_send: u64,
    /// Memory of the process, what it shares with others in part.
    pub pss_bytes: u64,
    pub wakes: u64,
    pub changes: u64,
    pub lost: u64,
    pub expired: u64,
    pub needless: u64,
    pub connections: u64,
    pub exchanges: u64,
    pub errors: BTreeMap<String, u64>,
    /// The first of all, in words.
    pub first_error: Option<String>,
    /// Microseconds, each with its count: from when a change was due, and from when it was sent.
    pub corrected_us: Vec<(u64, u64)>,
    pub uncorrected_us: Vec<(u64, u64)>,
}

impl Counts {
    /// For so many devices, none of them started. A device that was to be woken and is not `lost_after` later is lost.
    pub fn new(devices: usize, lost_after: Duration) -> Self {
        let zero = || AtomicU64::new(0);
        let counts = Counts {
            devices: (0..devices).map(|_| Cell::default()).collect(),
            states: std::array::from_fn(|_| zero()),
            held_max: zero(),
            held_once: zero(),
            wakes: zero(),
            changes: zero(),
            expired: zero(),
            needless: zero(),
            connections: zero(),
            exchanges: zero(),
            to_send: zero(),
            lost_after,
            rare: Mutex::new(Rare {
                pending: Pending::default(),
                corrected: new_histogram(),
                uncorrected: new_histogram(),
                errors: BTreeMap::new(),
                first_error: None,
            }),
        };
        counts.states[State::NotStarted as usize].store(devices as u64, Relaxed);
        counts
    }

    /// Whether a device has been held at least once: the server knows it.
    pub fn was_held(&self, device: usize) -> bool {
        self.devices[device].was_held.load(Relaxed)
    }

    /// Whether a device is held now.
    pub fn is_held(&self, device: usize) -> bool {
        self.devices[device].state.load(Relaxed) == State::Held as u8
    }

    /// Whether a change of this device is not answered yet.
    pub fn is_awaited(&self, device: usize) -> bool {
        self.rare().pending.is_awaited(device)
    }

    /// A change of this device's mailbox is about to be sent; it was due at `due`. Whether the device can be woken now.
    pub fn changing(&self, device: usize, due: Instant) -> bool {
        let sent = Instant::now();
        // Under the lock, so that an answer that is read meanwhile finds the change.
        let mut rare = self.rare();
        let is_reachable = [State::Asked as u8, State::Held as u8].contains(&self.devices[device].state.load(Relaxed));
        rare.pending.add(device, Change { due, sent, away: !is_reachable, reachable: is_reachable.then_some(sent) });
        self.changes.fetch_add(1, Relaxed);
        is_reachable
    }

    /// Something failed that is no device's.
    pub fn failed(&self, kind: &str, words: &str) {
        let mut rare = self.rare();
        *rare.errors.entry(kind.to_owned()).or_default() += 1;
        rare.first_error.get_or_insert_with(|| words.to_owned());
    }

    /// A device lost its network.
    pub fn offline(&self, device: usize) {
        self.enter(device, State::Offline);
        self.rare().pending.reachable(device, None);
    }

    /// The bytes of its answer are there: it is not held any more.
    pub fn reading(&self, device: usize) {
        self.enter(device, State::Syncing);
    }

    /// Takes what happened since the last time.
    pub fn take(&self) -> Tick {
        let take = |counter: &AtomicU64| counter.swap(0, Relaxed);
        let state = |state: State| self.states[state as usize].load(Relaxed);
        let mut rare = self.rare();
        let lost = rare.pending.lost(self.lost_after, Instant::now());
        Tick {
            states: States {
                connecting: state(State::Connecting),
                syncing: state(State::Syncing) + state(State::Asked),
                held: state(State::Held),
                backing_off: state(State::BackingOff),
                offline: state(State::Offline),
            },
            not_started: state(State::NotStarted),
            held_max: self.held_max.load(Relaxed),
            held_once: self.held_once.load(Relaxed),
            outstanding: rare.pending.outstanding(),
            to_send: self.to_send.load(Relaxed),
            pss_bytes: pss(),
            wakes: take(&self.wakes),
            changes: take(&self.changes),
            lost,
            expired: take(&self.expired),
            needless: take(&self.needless),
            connections: take(&self.connections),
            exchanges: take(&self.exchanges),
            errors: std::mem::take(&mut rare.errors),
            first_error: rare.first_error.clone(),
            corrected_us: pairs(&mut rare.corrected),
            uncorrected_us: pairs(&mut rare.uncorrected),
        }
    }

    fn rare(&self) -> MutexGuard<'_, Rare> {
        // A poisoned lock holds counters all the same.
        self.rare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, device: usize, state: State) {
        let cell = &self.devices[device];
        let before = cell.state.swap(state as u8, Relaxed);
        if before == state as u8 {
            return;
        }
        self.states[usize::from(before)].fetch_sub(1, Relaxed);
        let now = self.states[state as usize].fetch_add(1, Relaxed) + 1;
        if state == State::Held {
            self.held_max.fetch_max(now, Relaxed);
            if !cell.was_held.swap(true, Relaxed) {
                self.held_once.fetch_add(1, Relaxed);
            }
        }
    }

    /// Status 2.
    fn woken(&self, device: usize, at: Instant) {
        let mut rare = self.rare();
        let answered = rare.pending.told(device, at);
        if answered.is_empty() {
            self.needless.fetch_add(1, Relaxed);
            return;
        }
        self.wakes.fetch_add(1, Relaxed);
        // Who was not there could not be told sooner: that is no latency of the server.
        for change in answered.iter().filter(|change| !change.away) {
            let us = |since: Instant| at.saturating_duration_since(since).as_micros() as u64;
            rare.corrected.saturating_record(us(change.due));
            rare.uncorrected.saturating_record(us(change.sent));
        }
    }
}

impl Observer for Counts {
    fn note(&self, device: usize, event: Event<'_>) {
        match event {
            Event::Connecting => self.enter(device, State::Connecting),
            Event::Connected => {
                self.connections.fetch_add(1, Relaxed);
                self.enter(device, State::Syncing);
            }
            Event::Exchanged(count) => {
                self.exchanges.fetch_add(count.into(), Relaxed);
            }
            Event::PingSent => {
                self.enter(device, State::Asked);
                self.rare().pending.reachable(device, Some(Instant::now()));
            }
            Event::Held => self.enter(device, State::Held),
            Event::PingAnswered { status, at, .. } => {
                self.enter(device, State::Syncing);
                match status {
                    2 => self.woken(device, at),
                    1 => drop(self.expired.fetch_add(1, Relaxed)),
                    _ => {}
                }
            }
            Event::InStep { began, brought } => self.rare().pending.in_step(device, began, brought),
            Event::Fetched(_) => {}
            Event::Failed(error) => {
                self.enter(device, State::BackingOff);
                self.rare().pending.reachable(device, None);
                self.failed(&kind(error), &error.to_string());
            }
        }
    }
}

impl Tick {
    /// Another process's tick of the same moment.
    pub fn add(&mut self, other: &Tick) {
        self.states = self.states.plus(other.states);
        self.not_started += other.not_started;
        self.held_max += other.held_max;
        self.held_once += other.held_once;
        self.outstanding += other.outstanding;
        self.to_send += other.to_send;
        self.pss_bytes += other.pss_bytes;
        self.corrected_us.extend(&other.corrected_us);
        self.uncorrected_us.extend(&other.uncorrected_us);
        self.carry(other);
    }

    /// Adds what was counted before.
    pub fn carry(&mut self, before: &Tick) {
        self.wakes += before.wakes;
        self.changes += before.changes;
        self.lost += before.lost;
        self.expired += before.expired;
        self.needless += before.needless;
        self.connections += before.connections;
        self.exchanges += before.exchanges;
        for (kind, count) in &before.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.first_error = self.first_error.take().or_else(|| before.first_error.clone());
    }
}

/// Memory of this process that is in RAM, in bytes; 0 where the system does not say.
fn pss() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1_024
}

/// For counting: what failed, a little more closely than the error's own label.
fn kind(error: &DeviceError) -> String {
    match error {
        DeviceError::Http(status) => format!("http {status}"),
        DeviceError::Status(command, status) => format!("{command} status {status}"),
        other => other.label().to_owned(),
    }
}

/// A histogram as pairs; it is empty then.
fn pairs(histogram: &mut Histogram<u64>) -> Vec<(u64, u64)> {
    let pairs = histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
    histogram.reset();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST_AFTER: Duration = Duration::from_millis(20);

    fn held() -> Counts {
        let counts = Counts::new(2, LOST_AFTER);
        for event in [Event::Connecting, Event::Connected, Event::PingSent, Event::Held] {
            counts.note(1, event);
        }
        counts
    }

    fn answered(status: u8) -> Event<'static> {
        Event::PingAnswered { status, at: Instant::now(), after: Duration::ZERO }
    }

    #[test]
    fn a_device_is_in_one_state_and_counts_once_as_held() {
        let counts = held();
        counts.note(1, answered(1));
        counts.note(1, Event::PingSent);
        counts.note(1, Event::Held);
        let tick = counts.take();
        assert_eq!((tick.states, tick.not_started), (States { held: 1, ..States::default() }, 1));
        assert_eq!((tick.held_once, tick.held_max, tick.expired, tick.connections), (1, 1, 1, 1));
        assert_eq!(counts.take().connections, 0, "it was taken");
    }

    #[test]
    fn a_wake_is_measured_from_when_the_change_was_due() {
        let counts = held();
        let due = Instant::now() - Duration::from_secs(1);
        assert!(counts.changing(1, due));
        counts.note(1, answered(2));
        counts.note(1, answered(2));
        let tick = counts.take();
        assert_eq!((tick.changes, tick.wakes, tick.needless, tick.lost), (1, 1, 1, 0));
        assert!(tick.corrected_us[0].0 >= 1_000_000 && tick.uncorrected_us[0].0 < 1_000_000, "{tick:?}");
    }

    #[test]
    fn what_is_not_answered_in_time_is_lost_and_failures_have_kinds() {
        let counts = held();
        counts.changing(1, Instant::now());
        assert_eq!(counts.take().outstanding, 1);
        std::thread::sleep(LOST_AFTER);
        assert_eq!(counts.take().lost, 1);
        assert_eq!(counts.take().lost, 0, "once");
        counts.note(1, Event::Failed(&DeviceError::Http(503)));
        let tick = counts.take();
        assert_eq!((tick.errors["http 503"], tick.states.backing_off, tick.first_error.as_deref()), (1, 1, Some("HTTP status 503")));
    }

    #[test]
    fn a_change_for_a_device_that_is_away_is_no_latency() {
        let counts = held();
        counts.offline(1);
        assert!(!counts.changing(1, Instant::now()));
        counts.note(1, Event::PingSent);
        counts.note(1, answered(2));
        let tick = counts.take();
        assert_eq!((tick.wakes, tick.corrected_us.len()), (1, 0));
    }
}
