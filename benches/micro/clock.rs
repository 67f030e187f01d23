//! By the clock: criterion's statistics, and a table of its medians beside the baseline's instructions.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use criterion::Criterion;

use super::baseline::Baseline;
use super::parts::{Part, Work};

/// Each part: enough for caches and branch predictors to be warm, then enough for a narrow interval.
const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(2);
const SAMPLES: usize = 50;

/// Measures and prints.
pub fn measure(parts: &[Part]) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("micro/criterion");
    let mut criterion = Criterion::default()
        .output_directory(&folder)
        .warm_up_time(WARM_UP)
        .measurement_time(MEASURED)
        .sample_size(SAMPLES)
        .without_plots();
    for part in parts {
        let mut work = (part.prepare)();
        criterion.bench_function(part.name, |bencher| bencher.iter_custom(|steps| time(work.as_mut(), part.steps, steps)));
    }
    let instructions = Baseline::read()?.map(|baseline| baseline.instructions).unwrap_or_default();
    println!("\n| part | one step | ns | instructions |\n|---|---|---:|---:|");
    for part in parts {
        let counted = instructions.get(part.name).map_or_else(|| "–".to_owned(), u64::to_string);
        println!("| `{}` | {} | {} | {counted} |", part.name, part.what, nanoseconds(median(&folder, part.name)?));
    }
    Ok(())
}

/// The time of so many steps: of as many whole runs as it takes, in proportion.
fn time(work: &mut dyn Work, run_steps: u64, steps: u64) -> Duration {
    let runs = steps.div_ceil(run_steps);
    let mut took = Duration::ZERO;
    for _ in 0..runs {
        work.ready();
        let began = Instant::now();
        work.run();
        took += began.elapsed();
    }
    took.mul_f64(steps as f64 / (runs * run_steps) as f64)
}

/// Of the run just over, in nanoseconds.
fn median(folder: &Path, name: &str) -> anyhow::Result<f64> {
    let file: PathBuf = folder.join(name).join("new/estimates.json");
    let text = std::fs::read(&file).with_context(|| format!("{}", file.display()))?;
    let estimates: serde_json::Value = serde_json::from_slice(&text)?;
    estimates["median"]["point_estimate"].as_f64().context("criterion wrote no median")
}

fn nanoseconds(median: f64) -> String {
    if median < 100.0 { format!("{median:.1}") } else { format!("{median:.0}") }
}
