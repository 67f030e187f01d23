//! A systemd service: open files, time to leave, and whether systemd is told.

use super::times::{Bare, parse};
use super::{Finding, Kind, Limit, Needs, Verdict, look};

pub(super) fn examine(text: &str, needs: &Needs) -> Vec<Finding> {
    let hop = || Kind::Unit.name().to_owned();
    let files = value(text, "LimitNOFILE");
    // Of `soft:hard` the second: the gateway raises the first by itself.
    let hard = files.and_then(|files| files.rsplit(':').next()).unwrap_or("524288");
    let count = if hard == "infinity" { usize::MAX } else { hard.parse().unwrap_or(0) };
    let needed = needs.files();
    let verdict = if count >= needed { Verdict::Fine } else { Verdict::Look };
    let advice = if verdict == Verdict::Fine {
        String::new()
    } else {
        format!("write LimitNOFILE={needed}, or set limits.parked_max to the devices you expect: the rest is not accepted")
    };
    let mut findings =
        vec![Finding { verdict, ..look(hop(), "LimitNOFILE", files.unwrap_or("524288 (default)"), needed.to_string(), advice) }];

    // `TimeoutSec` sets both times, of starting and of stopping; the last line of either counts.
    let stop = text.lines().rev().find_map(|line| value(line, "TimeoutStopSec").or_else(|| value(line, "TimeoutSec")));
    let time = stop.map_or(Some(std::time::Duration::from_secs(90)), |text| match text {
        "infinity" | "0" => Some(std::time::Duration::MAX),
        _ => parse(text, Bare::Seconds),
    });
    let limit = Limit { hop: hop(), setting: "TimeoutStopSec", written: stop, time };
    findings.push(limit.at_least(needs.leaves_within, |seconds| {
        format!("write TimeoutStopSec={seconds}: systemd would kill the gateway while it drains")
    }));

    let kind = value(text, "Type").unwrap_or("simple");
    if !kind.starts_with("notify") {
        findings.push(look(
            hop(),
            "Type",
            kind,
            "notify-reload",
            "systemd does not know when the gateway is ready: write Type=notify-reload (or notify before systemd 253)",
        ));
    }
    findings
}

/// The last one counts; of several words the first.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let of_line = |line: &'a str| line.trim().strip_prefix(key)?.trim_start().strip_prefix('=').map(str::trim);
    text.lines().rev().find_map(of_line)
}
