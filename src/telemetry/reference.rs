//! The metric reference, generated from the definitions.

use std::fmt::Write;

use super::metrics::{ALL, Kind};
use super::process::PROCESS_METRICS;

/// `docs/metrics.md`: every metric with kind, unit, labels and buckets.
pub fn metrics_reference() -> String {
    let mut out = String::from(
        "# Metrics\n\nServed at `GET /metrics` of the internal address in the Prometheus text format. Generated from the program.\n",
    );
    for metric in ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let _ = write!(out, "\n## `{}`\n\n{} ({kind}, {})\n", metric.name, metric.help, metric.unit.as_str());
        if !metric.labels.is_empty() {
            out.push('\n');
        }
        for (name, values) in metric.labels {
            let _ = writeln!(out, "- `{name}`: {values}");
        }
        if let Kind::Histogram(buckets) = metric.kind {
            let bounds: Vec<String> = buckets.iter().map(f64::to_string).collect();
            let _ = write!(out, "\nBuckets: {}\n", bounds.join(", "));
        }
    }
    for (name, kind, help) in PROCESS_METRICS {
        let _ = write!(out, "\n## `{name}`\n\n{help} ({kind})\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_reference_is_the_generated_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        if std::env::var_os("PUSHGATE_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().expect("docs/")).expect("docs/ made");
            std::fs::write(&path, metrics_reference()).expect("written");
        }
        let checked_in = std::fs::read_to_string(&path).expect("docs/metrics.md");
        assert_eq!(checked_in, metrics_reference(), "run PUSHGATE_BLESS=1 cargo test --lib reference");
    }
}
