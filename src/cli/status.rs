//! `pushgate status`: what a running gateway does, once or every second.

use std::fmt::Write;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

use serde_json::json;

use super::arguments;
use super::client::Gateway;
use super::table::printable;
use super::{Failure, Outcome, block_on, say};
use crate::admin::view::{ClassStatus, DirectoryStatus, SourceStatus, Status};

const EVERY: Duration = Duration::from_secs(1);

/// Shows the status; with `--watch` until interrupted.
pub fn run(arguments: &arguments::Status) -> Outcome {
    let gateway = Gateway::of(&arguments.target)?;
    let is_live = arguments.watch && !arguments.json && stdout().is_terminal();
    block_on(async {
        if is_live {
            return watch(&gateway).await;
        }
        loop {
            let status: Status = gateway.fetch("/v1/status").await?;
            say(&if arguments.json { format!("{}\n", json!(status)) } else { table(&status) })?;
            // A table that is not on a terminal is shown once: nothing there could be drawn over.
            if !(arguments.watch && arguments.json) {
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
        }
    })
}

/// Draws over itself. A gateway that goes away meanwhile is said and waited for: restarts are what people watch.
async fn watch(gateway: &Gateway) -> Outcome {
    let mut turn = tokio::time::interval(EVERY);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    say("\x1b[2J")?;
    loop {
        turn.tick().await;
        let text = match gateway.fetch::<Status>("/v1/status").await {
            Ok(status) => table(&status),
            Err(Failure::Failed(message) | Failure::Usage(message)) => format!("{message}\n"),
            Err(left) => return Err(left),
        };
        // Home; each line cleared to its end; the rest of the screen cleared. No flicker.
        say(&format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")))?;
    }
}

/// The status for people.
fn table(status: &Status) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<15}{text}");
    };
    line("pushgate", format!("{}, up {}", status.version, span(status.uptime_s)));
    line("held", held(status));
    line("connections", format!("{}, of them {} parked idle", count(status.connections as u64), count(status.parked_idle as u64)));
    line(
        "wakes",
        format!(
            "{}, {:.1}/s, p50 {}, p99 {}",
            count(status.wakes_total),
            status.wakes_per_s,
            ms(status.wake_p50_ms),
            ms(status.wake_p99_ms)
        ),
    );
    line("notifications", count(status.notifications_total));
    line(
        "backend",
        format!(
            "{} requests; checks: {} running, {} waiting; in doubt: {}",
            count(status.backend_requests_total),
            status.checks_running,
            status.checks_waiting,
            count(status.in_doubt as u64)
        ),
    );
    for source in &status.sources {
        line(&source.source, belief(source));
    }
    for (index, (way, classes)) in ways(&status.classes).into_iter().enumerate() {
        line(if index == 0 { "classes" } else { "" }, format!("{}: {way}", classes.join(", ")));
    }
    if let Some(directory) = &status.directory {
        line("directory", readings(directory));
    }
    if !status.lots.is_empty() {
        let _ =
            writeln!(out, "\n{:>4}{:>12}{:>12}{:>12}{:>12}{:>9}{:>14}", "lot", "held", "idle", "devices", "mailboxes", "inbox", "wakes");
    }
    for lot in &status.lots {
        let [held, idle, devices, mailboxes, inbox] = [lot.held, lot.idle, lot.devices, lot.mailboxes, lot.inbox].map(|n| count(n as u64));
        let _ = writeln!(out, "{:>4}{held:>12}{idle:>12}{devices:>12}{mailboxes:>12}{inbox:>9}{:>14}", lot.lot, count(lot.wakes_total));
    }
    out
}

/// Pings and hanging Syncs apart.
fn held(status: &Status) -> String {
    let pings = format!("{} Pings", count(status.held.saturating_sub(status.held_syncs) as u64));
    if status.held_syncs == 0 { pings } else { format!("{pings}, {} hanging Syncs", count(status.held_syncs as u64)) }
}

/// How the groups of the directory are.
fn readings(directory: &DirectoryStatus) -> String {
    let known = directory.read_at.map_or_else(
        || "not read yet".to_owned(),
        |at| format!("{} groups with {} members, of {at}", count(directory.groups as u64), count(directory.mailboxes as u64)),
    );
    let mut out = match (&directory.failing_since, &directory.error) {
        (Some(since), Some(error)) => format!("FAILING since {since}: {}; {known}", printable(error)),
        _ => known,
    };
    if directory.strangers > 0 {
        let _ = write!(out, "; {} members without a mailbox", count(directory.strangers as u64));
    }
    if !directory.skipped.is_empty() {
        let _ = write!(out, "; not taken: {}", printable(&directory.skipped.join(", ")));
    }
    out
}

