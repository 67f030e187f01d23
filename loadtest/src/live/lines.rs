//! Where a run stands, in words: the block for a terminal and the line for a log.

use std::collections::BTreeMap;

use crate::report::{bytes, clock, count, figure, milliseconds, share};
use crate::results::{Sample, Server};

/// Kinds of errors that are named.
const ERROR_KINDS_MAX: usize = 4;
/// Seconds over which wakes are counted: samples may follow each other at once.
const RATE_OVER_S: f64 = 0.5;
/// Seconds over which server CPU is shown: shorter ones jump.
const CPU_OVER_S: f64 = 4.0;

/// Where a run stands.
#[derive(Debug)]
pub struct Standing {
    title: String,
    devices: u64,
    total_s: Option<f64>,
    last: Sample,
    /// Counted since the start.
    wakes: u64,
    changes: u64,
    errors: BTreeMap<String, u64>,
    /// Wakes and seconds since `rate` was last made.
    recently: (u64, f64),
    /// Wakes a second.
    rate: f64,
    /// The latest interval that had wakes.
    waking: Option<Sample>,
    /// Time and CPU seconds of the server some seconds ago.
    cpu_before: Option<(f64, f64)>,
    /// CPU of the server in per cent of a core.
    cpu: Option<f64>,
    mark: Option<(f64, String)>,
}

impl Standing {
    pub fn new(name: &str, target: &str, devices: u64, total_s: Option<f64>) -> Self {
        Standing {
            title: format!("{name} → {target}"),
            devices,
            total_s,
            last: Sample::default(),
            wakes: 0,
            changes: 0,
            errors: BTreeMap::new(),
            recently: (0, 0.0),
            rate: 0.0,
            waking: None,
            cpu_before: None,
            cpu: None,
            mark: None,
        }
    }

    pub fn mark(&mut self, t_s: f64, label: &str) {
        self.mark = Some((t_s, label.to_owned()));
    }

    pub fn feed(&mut self, sample: &Sample) {
        self.wakes += sample.wakes;
        self.changes += sample.changes;
        self.recently = (self.recently.0 + sample.wakes, self.recently.1 + sample.seconds);
        if self.recently.1 >= RATE_OVER_S {
            self.rate = self.recently.0 as f64 / self.recently.1;
            self.recently = (0, 0.0);
        }
        for (kind, count) in &sample.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        if sample.wake_ms.is_some() {
            self.waking = Some(sample.clone());
        }
        if let Some(cpu_s) = sample.server.and_then(|server| server.cpu_s) {
            let (before_s, before_cpu_s) = *self.cpu_before.get_or_insert((sample.t_s, cpu_s));
            if sample.t_s - before_s >= CPU_OVER_S {
                self.cpu = Some((cpu_s - before_cpu_s).max(0.0) / (sample.t_s - before_s) * 100.0);
                self.cpu_before = Some((sample.t_s, cpu_s));
            }
        }
        self.last = sample.clone();
    }

    /// For a terminal.
    pub fn block(&self, width: usize) -> Vec<String> {
        let states = &self.last.devices;
        let of = self.total_s.map(|total_s| format!(" of {}", clock(total_s))).unwrap_or_default();
        let since = self.mark.as_ref().map(|(t_s, label)| format!("   {label} since {}", clock(self.last.t_s - t_s)));
        let mut lines = vec![
            String::new(),
            format!("{}   {}{of}{}", self.title, clock(self.last.t_s), since.unwrap_or_default()),
            bar(states.held, self.devices, width),
        ];
        let mut row = |name: &str, text: String| lines.push(format!("  {name:<9}{text}"));
        row("devices", self.states());
        row("wakes", format!("{} of {} changes   {}/s{}", count(self.wakes), count(self.changes), self.wake_rate(), self.latency()));
        row("errors", self.errors_text());
        if let Some(server) = self.last.server {
            row("server", self.server(&server));
        }
        lines
    }

    /// For a log.
    pub fn line(&self) -> String {
        let errors = if self.errors.is_empty() { String::new() } else { format!("  errors {}", self.errors_text()) };
        let server = self.last.server.map(|server| format!("  server {}", self.server(&server))).unwrap_or_default();
        format!("{:>7}  {}  wakes {}/s{}{errors}{server}", clock(self.last.t_s), self.states(), self.wake_rate(), self.latency())
    }

    fn states(&self) -> String {
        let states = &self.last.devices;
        let others = [
            (states.connecting, "connecting"),
            (states.syncing, "syncing"),
            (states.backing_off, "backing off"),
            (states.offline, "offline"),
            (self.devices.saturating_sub(states.total()), "to come"),
        ];
        let others = others.into_iter().filter(|(number, _)| *number > 0);
        format!("held {}", count(states.held)) + &others.map(|(number, name)| format!(" · {name} {}", count(number))).collect::<String>()
    }

