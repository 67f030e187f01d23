//! Long runs: neighbouring samples become one.

use super::{Quantiles, Sample};

/// Joins neighbours until there are at most `samples_max`, all joined alike so that time stays even. What was counted is added
/// up, what was seen is seen at the end; the worst latency of a longer interval is exact, its p99 the worst p99 within, its
/// p50 and p90 means weighted by wakes.
pub fn thin(samples: &[Sample], samples_max: usize) -> Vec<Sample> {
    let together = samples.len().div_ceil(samples_max.max(1)).max(1);
    samples.chunks(together).map(join).collect()
}

fn join(samples: &[Sample]) -> Sample {
    let mut joined = Sample::default();
    for sample in samples {
        joined.wake_ms = join_quantiles((joined.wake_ms, joined.wakes), (sample.wake_ms, sample.wakes));
        joined.t_s = sample.t_s;
        joined.seconds += sample.seconds;
        joined.devices = sample.devices;
        joined.tool_bytes = sample.tool_bytes;
        joined.wakes += sample.wakes;
        joined.late += sample.late;
        joined.lost += sample.lost;
        joined.changes += sample.changes;
        joined.expired += sample.expired;
        joined.server = sample.server.or(joined.server);
        for (kind, count) in &sample.errors {
            *joined.errors.entry(kind.clone()).or_default() += count;
        }
    }
    joined
}

fn join_quantiles((a, a_wakes): (Option<Quantiles>, u64), (b, b_wakes): (Option<Quantiles>, u64)) -> Option<Quantiles> {
    let (Some(first), Some(second)) = (a, b) else { return a.or(b) };
    let all = (a_wakes + b_wakes).max(1) as f64;
    let mean = |first: f64, second: f64| (first * a_wakes as f64 + second * b_wakes as f64) / all;
    Some(Quantiles {
        p50: mean(first.p50, second.p50),
        p90: mean(first.p90, second.p90),
        p99: first.p99.max(second.p99),
        max: first.max.max(second.max),
    })
}

#[cfg(test)]
mod tests {
    use super::super::States;
    use super::*;

    fn second(number: u64) -> Sample {
        let ms = number as f64;
        Sample {
            t_s: ms,
            seconds: 1.0,
            devices: States { held: number, ..States::default() },
            wakes: 2,
            late: 1,
            lost: 3,
            errors: [("timeout".to_owned(), 1)].into(),
            wake_ms: number.is_multiple_of(2).then_some(Quantiles { p50: ms, p90: ms, p99: ms, max: ms }),
            ..Sample::default()
        }
    }

    #[test]
    fn a_short_run_stays_as_it_is() {
        let samples: Vec<Sample> = (1..=10).map(second).collect();
        assert_eq!(thin(&samples, 10), samples);
        assert!(thin(&[], 10).is_empty());
    }

    #[test]
    fn counts_add_up_and_the_worst_is_kept() {
        let samples: Vec<Sample> = (1..=1_001).map(second).collect();
        let thinned = thin(&samples, 100);
        assert!(thinned.len() <= 100);
        let sums = thinned.iter().map(|sample| (sample.wakes, sample.late, sample.lost));
        assert_eq!(sums.fold((0, 0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1, sum.2 + more.2)), (2_002, 1_001, 3_003));
        assert_eq!(thinned.iter().map(|sample| sample.errors["timeout"]).sum::<u64>(), 1_001);
        let last = thinned.last().unwrap();
        assert_eq!((last.t_s, last.devices.held), (1_001.0, 1_001));
        // Eleven together: 1 to 11, of which 2, 4, … 10 had wakes that were measured.
        let first = thinned[0].wake_ms.unwrap();
        assert_eq!((first.p99, first.max), (10.0, 10.0));
    }
}
