//! A run as it might have been, for tests.

use crate::results::{
    Ended, FORMAT, Latency, Machine, Mark, Phase, Quantiles, Results, Sample, Scenario, Server, States, Threshold, Totals, Wakes,
    new_histogram,
};

/// What each held device adds to the server's memory.
pub const BYTES_PER_DEVICE: f64 = 4_096.0;
const DEVICES: u64 = 1_000;
const SECONDS: u64 = 120;

/// A thousand devices in twenty seconds, a wake of all after a minute, some errors in between.
pub fn run() -> Results {
    let samples: Vec<Sample> = (0..=SECONDS).map(sample).collect();
    let phase = |label: &str, from_s, to_s, ms| Phase { label: label.into(), from_s, to_s, latency: latency(ms) };
    Results {
        format: FORMAT,
        scenario: Scenario { name: "smoke".into(), text: "# A <small> scenario & its \"text\"\ndevices = 1000\n".into() },
        target: "https://localhost:8443".into(),
        started: "2026-01-02T03:04:05Z".into(),
        seconds: SECONDS as f64,
        ended: Ended::Completed,
        machine: Machine { cores: 2, memory_bytes: 8 << 30, kernel: "Linux 6.1".into(), version: "0.1.0".into() },
        devices: DEVICES as usize,
        processes: 2,
        marks: vec![mark(21.0, "steady"), mark(60.0, "wake all")],
        wakes: Wakes {
            overall: latency(2.0),
            phases: vec![phase("steady", 21.0, 60.0, 1.0), phase("wake all", 60.0, 65.0, 9.0)],
            uncorrected: None,
        },
        totals: Totals {
            held_once: DEVICES,
            held_max: DEVICES,
            changes: 2_000,
            wakes: 2_000,
            exchanges: 10_000,
            connections: 1_010,
            handshakes: 1_010,
            errors: [("timeout".to_owned(), 10)].into(),
            first_error: Some("no answer in time".into()),
            ..Totals::default()
        },
        thresholds: vec![
            Threshold { text: "wake_p99_ms < 50".into(), measured: "3.9 ms".into(), kept: true },
            Threshold { text: "errors < 0.01 %".into(), measured: "0.1 %".into(), kept: false },
        ],
        samples,
    }
}

fn sample(t_s: u64) -> Sample {
    let held = (t_s * 50).min(DEVICES);
    let ms = 1.0 + (t_s % 7) as f64 / 7.0;
    let has_wakes = t_s > 21;
    Sample {
        t_s: t_s as f64,
        seconds: 1.0,
        devices: States { held, connecting: if held < DEVICES { 30 } else { 0 }, ..States::default() },
        wakes: u64::from(has_wakes) * 20,
        changes: u64::from(has_wakes) * 20,
        errors: if (60..65).contains(&t_s) { [("timeout".to_owned(), 2)].into() } else { [].into() },
        wake_ms: has_wakes.then_some(Quantiles { p50: ms, p90: ms * 1.5, p99: ms * 4.0, max: ms * 9.0 }),
        server: Some(Server {
            rss_bytes: Some((40 << 20) + held * BYTES_PER_DEVICE as u64),
            cpu_s: Some(t_s as f64 * 0.1),
            held: Some(held),
            backend_requests: Some(held * 4),
            ..Server::default()
        }),
        ..Sample::default()
    }
}

fn latency(ms: f64) -> Latency {
    let mut histogram = new_histogram();
    for step in 1..=2_000_u64 {
        histogram.saturating_record((ms * 1e3 * (1.0 + 2_000.0 / (step as f64 + 10.0) / 10.0)) as u64);
    }
    Latency::of(&histogram)
}

fn mark(t_s: f64, label: &str) -> Mark {
    Mark { t_s, label: label.into() }
}
