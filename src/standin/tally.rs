//! Keeps count of what many devices do: held, woken, how fast, and whether anything was lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::cas::ItemId;
use super::device::{Event, Observer};

/// The longest latency told apart: a minute, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;

/// Counters for a number of devices; each device is known by its index.
#[derive(Debug)]
pub struct Tally {
    devices: Vec<Cell>,
    began: Instant,
    held: AtomicUsize,
    held_max: AtomicUsize,
    wakes: AtomicU64,
    needless: AtomicU64,
    expired: AtomicU64,
    connections: AtomicU64,
    /// Microseconds after the beginning: the last connection before all were held, and when all were; 0: not yet.
    last_connected_us: AtomicU64,
    all_held_us: AtomicU64,
    latencies: Mutex<Histogram<u64>>,
    errors: Mutex<BTreeMap<String, u64>>,
    first_error: Mutex<Option<String>>,
    /// Delivered and not fetched yet, and for whom.
    missing: Mutex<HashMap<ItemId, usize>>,
}

/// What is known of one device.
#[derive(Debug, Default)]
struct Cell {
    is_held: AtomicBool,
    /// When its mailbox was notified and it has not been woken since: microseconds after the beginning, plus one; 0: no.
    notified_us: AtomicU64,
}

impl Tally {
    /// For so many devices, none of them held.
    pub fn new(devices: usize) -> Self {
        Tally {
            devices: (0..devices).map(|_| Cell::default()).collect(),
            began: Instant::now(),
            held: AtomicUsize::new(0),
            held_max: AtomicUsize::new(0),
            wakes: AtomicU64::new(0),
            needless: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            last_connected_us: AtomicU64::new(0),
            all_held_us: AtomicU64::new(0),
            latencies: Mutex::new(Histogram::new_with_max(LATENCY_MAX_US, 3).expect("the range is a constant")),
            errors: Mutex::default(),
            first_error: Mutex::default(),
            missing: Mutex::default(),
        }
    }

    /// A notification for this device's mailbox is about to be sent: a wake counts from now if the device is held.
    /// Returns whether it is.
    pub fn notifying(&self, device: usize) -> bool {
        let cell = &self.devices[device];
        let now_us = self.now_us();
        let is_held = cell.is_held.load(Relaxed);
        if is_held {
            // If it was notified before and not woken yet, that is what it is waiting for.
            let _ = cell.notified_us.compare_exchange(0, now_us, Relaxed, Relaxed);
        }
        is_held
    }

    /// An item was delivered to this device's mailbox, and the device should fetch it.
    pub fn delivered(&self, item: ItemId, device: usize) {
        lock(&self.missing).insert(item, device);
    }

    /// Items delivered and not fetched.
    pub fn missing(&self) -> usize {
        lock(&self.missing).len()
    }

    /// Devices whose notification has not woken them yet.
    pub fn waiting_for_wake(&self) -> usize {
        self.devices.iter().filter(|cell| cell.notified_us.load(Relaxed) != 0).count()
    }

    /// Devices held now.
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Most devices held at once.
    pub fn held_max(&self) -> usize {
        self.held_max.load(Relaxed)
    }

    /// Devices that were notified and then woken.
    pub fn wakes(&self) -> u64 {
        self.wakes.load(Relaxed)
    }

    /// Status 2 without a notification of ours.
    pub fn needless(&self) -> u64 {
        self.needless.load(Relaxed)
    }

    /// Status 1.
    pub fn expired(&self) -> u64 {
        self.expired.load(Relaxed)
    }

    /// Connections made.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// From the beginning until the last connection before all devices were held.
    pub fn connecting_time(&self) -> Duration {
        Duration::from_micros(self.last_connected_us.load(Relaxed))
    }

    /// From the beginning until all devices were held; `None`: they have never been.
    pub fn all_held_after(&self) -> Option<Duration> {
        let us = self.all_held_us.load(Relaxed);
        (us > 0).then(|| Duration::from_micros(us))
    }

    /// Notification → answer read, in microseconds. A copy.
    pub fn latencies(&self) -> Histogram<u64> {
        lock(&self.latencies).clone()
    }

