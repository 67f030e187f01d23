//! Two runs side by side: the same figures, their ratio, and whether that is better.

use super::curves::Named;
use super::metrics::{Better, Metric, metrics};
use super::page::{document, figures, section, table};
use super::plot::escape;
use super::{terminal, units};
use crate::results::{Ended, Results};

/// Ratios this close to 1 are not called a difference: two runs of one thing differ by as much.
const SAME: f64 = 0.05;

/// A figure of both runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub name: String,
    pub a: String,
    pub b: String,
    /// B divided by A: `0.5×`, `1/790`; "–" where there is none.
    pub ratio: String,
    pub verdict: Verdict,
}

/// How B compares with A.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Better,
    Worse,
    Same,
    /// Not measured in both, or neither way is better.
    Nothing,
}

impl Verdict {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Same => "same",
            Verdict::Nothing => "",
        }
    }
}

/// All figures that one of them has.
pub fn rows(a: &Results, b: &Results) -> Vec<Row> {
    let (of_a, mut of_b) = (metrics(a), metrics(b));
    let mut rows = Vec::new();
    for metric in of_a {
        let place = of_b.iter().position(|other| other.name == metric.name);
        let other = place.and_then(|place| of_b.remove(place).value);
        rows.push(row(&metric, metric.value, other));
    }
    // Phases that only B has.
    rows.extend(of_b.iter().map(|metric| row(metric, None, metric.value)));
    rows.retain(|row| row.a != "–" || row.b != "–");
    rows
}

fn row(metric: &Metric, a: Option<f64>, b: Option<f64>) -> Row {
    let ratio = a.zip(b).filter(|(a, _)| *a > 0.0).map(|(a, b)| b / a);
    Row {
        name: metric.name.clone(),
        a: metric.unit.text(a),
        b: metric.unit.text(b),
        ratio: ratio.map_or("–".into(), ratio_text),
        verdict: verdict(metric.better, a, b),
    }
}

/// Far below 1 its inverse is easier to read: `1/790`.
fn ratio_text(ratio: f64) -> String {
    if ratio > 0.0 && ratio < 0.1 { format!("1/{}", units::figure(1.0 / ratio)) } else { format!("{}×", units::figure(ratio)) }
}

fn verdict(better: Better, a: Option<f64>, b: Option<f64>) -> Verdict {
    let (Some(a), Some(b)) = (a, b) else { return Verdict::Nothing };
    let is_same = (a - b).abs() <= SAME * a.abs().max(b.abs());
    match better {
        Better::Neither => Verdict::Nothing,
        _ if is_same => Verdict::Same,
        Better::Less if b < a => Verdict::Better,
        Better::More if b > a => Verdict::Better,
        _ => Verdict::Worse,
    }
}

/// What must be known before the figures mean anything: where the runs themselves differ.
pub fn warnings(a: &Results, b: &Results) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut differ = |what: &str, a: String, b: String| {
        if a != b {
            warnings.push(format!("{what}: A {a}, B {b}"));
        }
    };
    differ("The scenarios differ in name", a.scenario.name.clone(), b.scenario.name.clone());
    differ("The number of devices differs", units::count(a.devices as u64), units::count(b.devices as u64));
    differ("The machines of the devices differ in cores", a.machine.cores.to_string(), b.machine.cores.to_string());
    differ("The kernels differ", a.machine.kernel.clone(), b.machine.kernel.clone());
    differ("The load tools differ", a.machine.version.clone(), b.machine.version.clone());
    if a.scenario.name == b.scenario.name && a.scenario.text != b.scenario.text {
        warnings.push("The scenarios have one name and different texts.".into());
    }
    let interrupted = [("A", a), ("B", b)].into_iter().filter(|(_, run)| run.ended == Ended::Interrupted);
    warnings.extend(interrupted.map(|(name, _)| format!("{name} was interrupted.")));
    warnings
}

