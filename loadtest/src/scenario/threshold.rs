//! Conditions on what a run measured: `wake_p99_ms = "< 50"`.

use serde::{Deserialize, Serialize};

use super::keys::Keys;
use crate::results::{Results, Threshold};

/// A condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    figure: Figure,
    comparison: Comparison,
    bound: f64,
    is_percent: bool,
    /// As it was written.
    text: String,
}

/// What can be bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Figure {
    WakeP50Ms,
    WakeP90Ms,
    WakeP99Ms,
    WakeP999Ms,
    WakeMaxMs,
    Wakes,
    Lost,
    Needless,
    Errors,
    HeldMin,
    HeldMax,
    HeldOnce,
    HeldAtEnd,
    BackendRpsMax,
    ServerRssMb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// All of `[thresholds]`; `None`: there are problems.
pub(super) fn limits(mut keys: Keys) -> Option<Vec<Limit>> {
    let mut limits = Vec::new();
    for (key, text) in keys.texts() {
        match Limit::of(&key, &text) {
            Ok(limit) => limits.push(limit),
            Err(reason) => keys.problem(&key, &reason),
        }
    }
    Some(limits)
}

impl Limit {
    fn of(key: &str, text: &str) -> Result<Limit, String> {
        let figure = Figure::named(key).ok_or("is no figure that a run measures")?;
        let signs = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("=", Comparison::Equal),
        ];
        let text = text.trim();
        let found = signs.into_iter().find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)));
        let (comparison, number) = found.ok_or("begins with <, <=, =, >= or >")?;
        let number = number.trim();
        let is_percent = number.ends_with('%');
        if is_percent && !figure.has_share() {
            return Err("only errors (of exchanges) and held devices (of all) are bounded by percent".into());
        }
        let bound = number.trim_end_matches('%').trim().replace('_', "").parse();
        let bound = bound.map_err(|_| "ends with a number, such as < 50 or < 0.1 %")?;
        Ok(Limit { figure, comparison, bound, is_percent, text: format!("{key} {text}") })
    }

    /// Whether a run kept it.
    pub fn judge(&self, results: &Results) -> Threshold {
        let of_devices = if self.is_percent && self.figure != Figure::Errors { results.devices as f64 / 100.0 } else { 1.0 };
        let measured = self.figure.of(results, self.is_percent).map(|measured| measured / of_devices);
        let kept = measured.is_some_and(|measured| match self.comparison {
            Comparison::Less => measured < self.bound,
            Comparison::LessOrEqual => measured <= self.bound,
            Comparison::Equal => measured == self.bound,
            Comparison::GreaterOrEqual => measured >= self.bound,
            Comparison::Greater => measured > self.bound,
        });
        let unit = if self.is_percent { " %" } else { self.figure.unit() };
        let measured = measured.map_or("not measured".into(), |measured| format!("{}{unit}", rounded(measured)));
        Threshold { text: self.text.clone(), measured, kept }
    }
}

impl Figure {
    fn named(key: &str) -> Option<Figure> {
        toml::Value::String(key.to_owned()).try_into().ok()
    }

    /// Whether it is a part of something.
    fn has_share(self) -> bool {
        matches!(self, Figure::Errors | Figure::HeldMin | Figure::HeldMax | Figure::HeldOnce | Figure::HeldAtEnd)
    }

    fn unit(self) -> &'static str {
        match self {
            Figure::WakeP50Ms | Figure::WakeP90Ms | Figure::WakeP99Ms | Figure::WakeP999Ms | Figure::WakeMaxMs => " ms",
            Figure::BackendRpsMax => " /s",
            Figure::ServerRssMb => " MB",
            _ => "",
        }
    }

    /// `None`: there was nothing to measure.
    fn of(self, results: &Results, is_percent: bool) -> Option<f64> {
        let (totals, wakes) = (&results.totals, &results.wakes.overall);
        let latency = |ms: f64| (wakes.count > 0).then_some(ms);
        let held = || results.samples.iter().map(|sample| sample.devices.held);
        Some(match self {
            Figure::WakeP50Ms => return latency(wakes.p50_ms),
            Figure::WakeP90Ms => return latency(wakes.p90_ms),
            Figure::WakeP99Ms => return latency(wakes.p99_ms),
            Figure::WakeP999Ms => return latency(wakes.p999_ms),
            Figure::WakeMaxMs => return latency(wakes.max_ms),
            Figure::Wakes => totals.wakes as f64,
            Figure::Lost => totals.lost as f64,
            Figure::Needless => totals.needless as f64,
            Figure::Errors if is_percent => {
                let attempts = totals.exchanges + totals.error_count();
                return (attempts > 0).then(|| 100.0 * totals.error_count() as f64 / attempts as f64);
            }
            Figure::Errors => totals.error_count() as f64,
            // After all had been there once: what was lost of them at the worst moment.
            Figure::HeldMin => return held_min(results),
            Figure::HeldMax => totals.held_max as f64,
            Figure::HeldOnce => totals.held_once as f64,
            Figure::HeldAtEnd => return held().next_back().map(|held| held as f64),
            Figure::BackendRpsMax => return backend_rps_max(results),
            Figure::ServerRssMb => {
                let most = results.samples.iter().filter_map(|sample| sample.server?.rss_bytes).max();
                return most.map(|bytes| bytes as f64 / 1e6);
            }
        })
    }
}

