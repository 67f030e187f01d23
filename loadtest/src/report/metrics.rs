//! The figures of a run that people compare, by name.

use super::units;
use crate::results::{Results, Sample, Server};

/// The share of the devices that is nearly all of them.
const NEARLY_ALL: f64 = 0.95;

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: String,
    pub unit: Unit,
    pub better: Better,
    /// `None`: not measured.
    pub value: Option<f64>,
}

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    Milliseconds,
    Seconds,
    Bytes,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Less,
    More,
    /// It says what was done, not how well.
    Neither,
}

impl Unit {
    /// A value for people; "–" if there is none.
    pub fn text(self, value: Option<f64>) -> String {
        match (value, self) {
            (None, _) => "–".into(),
            (Some(value), Unit::Count) => units::figure(value),
            (Some(value), Unit::Milliseconds) => units::milliseconds(value),
            (Some(value), Unit::Seconds) => units::duration(value),
            (Some(value), Unit::Bytes) => units::bytes(value),
        }
    }
}

impl Metric {
    fn new(name: &str, unit: Unit, better: Better, value: Option<f64>) -> Self {
        Metric { name: name.into(), unit, better, value }
    }

    /// The value for people.
    pub fn text(&self) -> String {
        self.unit.text(self.value)
    }
}

/// All of them, in the order in which they are read.
pub fn metrics(run: &Results) -> Vec<Metric> {
    use Better::{Less, More, Neither};
    use Unit::{Bytes, Count, Milliseconds, Seconds};
    let totals = &run.totals;
    let count = |number: u64| Some(number as f64);
    let wakes = &run.wakes.overall;
    let wake_ms = |ms: f64| (wakes.count > 0).then_some(ms);
    let mut all = vec![
        Metric::new("devices", Count, Neither, count(run.devices as u64)),
        Metric::new("held at most", Count, More, count(totals.held_max)),
        Metric::new("95 % held after", Seconds, Less, nearly_held_s(run)),
        Metric::new("changes sent", Count, Neither, count(totals.changes)),
        Metric::new("wakes", Count, Neither, count(totals.wakes)),
        Metric::new("wake p50", Milliseconds, Less, wake_ms(wakes.p50_ms)),
        Metric::new("wake p90", Milliseconds, Less, wake_ms(wakes.p90_ms)),
        Metric::new("wake p99", Milliseconds, Less, wake_ms(wakes.p99_ms)),
        Metric::new("wake p99.9", Milliseconds, Less, wake_ms(wakes.p999_ms)),
        Metric::new("wake max", Milliseconds, Less, wake_ms(wakes.max_ms)),
    ];
    all.extend(run.wakes.phases.iter().filter(|phase| phase.latency.count > 0).flat_map(|phase| {
        let of = |name: &str, ms| Metric::new(&format!("{}: wake {name}", phase.label), Milliseconds, Less, Some(ms));
        [of("p50", phase.latency.p50_ms), of("p99", phase.latency.p99_ms)]
    }));
    all.extend([
        Metric::new("lost", Count, Less, count(totals.lost)),
        Metric::new("needless wakes", Count, Less, count(totals.needless)),
        Metric::new("expired", Count, Neither, count(totals.expired)),
        Metric::new("errors", Count, Less, count(totals.error_count())),
        Metric::new("connections", Count, Neither, count(totals.connections)),
        Metric::new("server memory, most", Bytes, Less, memory_max(run)),
        Metric::new("server memory per held device", Bytes, Less, memory_per_device(run)),
        Metric::new("load tool's memory per held device", Bytes, Less, tool_per_device(run)),
        Metric::new("server CPU", Seconds, Less, grown(run, |server| server.cpu_s)),
        Metric::new("backend requests", Count, Less, backend_requests(run)),
    ]);
    all
}

/// When nearly all devices were held for the first time. Not all: while some come others are woken.
pub fn nearly_held_s(run: &Results) -> Option<f64> {
    let enough = (run.devices as f64 * NEARLY_ALL).ceil() as u64;
    run.samples.iter().find(|sample| sample.devices.held >= enough).map(|sample| sample.t_s)
}