/// The page.
///
/// # Errors
/// A histogram cannot be read.
pub fn page(a: &Results, b: &Results) -> anyhow::Result<String> {
    let who = |name: &str, run: &Results| {
        let (scenario, target, started) = (escape(&run.scenario.name), escape(&run.target), escape(&run.started));
        format!("<p class=\"sub\"><b>{name}</b> {scenario} → {target} · {started} · {}</p>\n", units::duration(run.seconds))
    };
    let warnings = warnings(a, b).iter().map(|warning| format!("<p class=\"verdict\">{}</p>\n", escape(warning))).collect::<String>();
    let class = |verdict| match verdict {
        Verdict::Better => "strong good",
        Verdict::Worse => "strong bad",
        _ => "",
    };
    let cells = |row: Row| {
        let verdict = format!("<span class=\"{}\">{}</span>", class(row.verdict), row.verdict.word());
        vec![escape(&row.name), escape(&row.a), escape(&row.b), escape(&row.ratio), verdict]
    };
    let rows: Vec<Vec<String>> = rows(a, b).into_iter().map(cells).collect();
    let plots = figures(&[Named { name: "A", run: a }, Named { name: "B", run: b }])?;
    let body = [
        "<h1>Two runs compared</h1>\n".to_owned(),
        who("A", a),
        who("B", b),
        warnings,
        section("Figures", &table(&["figure", "A", "B", "B / A", "B is"], true, &rows)),
        section("In the course of time", &plots),
        section("Scenario of A", &format!("<pre>{}</pre>\n", escape(a.scenario.text.trim_end()))),
        if a.scenario.text == b.scenario.text {
            String::new()
        } else {
            section("Scenario of B", &format!("<pre>{}</pre>\n", escape(b.scenario.text.trim_end())))
        },
    ];
    Ok(document("Two runs compared – pushgate-loadtest", &body.concat()))
}

/// The table for a terminal.
pub fn text(a: &Results, b: &Results) -> String {
    let mut table = vec![["", "A", "B", "B / A", "B is"].map(str::to_owned).to_vec()];
    table.extend(rows(a, b).into_iter().map(|row| vec![row.name, row.a, row.b, row.ratio, row.verdict.word().into()]));
    let warnings = warnings(a, b).iter().map(|warning| format!("! {warning}\n")).collect::<String>();
    format!("{warnings}{}", terminal::aligned(&table))
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn named<'a>(rows: &'a [Row], name: &str) -> &'a Row {
        rows.iter().find(|row| row.name == name).expect("it is compared")
    }

    #[test]
    fn a_run_is_the_same_as_itself() {
        let run = example::run();
        assert!(rows(&run, &run).iter().all(|row| matches!(row.verdict, Verdict::Same | Verdict::Nothing)));
        assert!(warnings(&run, &run).is_empty());
    }

    #[test]
    fn ratios_say_what_is_better() {
        let (a, mut b) = (example::run(), example::run());
        b.wakes.overall.p99_ms = a.wakes.overall.p99_ms / 2.0;
        b.totals.lost = 3;
        b.totals.changes *= 2;
        b.wakes.overall.p50_ms = a.wakes.overall.p50_ms * 1.03;
        b.totals.errors.clear();
        let rows = rows(&a, &b);
        let seen = |name: &str| (named(&rows, name).ratio.as_str(), named(&rows, name).verdict);
        assert_eq!(seen("wake p99"), ("0.5×", Verdict::Better));
        assert_eq!(seen("lost"), ("–", Verdict::Worse), "from none there is no ratio, but it is worse");
        assert_eq!(seen("errors"), ("0×", Verdict::Better));
        assert_eq!(seen("changes sent"), ("2×", Verdict::Nothing));
        assert_eq!((ratio_text(0.0012658), ratio_text(12.0)), ("1/790".into(), "12×".into()));
        assert_eq!(seen("wake p50").1, Verdict::Same, "three per cent are noise");
    }

    #[test]
    fn phases_of_one_run_alone_are_shown() {
        let (a, mut b) = (example::run(), example::run());
        b.wakes.phases[1].label = "storm".into();
        let rows = rows(&a, &b);
        assert_eq!(named(&rows, "storm: wake p99").a, "–");
        assert_eq!(named(&rows, "wake all: wake p99").b, "–");
    }

    #[test]
    fn runs_that_cannot_be_compared_are_warned_of() {
        let (a, mut b) = (example::run(), example::run());
        b.devices = 5;
        b.ended = Ended::Interrupted;
        b.scenario.text.push('!');
        let warnings = warnings(&a, &b).join("\n");
        assert!(warnings.contains("A 1,000, B 5") && warnings.contains("B was interrupted") && warnings.contains("different texts"));
        assert!(text(&a, &b).starts_with("! The number"));
    }

    #[test]
    fn the_page_is_well_formed() {
        let (a, mut b) = (example::run(), example::run());
        b.scenario.text = "<b>&".into();
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let page = page(&a, &b).unwrap();
        roxmltree::Document::parse_with_options(&page, options).expect("well-formed");
        assert!(page.contains("Scenario of B"));
    }
}