    /// Forgets the latencies so far: a new measurement begins.
    pub fn reset_latencies(&self) {
        lock(&self.latencies).reset();
    }

    /// Failures by kind.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        lock(&self.errors).clone()
    }

    /// The first failure in words.
    pub fn first_error(&self) -> Option<String> {
        lock(&self.first_error).clone()
    }

    /// Microseconds since the beginning, plus one: 0 stands for "not yet".
    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64 + 1
    }

    fn woken(&self, device: usize, at: Instant) {
        let notified_us = self.devices[device].notified_us.swap(0, Relaxed);
        if notified_us == 0 {
            self.needless.fetch_add(1, Relaxed);
            return;
        }
        self.wakes.fetch_add(1, Relaxed);
        let latency = at.saturating_duration_since(self.began + Duration::from_micros(notified_us - 1));
        lock(&self.latencies).saturating_record(latency.as_micros() as u64);
    }

    fn set_held(&self, device: usize, is_held: bool) {
        let was_held = self.devices[device].is_held.swap(is_held, Relaxed);
        match (was_held, is_held) {
            (false, true) => {
                let held = self.held.fetch_add(1, Relaxed) + 1;
                self.held_max.fetch_max(held, Relaxed);
                if held == self.devices.len() {
                    // Only the first time counts.
                    let _ = self.all_held_us.compare_exchange(0, self.now_us(), Relaxed, Relaxed);
                }
            }
            (true, false) => {
                self.held.fetch_sub(1, Relaxed);
            }
            _ => {}
        }
    }
}

impl Observer for Tally {
    fn note(&self, device: usize, event: Event<'_>) {
        match event {
            Event::Connecting | Event::Exchanged(_) | Event::PingSent | Event::InStep { .. } => {}
            Event::Connected => {
                self.connections.fetch_add(1, Relaxed);
                if self.all_held_us.load(Relaxed) == 0 {
                    self.last_connected_us.fetch_max(self.now_us(), Relaxed);
                }
            }
            Event::Held => self.set_held(device, true),
            Event::PingAnswered { status, at, .. } => {
                self.set_held(device, false);
                match status {
                    2 => self.woken(device, at),
                    1 => {
                        self.expired.fetch_add(1, Relaxed);
                    }
                    _ => {}
                }
            }
            Event::Fetched(item) => {
                lock(&self.missing).remove(&item);
            }
            Event::Failed(error) => {
                self.set_held(device, false);
                lock(&self.first_error).get_or_insert_with(|| error.to_string());
                *lock(&self.errors).entry(error.label().to_owned()).or_default() += 1;
            }
        }
    }
}

/// A poisoned lock holds counters all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standin::device::DeviceError;

    fn answered(status: u8) -> Event<'static> {
        Event::PingAnswered { status, at: Instant::now(), after: Duration::ZERO }
    }

    #[test]
    fn a_wake_counts_only_for_a_held_device_that_was_notified() {
        let tally = Tally::new(2);
        assert!(!tally.notifying(0), "it is not held");
        tally.note(0, answered(2));
        assert_eq!((tally.wakes(), tally.needless()), (0, 1));
        tally.note(0, Event::Held);
        tally.note(0, Event::Held);
        tally.note(1, Event::Held);
        assert!(tally.notifying(0));
        assert_eq!((tally.held(), tally.waiting_for_wake()), (2, 1));
        assert!(tally.all_held_after().is_some());
        tally.note(0, answered(2));
        assert_eq!((tally.wakes(), tally.latencies().len(), tally.held(), tally.held_max()), (1, 1, 1, 2));
        assert_eq!(tally.waiting_for_wake(), 0);
    }

    #[test]
    fn what_is_not_fetched_is_missing_and_failures_have_kinds() {
        let tally = Tally::new(1);
        tally.delivered(ItemId(1), 0);
        tally.delivered(ItemId(2), 0);
        tally.note(0, Event::Fetched(ItemId(2)));
        assert_eq!(tally.missing(), 1);
        tally.note(0, Event::Held);
        tally.note(0, Event::Failed(&DeviceError::Timeout));
        assert_eq!((tally.held(), tally.errors()["timeout"]), (0, 1));
        assert_eq!(tally.first_error().as_deref(), Some("no answer in time"));
    }
}
