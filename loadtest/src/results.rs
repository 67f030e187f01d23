//! What a run measured: the shape of `report.json`.
//!
//! In: a run, as it goes. Out: one JSON file from which the report can be made again at any time, and compared. Times are in
//! seconds since the start of the run unless a name says otherwise. What could not be measured is absent, never 0.

mod latency;
mod thinning;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

pub use self::latency::{Latency, new_histogram};
pub use self::thinning::thin;

/// The version of the format; another one is refused, because its figures may mean something else.
pub const FORMAT: u32 = 1;
/// Samples in a report; a longer run is thinned to as many. More would not be seen in a plot.
pub const SAMPLES_MAX: usize = 2_000;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`FORMAT`].
    pub format: u32,
    pub scenario: Scenario,
    /// Whom the devices spoke to, as it was given: a URL or an address. Without credentials.
    pub target: String,
    /// When it started: RFC 3339, UTC (see [`timestamp`]).
    pub started: String,
    /// How long it took.
    pub seconds: f64,
    pub ended: Ended,
    pub machine: Machine,
    /// Devices the scenario asked for.
    pub devices: usize,
    /// Processes they were spread over.
    pub processes: usize,
    /// In the order of time.
    pub samples: Vec<Sample>,
    /// Moments with a name, in the order of time.
    pub marks: Vec<Mark>,
    pub wakes: Wakes,
    pub totals: Totals,
    /// In the order of the scenario.
    pub thresholds: Vec<Threshold>,
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// Its name: the file's, without its ending.
    pub name: String,
    /// The file as it was read, without what is secret (passwords, tokens).
    pub text: String,
}

/// How the run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Completed,
    /// By Ctrl-C: the figures are of a part.
    Interrupted,
}

/// Where the devices ran. The server may run elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub cores: usize,
    pub memory_bytes: u64,
    /// Such as `Linux 6.1.0`.
    pub kernel: String,
    /// Version of this program.
    pub version: String,
}

/// What happened between the sample before and `t_s`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The end of the interval.
    pub t_s: f64,
    /// How long it was.
    pub seconds: f64,
    /// At its end.
    pub devices: States,
    /// Devices woken after a change of ours.
    pub wakes: u64,
    /// Of them, those that took longer than a second.
    #[serde(default)]
    pub late: u64,
    /// Devices that were found to have missed their wake.
    #[serde(default)]
    pub lost: u64,
    /// Changes sent.
    pub changes: u64,
    /// Holds that ended because their heartbeat did.
    pub expired: u64,
    /// By kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// Of the wakes of this interval; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_ms: Option<Quantiles>,
    /// Memory of the load tool's processes that have devices; 0: unknown.
    #[serde(default)]
    pub tool_bytes: u64,
    /// Absent if the server's metrics were not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
}

/// How many devices are in each state; together they are all devices that were started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct States {
    /// TCP and TLS.
    pub connecting: u64,
    /// From OPTIONS to the Ping: everything a device does that is not holding.
    pub syncing: u64,
    /// A Ping or a hanging Sync of theirs is held.
    pub held: u64,
    /// They failed and wait before they try again.
    pub backing_off: u64,
    /// They have no network, because the scenario says so.
    pub offline: u64,
}

/// Latencies of one interval, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// What the server says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Resident set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// The same without the shares of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pss_bytes: Option<u64>,
    /// CPU seconds since the process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_s: Option<f64>,
    /// Pings and Syncs it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// Requests it sent to its backend since it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_requests: Option<u64>,
}

/// A moment with a name: "steady", "wake all", "storm".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    pub t_s: f64,
    pub label: String,
}

/// How long waking took: from the moment a change was due to be sent until the device had read its answer. A change that was
/// sent late counts from when it was due, so a slow server cannot make us ask less often and look better for it (this is the
/// correction for coordinated omission).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wakes {
    pub overall: Latency,
    /// In the order of time.
    pub phases: Vec<Phase>,
    /// The same as `overall`, but from when each change was really sent; absent if that is no different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncorrected: Option<Latency>,
}

/// A part of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Such as "steady", "wake all", "storm".
    pub label: String,
    pub from_s: f64,
    pub to_s: f64,
    pub latency: Latency,
}

/// Counts of the whole run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Devices that were held at least once.
    pub held_once: u64,
    /// Most devices held at once.
    pub held_max: u64,
    pub changes: u64,
    pub wakes: u64,
    /// Devices that were held, were to be woken, and were not within the time the scenario gives.
    pub lost: u64,
    /// Wakes without a change of ours.
    pub needless: u64,
    pub expired: u64,
    /// TCP connections made.
    pub connections: u64,
    /// TLS handshakes made.
    pub handshakes: u64,
    /// Exchanges of all kinds, for shares: `errors < 0.1 %` is of these.
    pub exchanges: u64,
    /// By kind.
    pub errors: BTreeMap<String, u64>,
    /// In words, without anything secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// Requests the server sent to its backend during the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_requests: Option<u64>,
}

/// A condition of the scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    /// As it was written: `wake_p99_ms < 50`.
    pub text: String,
    /// For people, with its unit: `41.2 ms`; `not measured` when there was nothing, and then it is not kept.
    pub measured: String,
    pub kept: bool,
}

impl Results {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is no report, or is one of another version.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Results::parse(&text).with_context(|| format!("{} is no report", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        /// Looked at first: the rest of another version need not make sense.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_str(text)?;
        if format != FORMAT {
            bail!("its format is {format}, this program knows {FORMAT}");
        }
        Ok(serde_json::from_str(text)?)
    }

    /// Writes `report.json`, for people who look at it too.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("a report is always JSON")?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// Whether every threshold was kept.
    pub fn is_kept(&self) -> bool {
        self.thresholds.iter().all(|threshold| threshold.kept)
    }
}

impl States {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.connecting + self.syncing + self.held + self.backing_off + self.offline
    }

    /// Those of other devices too.
    pub fn plus(self, other: States) -> States {
        States {
            connecting: self.connecting + other.connecting,
            syncing: self.syncing + other.syncing,
            held: self.held + other.held,
            backing_off: self.backing_off + other.backing_off,
            offline: self.offline + other.offline,
        }
    }
}

impl Totals {
    /// Errors of all kinds.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Machine {
    /// This one. What the system does not say is 0 or empty.
    pub fn here() -> Self {
        let first_number = |text: &str| text.split_whitespace().find_map(|word| word.parse::<u64>().ok());
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory_kb = memory.lines().find(|line| line.starts_with("MemTotal")).and_then(first_number);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: memory_kb.unwrap_or(0) * 1_024,
            kernel: format!("Linux {}", kernel.trim()),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// A moment as a report says it: RFC 3339, UTC, whole seconds.
pub fn timestamp(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_another_version_is_refused_by_its_number() {
        let error = Results::parse(r#"{"format": 2, "all": "different"}"#).expect_err("another version");
        assert!(error.to_string().contains("format is 2"), "{error}");
    }

    #[test]
    fn this_machine_has_a_core_and_memory() {
        let here = Machine::here();
        assert!(here.cores > 0 && here.memory_bytes > 1 << 20, "{here:?}");
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
