//! Ticks of the processes → the results of the run.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

use crate::engine::counts::Tick;
use crate::results::{
    Ended, FORMAT, Latency, Machine, Mark, Phase, Quantiles, Results, SAMPLES_MAX, Sample, Scenario, Server, Totals, Wakes, new_histogram,
    thin, timestamp,
};
use crate::scenario::Plan;

/// Wakes that take longer than this are late.
const LATE_US: u64 = 1_000_000;

/// Results in the making.
pub struct Record {
    started: SystemTime,
    samples: Vec<Sample>,
    marks: Vec<Mark>,
    totals: Totals,
    overall: Histogram<u64>,
    uncorrected: Histogram<u64>,
    phases: Vec<Part>,
    /// What the server had sent to its backend when it was first asked.
    backend_first: Option<u64>,
}

/// A part of the run with a name.
struct Part {
    label: String,
    from_s: f64,
    to_s: f64,
    latencies: Histogram<u64>,
}

impl Record {
    /// At the beginning.
    pub fn new() -> Self {
        Record {
            started: SystemTime::now(),
            samples: Vec::new(),
            marks: Vec::new(),
            totals: Totals::default(),
            overall: new_histogram(),
            uncorrected: new_histogram(),
            phases: vec![Part { label: "ramp".into(), from_s: 0.0, to_s: 0.0, latencies: new_histogram() }],
            backend_first: None,
        }
    }

    /// A moment with a name, at which a part of the run begins.
    pub fn mark(&mut self, at: Duration, label: &str) {
        let t_s = at.as_secs_f64();
        self.marks.push(Mark { t_s, label: label.to_owned() });
        self.phases.push(Part { label: label.to_owned(), from_s: t_s, to_s: t_s, latencies: new_histogram() });
    }

    /// What all processes say of the time since the sample before. Gives the sample.
    pub fn add(&mut self, at: Duration, ticks: &[Tick], server: Option<Server>) -> &Sample {
        let t_s = at.as_secs_f64();
        let before_s = self.samples.last().map_or(0.0, |sample| sample.t_s);
        let mut sample = Sample { t_s, seconds: t_s - before_s, server, ..Sample::default() };
        let mut latencies = new_histogram();
        let mut all = Tick::default();
        ticks.iter().for_each(|tick| all.add(tick));
        record(&mut latencies, &all.corrected_us);
        record(&mut self.uncorrected, &all.uncorrected_us);
        (sample.devices, sample.wakes, sample.changes, sample.expired) = (all.states, all.wakes, all.changes, all.expired);
        sample.late = latencies.len() - latencies.count_between(0, LATE_US);
        sample.lost = all.lost;
        sample.tool_bytes = all.pss_bytes;
        let totals = &mut self.totals;
        totals.held_once = all.held_once;
        totals.held_max = totals.held_max.max(sample.devices.held);
        totals.changes += all.changes;
        totals.wakes += all.wakes;
        totals.expired += all.expired;
        totals.lost += all.lost;
        totals.needless += all.needless;
        totals.connections += all.connections;
        totals.exchanges += all.exchanges;
        for (kind, count) in &all.errors {
            *totals.errors.entry(kind.clone()).or_default() += count;
        }
        totals.first_error = totals.first_error.take().or(all.first_error);
        sample.errors = all.errors;
        self.count_backend(server);
        sample.wake_ms = quantiles(&latencies);
        for histogram in [&mut self.overall].into_iter().chain(self.phases.last_mut().map(|phase| &mut phase.latencies)) {
            histogram.add(&latencies).expect("both are made alike");
        }
        if let Some(phase) = self.phases.last_mut() {
            phase.to_s = t_s;
        }
        self.samples.push(sample);
        self.samples.last().expect("just added")
    }

    /// At the end; the thresholds are judged last.
    pub fn finish(mut self, plan: &Plan, processes: usize, took: Duration, ended: Ended) -> Results {
        if !plan.target.plain {
            self.totals.handshakes = self.totals.connections;
        }
        let is_different = self.uncorrected != self.overall;
        let phases = self.phases.into_iter().filter(|part| part.to_s > part.from_s).map(|part| Phase {
            latency: Latency::of(&part.latencies),
            label: part.label,
            from_s: part.from_s,
            to_s: part.to_s,
        });
        let wakes = Wakes {
            overall: Latency::of(&self.overall),
            phases: phases.collect(),
            uncorrected: is_different.then(|| Latency::of(&self.uncorrected)),
        };
        let mut results = Results {
            format: FORMAT,
            scenario: Scenario { name: plan.name.clone(), text: plan.text.clone() },
            target: plan.target.url.clone(),
            started: timestamp(self.started),
            seconds: took.as_secs_f64(),
            ended,
            machine: Machine::here(),
            devices: plan.devices.count,
            processes,
            samples: self.samples,
            marks: self.marks,
            wakes,
            totals: self.totals,
            thresholds: Vec::new(),
        };
        // Judged before samples are joined: the worst of them may be bounded.
        results.thresholds = plan.limits.iter().map(|limit| limit.judge(&results)).collect();
        results.samples = thin(&results.samples, SAMPLES_MAX);
        results
    }

    fn count_backend(&mut self, server: Option<Server>) {
        let Some(requests) = server.and_then(|server| server.backend_requests) else { return };
        let first = *self.backend_first.get_or_insert(requests);
        self.totals.backend_requests = Some(requests.saturating_sub(first));
    }
}

fn record(histogram: &mut Histogram<u64>, pairs: &[(u64, u64)]) {
    pairs.iter().for_each(|&(us, count)| histogram.saturating_record_n(us, count));
}

fn quantiles(latencies: &Histogram<u64>) -> Option<Quantiles> {
    let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    let quantiles = || Quantiles { p50: ms(0.5), p90: ms(0.9), p99: ms(0.99), max: latencies.max() as f64 / 1e3 };
    (!latencies.is_empty()).then(quantiles)
}
