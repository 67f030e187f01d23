//! `report.html`: one run, in one file that needs nothing else.

use super::curves::{Named, plots};
use super::metrics::{self, metrics};
use super::plot::escape;
use super::units;
use crate::results::{Ended, Latency, Results};

/// The page for a run.
///
/// # Errors
/// A histogram cannot be read.
pub fn page(run: &Results) -> anyhow::Result<String> {
    let title = format!("{} – pushgate-loadtest", run.scenario.name);
    let body = [
        heading(run),
        verdict(run),
        tiles(run),
        thresholds(run),
        section("In the course of time", &figures(&[Named { name: "", run }])?),
        latencies(run),
        errors(run),
        scenario(run),
        all_figures(run),
    ];
    Ok(document(&title, &body.concat()))
}

/// A whole document: well-formed as XML too, so that a test can read it.
pub(super) fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(title),
        include_str!("page.css"),
    )
}

/// The plots of these runs.
///
/// # Errors
/// A histogram cannot be read.
pub(super) fn figures(runs: &[Named<'_>]) -> anyhow::Result<String> {
    let figures = plots(runs)?.iter().enumerate().map(|(index, plot)| plot.figure(&format!("plot{index}"))).collect::<String>();
    Ok(format!("<div class=\"plots\">\n{figures}</div>\n"))
}

/// A part with a heading; nothing if there is nothing in it.
pub(super) fn section(heading: &str, content: &str) -> String {
    if content.is_empty() { String::new() } else { format!("<h2>{}</h2>\n{content}", escape(heading)) }
}

/// A table. The first column is text, the others as `numbers` says; cells are HTML already.
pub(super) fn table(head: &[&str], numbers: bool, rows: &[Vec<String>]) -> String {
    let class = |index: usize| if numbers && index > 0 { " class=\"number\"" } else { "" };
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        cells.enumerate().map(|(index, cell)| format!("<{tag}{}>{cell}</{tag}>", class(index))).collect::<String>()
    };
    let head = cells("th", &mut head.iter().copied());
    let rows = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(String::as_str))));
    format!("<div class=\"table\"><table><thead><tr>{head}</tr></thead><tbody>\n{}</tbody></table></div>\n", rows.collect::<String>())
}

fn heading(run: &Results) -> String {
    format!(
        "<h1>{}</h1>\n<p class=\"sub\">{} devices → {} · {} · {}</p>\n",
        escape(&run.scenario.name),
        units::count(run.devices as u64),
        escape(&run.target),
        escape(&run.started),
        units::duration(run.seconds),
    )
}

fn verdict(run: &Results) -> String {
    let missed = run.thresholds.iter().filter(|threshold| !threshold.kept).count();
    let all = run.thresholds.len();
    let (class, text) = match (all, missed) {
        (0, _) => ("", "<b>No thresholds were set.</b>".to_owned()),
        (1, 0) => ("good", "<b>✓ The threshold was kept.</b>".to_owned()),
        (_, 0) => ("good", format!("<b>✓ All {all} thresholds were kept.</b>")),
        _ => ("bad", format!("<b>✗ {missed} of {all} thresholds missed.</b>")),
    };
    let interrupted = if run.ended == Ended::Interrupted { " The run was interrupted: figures are of the part that ran." } else { "" };
    format!("<p class=\"verdict {class}\">{text}{interrupted}</p>\n")
}

fn tiles(run: &Results) -> String {
    let totals = &run.totals;
    let wakes = &run.wakes.overall;
    let ms = |ms: f64| if wakes.count > 0 { units::milliseconds(ms) } else { "–".into() };
    let mut tiles = vec![
        (units::count(totals.held_max), "held at most".to_owned()),
        (metrics::nearly_held_s(run).map_or("never".into(), units::duration), "until 95 % were held".into()),
        (ms(wakes.p50_ms), "wake p50".into()),
        (ms(wakes.p99_ms), format!("wake p99, max {}", ms(wakes.max_ms))),
        (units::count(totals.lost), format!("lost of {} changes", units::count(totals.changes))),
        (units::count(totals.error_count()), format!("errors, {} of exchanges", units::share(totals.error_count(), totals.exchanges))),
    ];
    if let Some(bytes) = metrics::memory_max(run) {
        tiles.push((units::bytes(bytes), "server memory, most".into()));
    }
    if let Some(requests) = metrics::backend_requests(run) {
        tiles.push((units::figure(requests), "requests to the backend".into()));
    }
    let tiles = tiles.iter().map(|(figure, name)| format!("<li><b>{}</b><span>{}</span></li>\n", escape(figure), escape(name)));
    format!("<ul class=\"tiles\">\n{}</ul>\n", tiles.collect::<String>())
}