/// Fewest devices held at any time after the most were.
fn held_min(results: &Results) -> Option<f64> {
    let held: Vec<u64> = results.samples.iter().map(|sample| sample.devices.held).collect();
    let most = *held.iter().max()?;
    let first = held.iter().position(|&held| held == most)?;
    held[first..].iter().min().map(|&held| held as f64)
}

fn backend_rps_max(results: &Results) -> Option<f64> {
    let counted = results.samples.iter().filter_map(|sample| Some((sample.t_s, sample.server?.backend_requests?)));
    let counted: Vec<(f64, u64)> = counted.collect();
    let rates = counted.windows(2).map(|pair| pair[1].1.saturating_sub(pair[0].1) as f64 / (pair[1].0 - pair[0].0).max(0.001));
    rates.fold(None, |most: Option<f64>, rate| Some(most.map_or(rate, |most| most.max(rate))))
}

/// Three digits, or all of a whole number.
fn rounded(number: f64) -> String {
    match number {
        number if number.fract() == 0.0 => format!("{number}"),
        number if number.abs() < 1.0 => format!("{number:.3}"),
        number if number.abs() < 10.0 => format!("{number:.2}"),
        number => format!("{number:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;
    use crate::results::{Latency, Sample, Server, States, new_histogram};

    fn results() -> Results {
        let mut results = crate::report::example::run();
        let mut histogram: Histogram<u64> = new_histogram();
        (1..=100).for_each(|ms| histogram.saturating_record(ms * 1_000));
        results.wakes.overall = Latency::of(&histogram);
        results.totals.errors = [("timeout".to_owned(), 1)].into();
        results.totals.exchanges = 999;
        results.totals.lost = 0;
        results.totals.held_max = 100;
        results.devices = 100;
        let held = [0, 90, 100, 40, 80];
        results.samples = held
            .iter()
            .enumerate()
            .map(|(second, &held)| Sample {
                t_s: second as f64,
                devices: States { held, ..States::default() },
                server: Some(Server { backend_requests: Some(second as u64 * 10 + held), rss_bytes: Some(5_000_000), ..Server::default() }),
                ..Sample::default()
            })
            .collect();
        results
    }

    fn judged(key: &str, text: &str) -> (bool, String) {
        let threshold = Limit::of(key, text).unwrap().judge(&results());
        (threshold.kept, threshold.measured)
    }

    #[test]
    fn a_condition_is_kept_or_not_and_says_what_was_measured() {
        assert!(judged("wake_p99_ms", "< 100").0 && !judged("wake_p99_ms", "< 50").0);
        assert_eq!(judged("lost", "= 0"), (true, "0".into()));
        assert_eq!(judged("errors", "< 0.1 %"), (false, "0.100 %".into()));
        assert_eq!(judged("errors", "<= 1"), (true, "1".into()));
        assert_eq!(judged("held_min", ">= 40"), (true, "40".into()), "after all had been there");
        assert_eq!(judged("held_max", "= 100 %").0, results().devices == 100, "of all devices");
        assert_eq!(judged("held_at_end", "> 80"), (false, "80".into()));
        assert_eq!(judged("backend_rps_max", "< 110"), (true, "100 /s".into()));
        assert_eq!(judged("server_rss_mb", "< 5.1"), (true, "5 MB".into()));
    }

    #[test]
    fn what_was_not_measured_is_not_kept() {
        let mut results = results();
        results.wakes.overall = Latency::default();
        let threshold = Limit::of("wake_p50_ms", "< 1_000").unwrap().judge(&results);
        assert_eq!((threshold.kept, threshold.measured.as_str(), threshold.text.as_str()), (false, "not measured", "wake_p50_ms < 1_000"));
    }
}