/// What is known of a source.
fn belief(source: &SourceStatus) -> String {
    let believed = if source.believed { "believed" } else { "NOT believed" };
    let mut out = format!("{believed} for {}, ", span(source.since_s));
    out += &source.heard_s.map_or_else(|| "never heard".to_owned(), |ago| format!("heard {} ago", span(ago)));
    if let Some(canary) = &source.canary {
        let _ = write!(out, ", canary {}", canary.replace('_', " "));
    }
    if let Some(feed_ms) = source.feed_ms {
        let _ = write!(out, ", feed {}", ms(Some(feed_ms)));
    }
    if source.epochs > 0 {
        let _ = write!(out, ", {} gaps", source.epochs);
    }
    out
}

/// Classes by how their changes are found.
fn ways(classes: &[ClassStatus]) -> Vec<(String, Vec<&str>)> {
    let mut ways: Vec<(String, Vec<&str>)> = Vec::new();
    for class in classes {
        let way = match class.polled_every_s {
            Some(seconds) => format!("polled every {seconds} s"),
            None => format!("pushed by {}", class.pushed_by.join(", ")),
        };
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, names)) => names.push(&class.class),
            None => ways.push((way, vec![&class.class])),
        }
    }
    ways
}

/// `1234567` as `1,234,567`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2} ms"))
}

/// The two largest units.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::LotStatus;
    use crate::admin::tests::scene::internal_address;
    use crate::cli::arguments::Target;
    use crate::logic::policy::Timestamp;

    #[test]
    fn the_table_reads_at_a_glance() {
        let lot = LotStatus { lot: 0, held: 7_500, idle: 12, devices: 8_000, mailboxes: 7_900, inbox: 0, wakes_total: 1_234 };
        let status = Status {
            version: "0.1.0".into(),
            uptime_s: 93_784,
            held: 15_000,
            parked_idle: 24,
            held_syncs: 1_200,
            connections: 15_200,
            wakes_total: 1_234_567,
            wakes_per_s: 12.34,
            wake_p50_ms: Some(0.4),
            wake_p99_ms: None,
            backend_requests_total: 345,
            checks_running: 1,
            checks_waiting: 3,
            in_doubt: 1_004,
            notifications_total: 1_000,
            lots: vec![lot],
            sources: vec![
                SourceStatus { source: "webhook".into(), believed: true, since_s: 93_784, ..SourceStatus::default() },
                SourceStatus {
                    source: "dovecot".into(),
                    believed: false,
                    since_s: 61,
                    heard_s: Some(151),
                    canary: Some("missing".into()),
                    feed_ms: Some(4.25),
                    epochs: 2,
                },
            ],
            classes: vec![
                ClassStatus { class: "Email".into(), pushed_by: vec![], polled_every_s: Some(300) },
                ClassStatus { class: "Calendar".into(), pushed_by: vec!["webhook".into()], polled_every_s: None },
                ClassStatus { class: "Tasks".into(), pushed_by: vec![], polled_every_s: Some(300) },
            ],
            directory: Some(DirectoryStatus {
                read_at: Some(Timestamp(1_795_000_000)),
                failing_since: Some(Timestamp(1_795_000_900)),
                error: Some("no connection".into()),
                groups: 3,
                mailboxes: 1_200,
                strangers: 2,
                skipped: vec!["a/b".into()],
            }),
        };
        let expected = "\
pushgate       0.1.0, up 1 d 2 h
held           13,800 Pings, 1,200 hanging Syncs
connections    15,200, of them 24 parked idle
wakes          1,234,567, 12.3/s, p50 0.40 ms, p99 -
notifications  1,000
backend        345 requests; checks: 1 running, 3 waiting; in doubt: 1,004
webhook        believed for 1 d 2 h, never heard
dovecot        NOT believed for 1 min 1 s, heard 2 min 31 s ago, canary missing, feed 4.25 ms, 2 gaps
classes        Email, Tasks: polled every 300 s
               Calendar: pushed by webhook
directory      FAILING since 2026-11-18T11:21:40Z: no connection; 3 groups with 1,200 members, of 2026-11-18T11:06:40Z; 2 members without a mailbox; not taken: a/b

 lot        held        idle     devices   mailboxes    inbox         wakes
   0       7,500          12       8,000       7,900        0         1,234
";
        assert_eq!(table(&status), expected);
    }

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 123_456, 1_000_000].map(count), ["0", "999", "1,000", "123,456", "1,000,000"]);
        assert_eq!([0, 59, 61, 7_260, 90_000].map(span), ["0 s", "59 s", "1 min 1 s", "2 h 1 min", "1 d 1 h"]);
    }

    #[tokio::test]
    async fn the_status_comes_from_the_running_gateway() {
        let scene = internal_address("").await;
        let url = format!("http://{}", scene.address).parse().expect("a URL");
        let target = Target { config: "absent.toml".into(), url: Some(url), token_file: Some(scene.token_file.clone()) };
        let status: Status = Gateway::of(&target).expect("a target").fetch("/v1/status").await.expect("answered");
        assert_eq!((status.held, status.version.as_str()), (3, "9.9"));
    }
}