fn thresholds(run: &Results) -> String {
    if run.thresholds.is_empty() {
        return String::new();
    }
    let rows = run.thresholds.iter().map(|threshold| {
        let (class, word) = if threshold.kept { ("good", "✓ kept") } else { ("bad", "✗ missed") };
        format!(
            "<tr><td><code>{}</code></td><td>{}</td><td class=\"{class}\">{word}</td></tr>\n",
            escape(&threshold.text),
            escape(&threshold.measured)
        )
    });
    let head = "<thead><tr><th>condition</th><th>measured</th><th>result</th></tr></thead>";
    let rows = rows.collect::<String>();
    section("Thresholds", &format!("<div class=\"table\"><table>{head}<tbody>\n{rows}</tbody></table></div>\n"))
}

fn latencies(run: &Results) -> String {
    let wakes = &run.wakes;
    if wakes.overall.count == 0 {
        return String::new();
    }
    let row = |name: String, latency: &Latency| {
        let figures = [latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms, latency.mean_ms];
        [name, units::count(latency.count)].into_iter().chain(figures.map(units::milliseconds)).collect::<Vec<_>>()
    };
    let mut rows = vec![row("all".into(), &wakes.overall)];
    for phase in wakes.phases.iter().filter(|phase| phase.latency.count > 0) {
        rows.push(row(format!("{} ({}–{})", escape(&phase.label), units::clock(phase.from_s), units::clock(phase.to_s)), &phase.latency));
    }
    if let Some(uncorrected) = &wakes.uncorrected {
        rows.push(row("all, from when changes were really sent".into(), uncorrected));
    }
    let table = table(&["phase", "wakes", "p50", "p90", "p99", "p99.9", "max", "mean"], true, &rows);
    let note = "<p class=\"note\">Latencies count from the moment a change was due to be sent, not from when it could be sent: a server \
                that slows its sender down does not look better for it (coordinated omission).</p>\n";
    section("Wake latency", &format!("{table}{note}"))
}

fn errors(run: &Results) -> String {
    if run.totals.errors.is_empty() {
        return String::new();
    }
    let exchanges = run.totals.exchanges;
    let row = |(kind, count): (&String, &u64)| vec![escape(kind), units::count(*count), units::share(*count, exchanges)];
    let rows: Vec<Vec<String>> = run.totals.errors.iter().map(row).collect();
    let first = run.totals.first_error.as_ref().map(|error| format!("<p class=\"note\">The first: {}</p>\n", escape(error)));
    section("Errors", &(table(&["kind", "count", "of exchanges"], true, &rows) + &first.unwrap_or_default()))
}

fn scenario(run: &Results) -> String {
    section("Scenario", &format!("<pre>{}</pre>\n", escape(run.scenario.text.trim_end())))
}

fn all_figures(run: &Results) -> String {
    let machine = &run.machine;
    let mut rows: Vec<Vec<String>> = metrics(run).iter().map(|metric| vec![escape(&metric.name), escape(&metric.text())]).collect();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), escape(&value)]);
    row("TLS handshakes", units::count(run.totals.handshakes));
    row("exchanges", units::count(run.totals.exchanges));
    row("processes of devices", run.processes.to_string());
    row("devices ran on", format!("{} cores, {}, {}", machine.cores, units::bytes(machine.memory_bytes as f64), machine.kernel));
    row("load tool", machine.version.clone());
    section("All figures", &table(&["figure", "value"], true, &rows))
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    /// Fails if it is not well-formed.
    fn parsed(page: &str) -> usize {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(page, options).expect("well-formed");
        document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "svg")) || node.has_tag_name("svg")).count()
    }

    #[test]
    fn the_page_is_well_formed_and_needs_nothing_else() {
        let page = page(&example::run()).unwrap();
        assert_eq!(parsed(&page), 8);
        for outside in ["http://", "https://", "url(", "@import", "<script", "src="] {
            let ours = page.replace("https://localhost:8443", "");
            assert!(!ours.contains(outside), "{outside}");
        }
    }

    #[test]
    fn what_others_wrote_stays_text() {
        let mut run = example::run();
        let hostile = "</pre><script>alert('x')</script>\u{0}&";
        run.scenario.text = hostile.into();
        run.scenario.name = hostile.into();
        run.target = hostile.into();
        run.totals.first_error = Some(hostile.into());
        run.totals.errors = [(hostile.to_owned(), 3)].into();
        run.samples[3].errors = run.totals.errors.clone();
        run.marks[0].label = hostile.into();
        run.wakes.phases[0].label = hostile.into();
        run.thresholds[0].text = hostile.into();
        run.thresholds[0].measured = hostile.into();
        let page = page(&run).unwrap();
        parsed(&page);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_run_of_which_nothing_was_measured_has_a_page() {
        let run = Results { samples: Vec::new(), thresholds: Vec::new(), wakes: Default::default(), ..example::run() };
        let page = page(&run).unwrap();
        parsed(&page);
        assert!(page.contains("No thresholds were set") && page.contains("never"));
    }

    #[test]
    fn missed_thresholds_are_said_first() {
        let mut run = example::run();
        assert!(page(&run).unwrap().contains("1 of 2 thresholds missed"));
        run.thresholds[1].kept = true;
        run.ended = Ended::Interrupted;
        let page = page(&run).unwrap();
        assert!(page.contains("All 2 thresholds were kept") && page.contains("was interrupted"));
    }
}
