//! Latencies in the two text forms that HdrHistogram's own tools read.
//!
//! * `latency.hgrm`: the percentiles of all wakes, in milliseconds; HdrHistogram's plotter draws it.
//! * `latency.hlog`: an interval log, one line for each phase (its tag) and one without a tag for all. Values are microseconds:
//!   HistogramLogProcessor is told so with `-outputValueUnitRatio 1000`.

use std::fmt::Write as _;

use crate::results::{Latency, Results};

/// Lines each time that what is left is halved: what HdrHistogram itself writes.
const STEPS_PER_HALF: u32 = 5;

/// `latency.hgrm`.
///
/// # Errors
/// The histogram cannot be read.
pub fn percentiles(run: &Results) -> anyhow::Result<String> {
    let histogram = run.wakes.overall.decode()?;
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut total = 0;
    for step in histogram.iter_quantiles(STEPS_PER_HALF) {
        total += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        let _ = write!(text, "{:12.3} {quantile:14.12} {total:10}", step.value_iterated_to() as f64 / 1e3);
        // The last line has none: it would be infinite.
        let _ = if quantile < 1.0 { writeln!(text, " {:14.2}", 1.0 / (1.0 - quantile)) } else { writeln!(text) };
    }
    let (mean, deviation) = (histogram.mean() / 1e3, histogram.stdev() / 1e3);
    let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(text, "#[Max     = {:12.3}, Total count    = {:12}]", histogram.max() as f64 / 1e3, histogram.len());
    let _ = writeln!(text, "#[Buckets = {:12}, SubBuckets     = {:12}]", histogram.buckets(), 2_048);
    Ok(text)
}

/// `latency.hlog`.
pub fn intervals(run: &Results) -> String {
    let mut text = format!(
        "#[Wake latencies in microseconds: pushgate-loadtest, {}]\n#[Histogram log format version 1.3]\n\
         #[StartTime: {:.3} (seconds since epoch), {}]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        plain(&run.scenario.name),
        humantime::parse_rfc3339(&run.started)
            .ok()
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0.0, |since| since.as_secs_f64()),
        plain(&run.started),
    );
    let mut line = |tag: &str, from_s: f64, seconds: f64, latency: &Latency| {
        if latency.count > 0 {
            let max = latency.max_ms;
            let _ = writeln!(text, "{tag}{from_s:.3},{seconds:.3},{max:.3},{}", plain(&latency.histogram));
        }
    };
    line("", 0.0, run.seconds, &run.wakes.overall);
    for phase in &run.wakes.phases {
        line(&format!("Tag={},", plain(&phase.label)), phase.from_s, (phase.to_s - phase.from_s).max(0.0), &phase.latency);
    }
    text
}

/// Without what would end a field or a line.
fn plain(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_whitespace() || character.is_control() || character == ',' { '-' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::super::example;
    use super::*;

    #[test]
    fn the_interval_log_is_read_by_a_reader_of_such_logs() {
        let run = example::run();
        let text = intervals(&run);
        let entries: Vec<LogEntry<'_>> = IntervalLogIterator::new(text.as_bytes()).map(|entry| entry.expect("an entry")).collect();
        let seen: Vec<(Option<&str>, f64)> = entries
            .iter()
            .filter_map(|entry| match entry {
                LogEntry::Interval(interval) => Some((interval.tag().map(|tag| tag.as_str()), interval.start_timestamp().as_secs_f64())),
                _ => None,
            })
            .collect();
        assert_eq!(seen, [(None, 0.0), (Some("steady"), 21.0), (Some("wake-all"), 60.0)]);
        assert!(entries.iter().any(|entry| matches!(entry, LogEntry::StartTime(at) if at.as_secs() == 1_767_323_045)));
    }

    #[test]
    fn percentiles_end_with_the_maximum() {
        let run = example::run();
        let text = percentiles(&run).unwrap();
        let last = text.lines().rfind(|line| !line.starts_with('#')).unwrap();
        let fields: Vec<f64> = last.split_whitespace().map(|field| field.parse().unwrap()).collect();
        assert_eq!((fields[1], fields[2], fields.len()), (1.0, 2_000.0, 3));
        assert!((fields[0] - run.wakes.overall.max_ms).abs() / fields[0] < 1e-3, "{last}");
    }
}
