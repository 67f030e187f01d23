//! The process itself, under the names that Prometheus's own client libraries use: dashboards know them.

use std::fmt::Write as _;
use std::fs;

/// Names, types and what they say, in the order in which they are written.
pub(super) const PROCESS_METRICS: &[(&str, &str, &str)] = &[
    ("process_resident_memory_bytes", "gauge", "Memory of the process that is in RAM."),
    ("process_cpu_seconds_total", "counter", "Processor time of the process, user and system."),
];

/// As Prometheus reads it, now. A value that the system does not tell (not Linux) is left out.
pub fn process_metrics() -> String {
    let values = [resident_bytes().map(|bytes| bytes.to_string()), cpu_s().map(|seconds| format!("{seconds:.2}"))];
    let mut text = String::new();
    for ((name, kind, help), value) in PROCESS_METRICS.iter().zip(values) {
        if let Some(value) = value {
            // Writing to a String does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    }
    text
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

fn cpu_s() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in brackets, may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    // USER_HZ has been 100 on every Linux there is.
    Some(ticks as f64 / 100.0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_says_what_it_takes() {
        let text = process_metrics();
        for (name, kind, _) in PROCESS_METRICS {
            assert!(text.contains(&format!("# TYPE {name} {kind}\n{name} ")), "{name} in {text}");
        }
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