    fn wake_rate(&self) -> String {
        figure(self.rate)
    }

    /// Of the latest second with wakes: a wake of all would otherwise be gone before it is read.
    fn latency(&self) -> String {
        let Some((sample, quantiles)) = self.waking.as_ref().and_then(|sample| Some((sample, sample.wake_ms?))) else {
            return String::new();
        };
        let text = [("p50", quantiles.p50), ("p99", quantiles.p99), ("max", quantiles.max)]
            .map(|(name, ms)| format!("{name} {}", milliseconds(ms)))
            .join("  ");
        let ago_s = self.last.t_s - sample.t_s;
        if ago_s < 2.0 { format!("   {text}") } else { format!("   {text} ({} ago)", clock(ago_s)) }
    }

    /// The commonest kinds since the start.
    fn errors_text(&self) -> String {
        let mut kinds: Vec<(&String, &u64)> = self.errors.iter().collect();
        kinds.sort_by_key(|&(_, count)| std::cmp::Reverse(*count));
        let all: u64 = self.errors.values().sum();
        let named: Vec<String> = kinds.iter().take(ERROR_KINDS_MAX).map(|(kind, number)| format!("{kind} {}", count(**number))).collect();
        let more = if kinds.len() > ERROR_KINDS_MAX { ", …" } else { "" };
        if all == 0 { "none".into() } else { format!("{} ({}{more})", count(all), named.join(", ")) }
    }

    fn server(&self, server: &Server) -> String {
        let memory = server.pss_bytes.or(server.rss_bytes).map(|number| bytes(number as f64));
        let cpu = self.cpu.map(|cpu| format!("CPU {} %", figure(cpu)));
        let held = server.held.map(|held| format!("holds {}", count(held)));
        let backend = server.backend_requests.map(|number| format!("backend requests {}", count(number)));
        [memory, cpu, held, backend].into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}

/// How many of all devices are held.
fn bar(held: u64, devices: u64, width: usize) -> String {
    let text = share(held, devices);
    let room = width.saturating_sub(20).clamp(10, 60);
    let full = (held.min(devices) as f64 / devices.max(1) as f64 * room as f64) as usize;
    format!("  {}{} {text} held", "█".repeat(full), "░".repeat(room - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Quantiles, States};

    fn sample(t_s: f64) -> Sample {
        Sample {
            t_s,
            seconds: 1.0,
            devices: States { held: 900, syncing: 60, ..States::default() },
            wakes: 12,
            late: 1,
            lost: 0,
            changes: 13,
            expired: 0,
            errors: [("timeout".to_owned(), 1), ("refused".to_owned(), 2)].into(),
            wake_ms: Some(Quantiles { p50: 0.8, p90: 1.0, p99: 4.25, max: 9.0 }),
            tool_bytes: 0,
            server: Some(Server { rss_bytes: Some(64 << 20), cpu_s: Some(t_s * 0.25), ..Server::default() }),
        }
    }

    #[test]
    fn a_line_says_where_a_run_stands() {
        let mut standing = Standing::new("smoke", "localhost:443", 1_000, Some(120.0));
        for second in 1..=6 {
            standing.feed(&sample(f64::from(second)));
        }
        assert_eq!(
            standing.line(),
            "   0:06  held 900 · syncing 60 · to come 40  wakes 12/s   p50 0.8 ms  p99 4.25 ms  max 9 ms  \
             errors 18 (refused 12, timeout 6)  server 64 MiB · CPU 25 %"
        );
        let block = standing.block(80).join("\n");
        assert!(block.contains("0:06 of 2:00") && block.contains("72 of 78 changes") && block.contains("90 % held"), "{block}");
    }

    #[test]
    fn the_last_wakes_stay_on_show() {
        let mut standing = Standing::new("smoke", "localhost:443", 10, None);
        standing.feed(&sample(1.0));
        standing.mark(2.0, "storm");
        standing.feed(&Sample { t_s: 9.0, seconds: 8.0, ..Sample::default() });
        let block = standing.block(80).join("\n");
        assert!(block.contains("p99 4.25 ms  max 9 ms (0:08 ago)") && block.contains("storm since 0:07"), "{block}");
    }

    #[test]
    fn a_bar_fits_whatever_is_held() {
        assert!(bar(0, 0, 10).contains('░') && !bar(0, 0, 10).contains('█'));
        assert!(bar(9, 5, 200).chars().count() < 90, "more than all");
    }
}
