//! What the demo shows: a table drawn over itself on a terminal, a line now and then elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::time::Duration;

use super::scene::{Scene, WORKERS};
use super::{DRAW_EVERY, LINE_EVERY};
use crate::cli::{Outcome, say};

/// Upper ends of the bars, in microseconds; the last has none.
const BARS_US: [u64; 7] = [500, 1_000, 2_000, 5_000, 10_000, 50_000, u64::MAX];
const BAR_NAMES: [&str; 7] = ["< 0.5 ms", "< 1 ms", "< 2 ms", "< 5 ms", "< 10 ms", "< 50 ms", ">= 50 ms"];
/// Characters of the longest bar.
const BAR_WIDTH: u64 = 40;

/// Where and how.
pub(super) struct View {
    style: Style,
    /// Lines of the table on the screen.
    drawn: usize,
    /// Requests the backend had when all devices were held, for the difference since.
    backend_at_held: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A table on the terminal.
    Table,
    /// Lines on standard output.
    Lines,
    /// Lines on standard error: standard output is for the result.
    LinesAside,
}

impl View {
    pub(super) fn new(is_json: bool) -> Self {
        let style = match (is_json, stdout().is_terminal()) {
            (true, _) => Style::LinesAside,
            (false, true) => Style::Table,
            (false, false) => Style::Lines,
        };
        View { style, drawn: 0, backend_at_held: None }
    }

    /// How often it wants to be drawn.
    pub(super) fn pace(&self) -> Duration {
        if self.style == Style::Table { DRAW_EVERY } else { LINE_EVERY }
    }

    /// What runs where, and what to try by hand.
    pub(super) fn introduce(&self, scene: &Scene) -> Outcome {
        let (https, internal, token) = (scene.gateway.https, scene.gateway.internal, &scene.gateway.token);
        self.write(&format!(
            "pushgate demo: {} devices, https://{https}; a stand-in CAS with {WORKERS} workers, {}\n\
             Try it (-k because the certificate is thrown away at the end):\n  \
             curl -ki -u user1:test -X OPTIONS https://{https}/Microsoft-Server-ActiveSync\n  \
             curl -i -H 'Authorization: Bearer {token}' -d '{{\"mailbox\": \"{}\"}}' http://{internal}/v1/notifications\n  \
             curl -s -H 'Authorization: Bearer {token}' http://{internal}/metrics\n  \
             pushgate-loadtest run loadtest/scenarios/smoke.toml --set target.url=https://{https} --set target.ca={directory}/ca.pem \
             --set changes.lines.to={control} --set changes.webhook.url=http://{internal} \
             --set changes.webhook.token_file={directory}/token --set server.metrics=http://{internal}/metrics \
             --set server.token_file={directory}/token --set server.pid={pid}\n\n",
            scene.devices,
            scene.cas.url(),
            scene.mailbox(0),
            directory = scene.directory().display(),
            control = scene.control,
            pid = std::process::id(),
        ))
    }

    /// The state of this moment.
    pub(super) fn draw(&mut self, scene: &Scene) -> Outcome {
        if self.backend_at_held.is_none() && scene.tally.held() == scene.devices {
            self.backend_at_held = Some(scene.cas.requests());
        }
        if self.style != Style::Table {
            return self.write(&line(scene));
        }
        let table = self.table(scene);
        // Up to where the last one began; each line cleared to its end, so that nothing flickers.
        let up = if self.drawn > 0 { format!("\x1b[{}A", self.drawn) } else { String::new() };
        self.drawn = table.lines().count();
        self.write(&format!("{up}{}\x1b[J", table.replace('\n', "\x1b[K\n")))
    }

    /// The last state; elsewhere than on a terminal, the whole table once.
    pub(super) fn finish(&mut self, scene: &Scene) -> Outcome {
        match self.style {
            Style::Table => self.draw(scene),
            Style::Lines => self.write(&self.table(scene)),
            Style::LinesAside => self.write(&line(scene)),
        }
    }

    fn table(&self, scene: &Scene) -> String {
        let tally = &scene.tally;
        let latencies = tally.latencies();
        let mut out = String::new();
        let since = self.backend_at_held.map(|then| format!(", {} since all are held", scene.cas.requests().saturating_sub(then)));
        let busy = scene.cas.workers_busy();
        let errors: Vec<String> = tally.errors().iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let _ = writeln!(out, "held        {} of {} devices (most: {})", tally.held(), scene.devices, tally.held_max());
        let _ = writeln!(out, "wakes       {}, missing now: {}", tally.wakes(), tally.missing());
        let _ =
            writeln!(out, "backend     {} requests{}; {busy} of {WORKERS} workers busy", scene.cas.requests(), since.unwrap_or_default());
        let _ = writeln!(out, "failures    {}", if errors.is_empty() { "none".to_owned() } else { errors.join(", ") });
        let _ = writeln!(out, "wake time   {}   (notification sent to answer read)", quantiles(&latencies));
        out + &bars(&latencies)
    }

    fn write(&self, text: &str) -> Outcome {
        if self.style == Style::LinesAside {
            // Progress that nobody reads is no reason to end.
            let _ = stderr().write_all(text.as_bytes());
            return Ok(());
        }
        say(text)
    }
}

fn line(scene: &Scene) -> String {
    let tally = &scene.tally;
    format!(
        "held {}/{}, wakes {}, wake time {}, missing {}, backend requests {}\n",
        tally.held(),
        scene.devices,
        tally.wakes(),
        quantiles(&tally.latencies()),
        tally.missing(),
        scene.cas.requests()
    )
}

fn quantiles(latencies: &hdrhistogram::Histogram<u64>) -> String {
    if latencies.is_empty() {
        return "-".to_owned();
    }
    let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1_000.0;
    format!("p50 {:.2} ms, p99 {:.2} ms", ms(0.5), ms(0.99))
}

/// The distribution as bars.
fn bars(latencies: &hdrhistogram::Histogram<u64>) -> String {
    let mut counts = [0; BARS_US.len()];
    for value in latencies.iter_recorded() {
        let bar = BARS_US.iter().position(|&end| value.value_iterated_to() < end).unwrap_or(BARS_US.len() - 1);
        counts[bar] += value.count_at_value();
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut out = String::new();
    for (name, count) in BAR_NAMES.iter().zip(counts) {
        let width = (count * BAR_WIDTH).div_ceil(most) as usize;
        let _ = writeln!(out, "  {name:>8}  {} {count}", "#".repeat(width));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_the_distribution() {
        let mut latencies = hdrhistogram::Histogram::new_with_max(60_000_000, 3).unwrap();
        for (value_us, count) in [(400, 2), (900, 4), (70_000, 1)] {
            latencies.record_n(value_us, count).unwrap();
        }
        let expected = format!(
            "  < 0.5 ms  {} 2\n    < 1 ms  {} 4\n    < 2 ms   0\n    < 5 ms   0\n   < 10 ms   0\n   < 50 ms   0\n  >= 50 ms  {} 1\n",
            "#".repeat(20),
            "#".repeat(40),
            "#".repeat(10)
        );
        assert_eq!(bars(&latencies), expected);
        assert_eq!(quantiles(&latencies), "p50 0.90 ms, p99 70.02 ms");
    }
}
