//! Which plots a report has, and what is in them. One run has all its lines; two share each plot, a colour each.

use std::collections::BTreeMap;

use super::axis::Axis;
use super::plot::{Plot, Series};
use crate::results::{Latency, Results, Sample};

/// Kinds of errors with a line of their own; the others are added up.
const ERROR_KINDS_MAX: usize = 5;
/// Phases with a curve of their own, beside the one of all.
const PHASES_MAX: usize = 5;
/// Steps of a percentile curve each time that what is left is halved.
const STEPS_PER_HALF: u32 = 8;
/// The shortest time over which something is said to happen so often a second.
const INTERVAL_MIN_S: f64 = 0.5;
const MIB: f64 = 1_048_576.0;

type Points = Vec<Option<(f64, f64)>>;

/// A run and what it is called in a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    pub name: &'a str,
    pub run: &'a Results,
}

/// The plots of these runs; those with nothing in them are left out.
///
/// # Errors
/// A histogram cannot be read.
pub fn plots(runs: &[Named<'_>]) -> anyhow::Result<Vec<Plot>> {
    let time = || Axis::time(runs.iter().map(|named| named.run.seconds).fold(0.0, f64::max));
    let marks = marks(runs);
    let over_time = |title: &str, about: &str, y: &dyn Fn(f64) -> Axis, mut series: Vec<Series>| {
        // What one of the runs did not measure is not in the legend either.
        series.retain(|series| series.points.iter().any(Option::is_some));
        let max = values(&series).fold(0.0, f64::max);
        let (title, about) = (title.to_owned(), about.to_owned());
        (max > 0.0).then(|| Plot { title, about, x: time(), y: y(max), series, marks: marks.clone() })
    };
    let latency = latency(runs);
    let latency_axis = Axis::log("milliseconds, logarithmic", values(&latency));
    let plots = [
        over_time("Devices", "How many were in each state.", &|max| Axis::counted("devices", max), devices(runs)),
        over_time(
            "Wake latency over time",
            "From the moment a change was due to be sent until the device had read its answer.",
            &|_| latency_axis.clone(),
            latency,
        ),
        percentiles(runs)?,
        over_time("Wakes", "Devices woken, and changes sent.", &|max| Axis::counted("a second", max), rates(runs)),
        over_time(
            "Errors",
            if runs.len() == 1 { "By kind." } else { "All kinds together." },
            &|max| Axis::counted("a second", max),
            errors(runs),
        ),
        over_time("Memory of the server", "Its process.", &|max| Axis::linear("MiB", max), memory(runs)),
        over_time("CPU of the server", "100 % is one core.", &|max| Axis::linear("%", max), cpu(runs)),
        over_time("Requests to the backend", "What the server asked for itself and its devices.", &|max| Axis::counted("a second", max), {
            backend(runs)
        }),
    ];
    Ok(plots.into_iter().flatten().collect())
}

fn values(series: &[Series]) -> impl Iterator<Item = f64> {
    series.iter().flat_map(|series| series.points.iter().flatten().map(|(_, value)| *value))
}

/// The marks of all runs, in the order of time. What two runs did at about the same time is said once.
fn marks(runs: &[Named<'_>]) -> Vec<(f64, String)> {
    let near_s = runs.iter().map(|named| named.run.seconds).fold(0.0, f64::max) / 50.0;
    let mut marks: Vec<(f64, String)> = Vec::new();
    for (index, named) in runs.iter().enumerate() {
        for mark in &named.run.marks {
            let is_shared = |other: &Named<'_>| {
                other.run.marks.iter().any(|theirs| theirs.label == mark.label && (theirs.t_s - mark.t_s).abs() <= near_s)
            };
            if !runs.iter().enumerate().all(|(place, other)| place == index || is_shared(other)) {
                marks.push((mark.t_s, format!("{} {}", named.name, mark.label)));
            } else if index == 0 {
                marks.push((mark.t_s, mark.label.clone()));
            }
        }
    }
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    marks
}

/// A value for each sample.
fn points(run: &Results, value: impl Fn(&Sample) -> Option<f64>) -> Points {
    run.samples.iter().map(|sample| Some((sample.t_s, value(sample)?))).collect()
}

/// One line for each run.
fn each(runs: &[Named<'_>], label: &str, value: impl Fn(&Sample) -> Option<f64>) -> Vec<Series> {
    let line = |(index, named): (usize, &Named<'_>)| {
        let label = if runs.len() == 1 { label.to_owned() } else { format!("{} {label}", named.name).trim_end().to_owned() };
        // Blue and orange: told apart by all eyes.
        Series::line(&label, 2 * index, points(named.run, &value))
    };
    runs.iter().enumerate().map(line).collect()
}

fn devices(runs: &[Named<'_>]) -> Vec<Series> {
    let mut series = each(runs, "held", |sample| Some(sample.devices.held as f64));
    if let [only] = runs {
        series[0].filled = true;
        let mut add = |label: &str, colour, value: fn(&Sample) -> u64| {
            if only.run.samples.iter().any(|sample| value(sample) > 0) {
                series.push(Series::line(label, colour, points(only.run, |sample| Some(value(sample) as f64))));
            }
        };
        add("syncing", 1, |sample| sample.devices.syncing);
        add("connecting", 2, |sample| sample.devices.connecting);
        add("backing off", 5, |sample| sample.devices.backing_off);
        add("offline", 4, |sample| sample.devices.offline);
    }
    series
}

fn latency(runs: &[Named<'_>]) -> Vec<Series> {
    if let [only] = runs {
        let line = |label: &str, colour, value: fn(&Sample) -> Option<f64>| Series::line(label, colour, points(only.run, value));
        return vec![
            line("p50", 0, |sample| Some(sample.wake_ms?.p50)),
            line("p99", 2, |sample| Some(sample.wake_ms?.p99)),
            line("max", 5, |sample| Some(sample.wake_ms?.max)),
        ];
    }
    let mut series = each(runs, "p50", |sample| Some(sample.wake_ms?.p50));
    series.iter_mut().for_each(|series| series.dashed = true);
    series.extend(each(runs, "p99", |sample| Some(sample.wake_ms?.p99)));
    series
}

fn percentiles(runs: &[Named<'_>]) -> anyhow::Result<Option<Plot>> {
    let mut curves: Vec<(String, &Latency)> = Vec::new();
    if let [only] = runs {
        curves.push(("all".into(), &only.run.wakes.overall));
        let phases = only.run.wakes.phases.iter().filter(|phase| phase.latency.count > 0);
        curves.extend(phases.take(PHASES_MAX).map(|phase| (phase.label.clone(), &phase.latency)));
        if curves.len() == 2 {
            // The only phase is all there is.
            curves.truncate(1);
        }
    } else {
        curves.extend(runs.iter().map(|named| (named.name.to_owned(), &named.run.wakes.overall)));
    }
    let count = curves.iter().map(|(_, latency)| latency.count).max().unwrap_or(0);
    if count == 0 {
        return Ok(None);
    }
    let mut series = Vec::new();
    for (index, (label, latency)) in curves.iter().enumerate() {
        let colour = if runs.len() == 1 { index } else { 2 * index };
        series.push(Series::line(label, colour, percentile_points(latency)?));
    }
    Ok(Some(Plot {
        title: "Wake latency by percentile".into(),
        about: "So many of the wakes took at most so long. Each step to the right leaves a tenth of the wakes.".into(),
        x: Axis::percentiles(count),
        y: Axis::log("milliseconds, logarithmic", values(&series)),
        series,
        marks: Vec::new(),
    }))
}

/// The curve ends where a single wake is left: beyond it there is nothing.
fn percentile_points(latency: &Latency) -> anyhow::Result<Points> {
    let histogram = latency.decode()?;
    let last = 1.0 - 1.0 / histogram.len().max(2) as f64;
    let steps = histogram.iter_quantiles(STEPS_PER_HALF);
    let mut points: Points = steps
        .map(|step| (step.quantile_iterated_to(), step.value_iterated_to() as f64 / 1e3))
        .take_while(|(quantile, _)| *quantile < last)
        .map(Some)
        .collect();
    if !histogram.is_empty() {
        points.push(Some((last, histogram.max() as f64 / 1e3)));
    }
    Ok(points)
}

/// Turns counts into counts a second. Samples that follow each other at once (one is taken at each mark) go together: three
/// wakes in a millisecond are not three thousand a second.
fn by_second(run: &Results, mut series: Series) -> Series {
    let (mut count, mut seconds) = (0.0, 0.0);
    for (point, sample) in series.points.iter_mut().zip(&run.samples) {
        count += point.map_or(0.0, |(_, count)| count);
        seconds += sample.seconds;
        *point = (seconds >= INTERVAL_MIN_S).then(|| (sample.t_s, count / seconds));
        if point.is_some() {
            (count, seconds) = (0.0, 0.0);
        }
    }
    // What is left out is no gap.
    series.points.retain(Option::is_some);
    series
}

/// One line for each run, of something that is counted.
fn each_by_second(runs: &[Named<'_>], label: &str, count: impl Fn(&Sample) -> u64) -> Vec<Series> {
    let series = each(runs, label, |sample| Some(count(sample) as f64));
    runs.iter().zip(series).map(|(named, series)| by_second(named.run, series)).collect()
}

fn rates(runs: &[Named<'_>]) -> Vec<Series> {
    let mut series = each_by_second(runs, "wakes", |sample| sample.wakes);
    if let [only] = runs {
        let changes = points(only.run, |sample| Some(sample.changes as f64));
        series.push(by_second(only.run, Series { dashed: true, ..Series::line("changes", 2, changes) }));
    }
    series
}

fn errors(runs: &[Named<'_>]) -> Vec<Series> {
    let [only] = runs else {
        return each_by_second(runs, "errors", |sample| sample.errors.values().sum());
    };
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, count) in only.run.samples.iter().flat_map(|sample| &sample.errors) {
        *kinds.entry(kind).or_default() += count;
    }
    let mut kinds: Vec<(&str, u64)> = kinds.into_iter().collect();
    kinds.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let others: Vec<&str> = kinds.split_off(kinds.len().min(ERROR_KINDS_MAX)).into_iter().map(|(kind, _)| kind).collect();
    let line = |(index, kind): (usize, &str)| {
        let count = |sample: &Sample| Some(sample.errors.get(kind).copied().unwrap_or(0) as f64);
        // Red first: the commonest.
        by_second(only.run, Series::line(kind, [5, 2, 4, 1, 3][index % ERROR_KINDS_MAX], points(only.run, count)))
    };
    let mut series: Vec<Series> = kinds.iter().map(|(kind, _)| *kind).enumerate().map(line).collect();
    if !others.is_empty() {
        let count = |sample: &Sample| others.iter().filter_map(|&kind| sample.errors.get(kind)).sum::<u64>();
        let line = Series::line("others", 0, points(only.run, |sample| Some(count(sample) as f64)));
        series.push(by_second(only.run, Series { dashed: true, ..line }));
    }
    series
}

fn memory(runs: &[Named<'_>]) -> Vec<Series> {
    let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / MIB);
    let mut series = each(runs, "resident", |sample| mib(sample.server?.rss_bytes));
    if let [only] = runs {
        let own = points(only.run, |sample| mib(sample.server?.pss_bytes));
        if own.iter().any(Option::is_some) {
            series.push(Series { dashed: true, ..Series::line("its own (PSS)", 2, own) });
        }
    }
    series
}

fn cpu(runs: &[Named<'_>]) -> Vec<Series> {
    growth(runs, |sample| Some(sample.server?.cpu_s? * 100.0))
}

fn backend(runs: &[Named<'_>]) -> Vec<Series> {
    growth(runs, |sample| Some(sample.server?.backend_requests? as f64))
}

/// How much something that only grows grew each second.
fn growth(runs: &[Named<'_>], total: impl Fn(&Sample) -> Option<f64>) -> Vec<Series> {
    let mut series = each(runs, "", total);
    for series in &mut series {
        let mut before: Option<(f64, f64)> = None;
        let grown = |point: &Option<(f64, f64)>| {
            let Some((t_s, total)) = *point else { return Some(None) };
            let Some((before_s, before_total)) = before else {
                before = Some((t_s, total));
                return None;
            };
            if t_s - before_s < INTERVAL_MIN_S {
                return None;
            }
            before = Some((t_s, total));
            // A server that was started again begins anew.
            Some((total >= before_total).then(|| (t_s, (total - before_total) / (t_s - before_s))))
        };
        series.points = series.points.iter().filter_map(grown).collect();
    }
    series
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn titles(runs: &[Named<'_>]) -> Vec<String> {
        plots(runs).unwrap().into_iter().map(|plot| plot.title).collect()
    }

    #[test]
    fn plots_with_nothing_in_them_are_left_out() {
        let mut run = example::run();
        assert_eq!(titles(&[Named { name: "", run: &run }]).len(), 8);
        for sample in &mut run.samples {
            sample.server = None;
            sample.errors.clear();
        }
        let titles = titles(&[Named { name: "", run: &run }]);
        assert_eq!(titles, ["Devices", "Wake latency over time", "Wake latency by percentile", "Wakes"]);
    }

    #[test]
    fn rare_kinds_of_errors_share_a_line() {
        let mut run = example::run();
        run.samples[5].errors = (1..=9).map(|number| (format!("kind {number}"), number)).collect();
        let series = errors(&[Named { name: "", run: &run }]);
        assert_eq!(series.len(), ERROR_KINDS_MAX + 1);
        let others: f64 = series.last().unwrap().points.iter().flatten().map(|(_, value)| value).sum();
        assert_eq!(others, 15.0, "timeout and four of the kinds are commoner");
    }

    #[test]
    fn what_both_runs_did_at_once_is_marked_once() {
        let (a, mut b) = (example::run(), example::run());
        b.marks[1].t_s += 20.0;
        let marks = marks(&[Named { name: "A", run: &a }, Named { name: "B", run: &b }]);
        let labels: Vec<&str> = marks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["steady", "A wake all", "B wake all"]);
    }

    #[test]
    fn growth_is_by_the_second_and_never_negative() {
        let mut run = example::run();
        run.samples[50].server = None;
        let series = cpu(&[Named { name: "", run: &run }]);
        let values: Vec<f64> = series[0].points.iter().flatten().map(|(_, value)| *value).collect();
        assert!(values.iter().all(|value| (value - 10.0).abs() < 1e-6), "{values:?}");
        assert_eq!(series[0].points.iter().filter(|point| point.is_none()).count(), 1, "where nothing was measured");
    }

    #[test]
    fn samples_that_follow_at_once_go_together() {
        let mut run = example::run();
        let mut soon = run.samples[30].clone();
        (soon.t_s, soon.seconds) = (soon.t_s + 0.01, 0.01);
        run.samples[31].seconds = 0.99;
        run.samples.insert(31, soon);
        let series = rates(&[Named { name: "", run: &run }]);
        let most = values(&series).fold(0.0, f64::max);
        assert!(most <= 40.0 + 1e-9, "{most} a second");
        let cpu = cpu(&[Named { name: "", run: &run }]);
        assert!(values(&cpu).all(|value| value <= 11.0), "{:?}", cpu[0].points);
    }

    #[test]
    fn a_percentile_curve_ends_with_its_largest_value() {
        let run = example::run();
        let points = percentile_points(&run.wakes.overall).unwrap();
        let (share, ms) = points.last().unwrap().unwrap();
        assert!((share - 0.9995).abs() < 1e-9 && (ms - run.wakes.overall.max_ms).abs() < 1e-6);
        assert!(points.windows(2).all(|pair| pair[0].unwrap().1 <= pair[1].unwrap().1));
    }
}
