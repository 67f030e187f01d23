//! What the processes of a load test say to each other: one JSON value a line.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency told apart: a minute, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;

/// First line to a crew: its devices and what they do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub target: SocketAddr,
    pub server_name: String,
    pub ca: Option<PathBuf>,
    pub insecure: bool,
    pub plain: bool,
    pub version: String,
    pub packs_query: bool,
    pub password: String,
    /// Numbers of the devices: from here on, so many.
    pub first: usize,
    pub devices: usize,
    /// `{}` stands for the number.
    pub users: String,
    pub mailboxes: String,
    pub heartbeat_s: u32,
    pub folders_max: usize,
    pub connect_rate: f64,
    /// Taken in turn; empty: the system's choice.
    pub sources: Vec<IpAddr>,
    pub webhook: Option<(SocketAddr, String)>,
    pub wake_batch: usize,
}

/// Later lines to a crew.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Wake so many devices, one after the other.
    WakeOne(usize),
    /// Wake all devices with one notification each.
    WakeAll,
    /// Report and end.
    End,
}

/// Lines from a crew.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    Progress(Progress),
    WakeOne(Woken),
    WakeAll(Woken),
    End(Progress),
}

/// Where a crew stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    pub held: usize,
    pub held_max: usize,
    pub connections: u64,
    pub connecting_s: f64,
    pub all_held_s: Option<f64>,
    pub wakes: u64,
    pub needless: u64,
    pub expired: u64,
    pub errors: BTreeMap<String, u64>,
    /// In words, without anything secret.
    pub first_error: Option<String>,
    /// Growth of this process's memory for each device, in bytes.
    pub bytes_per_device: u64,
}

/// What waking brought.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Woken {
    /// Latencies in microseconds, each with its count.
    pub latencies_us: Vec<(u64, u64)>,
    /// Devices that were told and did not wake in time.
    pub lost: usize,
    /// Devices that could not be told because they were not held.
    pub skipped: usize,
    /// From the first notification to the last answer.
    pub seconds: f64,
}

impl Progress {
    /// Both together.
    pub fn add(&mut self, other: &Progress) {
        self.held += other.held;
        self.held_max += other.held_max;
        self.connections += other.connections;
        self.connecting_s = self.connecting_s.max(other.connecting_s);
        self.wakes += other.wakes;
        self.needless += other.needless;
        self.expired += other.expired;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
        self.bytes_per_device = self.bytes_per_device.max(other.bytes_per_device);
    }
}

impl Woken {
    /// Both together; the times ran side by side.
    pub fn add(&mut self, other: &Woken) {
        self.latencies_us.extend(&other.latencies_us);
        self.lost += other.lost;
        self.skipped += other.skipped;
        self.seconds = self.seconds.max(other.seconds);
    }

    /// The latencies as a histogram.
    pub fn histogram(&self) -> Histogram<u64> {
        let mut histogram = new_histogram();
        for &(value, count) in &self.latencies_us {
            histogram.saturating_record_n(value, count);
        }
        histogram
    }
}

/// A histogram of latencies in microseconds.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX_US, 3).expect("the range is a constant")
}

/// A histogram as pairs.
pub fn pairs(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
}
