//! The figures: medians with their spread, and how many times pushgate's they are.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rows::Row;
use crate::servers::Peer;

/// All samples.
pub struct Table {
    samples: BTreeMap<(usize, Row, Peer), Vec<f64>>,
    failures: Vec<(Peer, usize, String)>,
    device_end_bytes: f64,
}

impl Table {
    /// Empty.
    pub fn new(device_end_bytes: f64) -> Table {
        Table { samples: BTreeMap::new(), failures: Vec::new(), device_end_bytes }
    }

    /// What one start of a server gave.
    pub fn add(&mut self, peer: Peer, devices: usize, figures: Vec<(Row, f64)>) {
        for (row, figure) in figures {
            self.samples.entry((devices, row, peer)).or_default().push(figure);
        }
    }

    /// One start gave nothing.
    pub fn fail(&mut self, peer: Peer, devices: usize, why: String) {
        eprintln!("peers: {} with {devices}: {why}", peer.name());
        self.failures.push((peer, devices, why));
    }

    /// Whether it has not failed with as many, or fewer.
    pub fn may_try(&self, peer: Peer, devices: usize) -> bool {
        !self.failures.iter().any(|(failed, with, _)| *failed == peer && *with <= devices)
    }

    /// Whether every start gave figures.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    /// Raw.
    pub fn to_json(&self) -> Value {
        let samples: Vec<Value> = self
            .samples
            .iter()
            .map(|((devices, row, peer), samples)| json!({ "devices": devices, "row": row, "peer": peer.name(), "samples": samples }))
            .collect();
        let failures: Vec<Value> =
            self.failures.iter().map(|(peer, devices, why)| json!({ "peer": peer.name(), "devices": devices, "why": why })).collect();
        json!({ "samples": samples, "failures": failures, "kernel_bytes_of_a_devices_end": self.device_end_bytes, "machine": machine() })
    }

    /// Markdown: one table for each number of devices.
    pub fn print(&self, took: Duration) {
        let mut counts: Vec<usize> = self.samples.keys().map(|(devices, ..)| *devices).collect();
        counts.dedup();
        for devices in counts {
            let mut peers: Vec<Peer> = self.samples.keys().filter(|key| key.0 == devices).map(|key| key.2).collect();
            peers.sort();
            peers.dedup();
            println!("\n### {} held\n", number(devices as f64));
            println!("| |{}", peers.iter().map(|peer| format!(" {} |", peer.name())).collect::<String>());
            println!("|---|{}", "---|".repeat(peers.len()));
            for row in Row::ALL {
                let cells: Vec<String> = peers.iter().map(|&peer| self.cell(devices, row, peer)).collect();
                if cells.iter().any(|cell| !cell.is_empty()) {
                    println!("| {} |{}", row.name(), cells.iter().map(|cell| format!(" {cell} |")).collect::<String>());
                }
            }
        }
        for (peer, devices, why) in &self.failures {
            println!("\n{} with {devices}: failed: {why}", peer.name());
        }
        println!("\nThe kernel keeps {} B for a device's end. Measured in {:.0} s.", number(self.device_end_bytes), took.as_secs_f64());
    }

    /// `median (least–greatest, n) ratio×`, bold where pushgate is behind.
    fn cell(&self, devices: usize, row: Row, peer: Peer) -> String {
        let Some(samples) = self.samples.get(&(devices, row, peer)) else { return String::new() };
        let (median, least, greatest) = summary(samples);
        let spread = if samples.len() > 1 { format!(" ({}–{})", number(least), number(greatest)) } else { String::new() };
        // A row that pushgate has not is compared with what comes nearest.
        let same = if row == Row::WakeCommonLastMs { Row::WakeAllLastMs } else { row };
        // SOGo holds a few; pushgate is compared at its smallest number then.
        let smallest =
            || self.samples.iter().find(|((_, row, peer), _)| (*row, *peer) == (same, Peer::Pushgate)).map(|(_, samples)| samples);
        let ours = self.samples.get(&(devices, same, Peer::Pushgate)).or_else(smallest).filter(|_| peer != Peer::Pushgate);
        let Some((ours, ..)) = ours.map(|samples| summary(samples)) else { return format!("{}{spread}", number(median)) };
        let ratio = if row.is_rate() { ours / median } else { median / ours };
        let ratio = if ratio < 1.0 { format!("**{} ×**", number(ratio)) } else { format!("{} ×", number(ratio)) };
        format!("{}{spread} {ratio}", number(median))
    }
}

/// Where this was measured.
fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": model.trim_start_matches([' ', '\t', ':']),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load": read("/proc/loadavg").trim(),
    })
}

/// Median, least, greatest.
fn summary(samples: &[f64]) -> (f64, f64, f64) {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
    (median, sorted[0], sorted[sorted.len() - 1])
}

/// Three digits that say something, thousands apart.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        v if v.fract() == 0.0 => 0,
        v if v < 1.0 => 2,
        v if v < 10.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    if decimals > 0 || value.abs() < 1_000.0 {
        return text;
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    format!("{sign}{}", groups.join(","))
}
