//! Latencies: a histogram with the figures people ask for, and how it is written down.

use std::io::Cursor;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// The longest latency told apart: an hour, in microseconds. A lost wake is not a long one: it is counted apart.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// Latencies. The figures are those of the histogram, for readers that have no code for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub count: u64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
    /// Microseconds: HdrHistogram's V2 encoding, compressed, in base64, as its own tools read it. Empty without any.
    pub histogram: String,
}

/// A histogram of latencies in microseconds, exact to three digits.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the range is a constant")
}

impl Latency {
    /// The figures of a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Latency::default();
        }
        let ms = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Latency {
            count: histogram.len(),
            mean_ms: histogram.mean() / 1e3,
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: histogram.max() as f64 / 1e3,
            histogram: encode(histogram),
        }
    }

    /// The histogram, in microseconds.
    ///
    /// # Errors
    /// The text is none: the file was edited, or damaged.
    pub fn decode(&self) -> anyhow::Result<Histogram<u64>> {
        if self.histogram.is_empty() {
            return Ok(new_histogram());
        }
        let bytes = BASE64.decode(&self.histogram).context("a histogram is no base64")?;
        Deserializer::new().deserialize(&mut Cursor::new(bytes)).map_err(|error| anyhow!("a histogram cannot be read: {error}"))
    }
}

fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("a vector takes every byte, and the range is a constant");
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_to(last: u64) -> Histogram<u64> {
        let mut histogram = new_histogram();
        for ms in 1..=last {
            histogram.saturating_record(ms * 1_000);
        }
        histogram
    }

    #[test]
    fn figures_are_those_of_the_sorted_list() {
        let latency = Latency::of(&one_to(1_000));
        assert_eq!(latency.count, 1_000);
        let near = |measured: f64, exact: f64| (measured - exact).abs() <= exact / 500.0;
        assert!(near(latency.p50_ms, 500.0) && near(latency.p90_ms, 900.0) && near(latency.p99_ms, 990.0), "{latency:?}");
        assert!(near(latency.p999_ms, 999.0) && near(latency.max_ms, 1_000.0) && near(latency.mean_ms, 500.5), "{latency:?}");
    }

    #[test]
    fn a_histogram_comes_back_as_it_was() {
        let histogram = one_to(50);
        let latency = Latency::of(&histogram);
        assert!(latency.histogram.starts_with("HISTFAAAA"), "what HdrHistogram's tools know by its first bytes");
        assert_eq!(latency.decode().unwrap(), histogram);
        assert_eq!(Latency::default().decode().unwrap().len(), 0);
    }

    #[test]
    fn a_damaged_histogram_is_an_error() {
        for text in ["!", "HISTFAAAA", "AAAA"] {
            assert!(Latency { histogram: text.into(), ..Latency::default() }.decode().is_err(), "{text}");
        }
    }
}
