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
        if is_percent && figure != Figure::Errors {
            return Err("only errors are bounded by percent (of exchanges)".into());
        }
        let bound = number.trim_end_matches('%').trim().replace('_', "").parse();
        let bound = bound.map_err(|_| "ends with a number, such as < 50 or < 0.1 %")?;
        Ok(Limit { figure, comparison, bound, is_percent, text: format!("{key} {text}") })
    }

    /// Whether a run kept it.
    pub fn judge(&self, results: &Results) -> Threshold {
        let measured = self.figure.of(results, self.is_percent);
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