/// Most memory the server had.
pub fn memory_max(run: &Results) -> Option<f64> {
    run.samples.iter().filter_map(memory).map(|(_, bytes)| bytes).reduce(f64::max)
}

/// What a held device adds: from the sample with the fewest held to the one with the most. A server that was not fresh reuses
/// memory it had, and shows less; so does one whose memory was not seen before the devices came.
fn memory_per_device(run: &Results) -> Option<f64> {
    let measured = || run.samples.iter().filter_map(memory);
    let (held_min, bytes_before) = measured().min_by_key(|(held, _)| *held)?;
    let (held_max, bytes_after) = measured().max_by_key(|(held, _)| *held)?;
    (held_max > held_min && bytes_after > bytes_before).then(|| (bytes_after - bytes_before) / (held_max - held_min) as f64)
}

/// What a held device more costs the load tool itself: from when a fifth of them was held to when most had been for longest. Whoever doubts
/// a figure of a machine that both share can see how little of it is the tool's.
fn tool_per_device(run: &Results) -> Option<f64> {
    let held_max = run.samples.iter().map(|sample| sample.devices.held).max()?;
    let few = run.samples.iter().find(|sample| sample.devices.held >= held_max / 5 && sample.devices.held > 0)?;
    let many = run.samples.iter().rfind(|sample| sample.devices.held == held_max)?;
    let devices = many.devices.held.checked_sub(few.devices.held).filter(|devices| *devices > 0)?;
    (few.tool_bytes > 0).then(|| many.tool_bytes.saturating_sub(few.tool_bytes) as f64 / devices as f64)
}

/// Held devices and the server's memory.
fn memory(sample: &Sample) -> Option<(u64, f64)> {
    let server = sample.server?;
    Some((sample.devices.held, server.pss_bytes.or(server.rss_bytes)? as f64))
}

/// Requests to the backend in the course of the run.
pub fn backend_requests(run: &Results) -> Option<f64> {
    let total = run.totals.backend_requests.map(|count| count as f64);
    total.or_else(|| grown(run, |server| server.backend_requests.map(|count| count as f64)))
}

/// How much something that only grows has grown.
fn grown(run: &Results, of: impl Fn(&Server) -> Option<f64>) -> Option<f64> {
    let mut values = run.samples.iter().filter_map(|sample| of(sample.server.as_ref()?));
    let first = values.next()?;
    Some(values.next_back()? - first)
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn value(run: &Results, name: &str) -> Option<f64> {
        metrics(run).into_iter().find(|metric| metric.name == name).expect("it is a metric").value
    }

    #[test]
    fn what_was_not_measured_has_no_value() {
        let mut run = example::run();
        run.samples.iter_mut().for_each(|sample| sample.server = None);
        run.totals.backend_requests = None;
        run.wakes = crate::results::Wakes::default();
        for name in ["wake p99", "server memory, most", "server memory per held device", "server CPU", "backend requests"] {
            assert_eq!(value(&run, name), None, "{name}");
        }
        assert_eq!(Unit::Bytes.text(None), "–");
    }

    #[test]
    fn memory_for_each_device_is_what_came_with_it() {
        let run = example::run();
        let per_device = value(&run, "server memory per held device").unwrap();
        assert!((example::BYTES_PER_DEVICE - per_device).abs() < 1.0, "{per_device}");
        assert!(value(&run, "server CPU").unwrap() > 0.0);
        let mut run = run;
        run.samples.iter_mut().for_each(|sample| sample.tool_bytes = (8 << 20) + 700 * sample.devices.held);
        assert_eq!(value(&run, "load tool's memory per held device"), Some(700.0));
    }

    #[test]
    fn nearly_all_are_held_before_the_last_one_is() {
        let mut run = example::run();
        let enough = run.samples.iter().position(|sample| sample.devices.held >= 950).unwrap();
        assert_eq!(value(&run, "95 % held after"), Some(run.samples[enough].t_s));
        run.devices *= 2;
        assert_eq!(value(&run, "95 % held after"), None);
    }
}
