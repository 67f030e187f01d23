//! SOGo: a watchdog (`WOWatchDogRequestTimeout`, minutes) kills the worker of a long request; a Ping may last `SOGoMaximumPingInterval`
//! seconds, and each one holds a worker.

use std::time::Duration;

use super::times::{Bare, parse};
use super::{Finding, Kind, Limit, Needs, Verdict, look};

const PING: &str = "SOGoMaximumPingInterval";
const SYNC: &str = "SOGoMaximumSyncInterval";
const WATCHDOG: &str = "WOWatchDogRequestTimeout";
const WORKERS: &str = "WOWorkersCount";

pub(super) fn is_sogo(text: &str) -> bool {
    let is_key = |line: &str| (line.starts_with("SOGo") || line.starts_with("WO") || line.starts_with("OCS")) && line.contains('=');
    text.lines().map(|line| line.trim().trim_start_matches('"')).any(is_key)
}

pub(super) fn examine(text: &str, needs: &Needs) -> Vec<Finding> {
    let ping = value(text, PING);
    let ping_s = seconds(ping.as_deref(), 10);
    let sync_s = seconds(value(text, SYNC).as_deref(), 30);
    let hop = || Kind::Sogo.name().to_owned();
    let check_s = needs.check_heartbeat.as_secs();
    let longest = Limit { hop: hop(), setting: PING, written: ping.as_deref(), time: ping_s };
    let advice =
        |seconds| format!("write {PING} = {seconds}; or a shorter backend.check_heartbeat_s: SOGo would answer checks with Status 5");
    let mut findings = vec![longest.at_least(needs.check_heartbeat, advice)];
    // Minutes; whatever SOGo itself allows to last must be over before.
    let watchdog = value(text, WATCHDOG);
    let minutes = watchdog.as_deref().map_or(Some(10), |text| text.parse().ok());
    let time = minutes.and_then(|minutes: u64| minutes.checked_mul(60)).map(Duration::from_secs);
    let longest = [ping_s, sync_s, Some(needs.check_heartbeat)].into_iter().flatten().max().unwrap_or_default() + super::MARGIN;
    let written = watchdog.as_ref().map(|minutes| format!("{minutes} (minutes)"));
    let limit = Limit { hop: hop(), setting: WATCHDOG, written: written.as_deref(), time };
    findings.push(limit.at_least(longest, |seconds| {
        format!("write {WATCHDOG} = {}; it counts minutes, and must be longer than {PING} and {SYNC}", seconds.div_ceil(60))
    }));
    let workers = value(text, WORKERS);
    let count: usize = workers.as_deref().map_or(Some(1), |text| text.parse().ok()).unwrap_or(0);
    let (verdict, advice) = if count > needs.checks_max {
        (Verdict::Fine, String::new())
    } else {
        (
            Verdict::Look,
            format!(
                "backend.checks_max = {} checks of {check_s} s leave no worker for anything else: write {WORKERS} = {} or more (prefork in /etc/default/sogo overrides it)",
                needs.checks_max,
                needs.checks_max * 2
            ),
        )
    };
    let shown = workers.unwrap_or_else(|| "1 (default)".to_owned());
    findings.push(Finding { verdict, ..look(hop(), WORKERS, shown, format!("more than {}", needs.checks_max), advice) });
    findings
}

fn seconds(written: Option<&str>, default_s: u64) -> Option<Duration> {
    written.map_or(Some(Duration::from_secs(default_s)), |text| parse(text, Bare::Seconds))
}

/// The value of a key, of the last line that has it: `Key = Value;` or `Key=Value`, with quotes or without.
fn value(text: &str, key: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with('#'));
    let of_line = |line: &str| {
        let rest = line.trim_start_matches(['{', '"', '-', ' ']).strip_prefix(key)?;
        let value = rest.trim_start_matches('"').trim_start().strip_prefix('=')?;
        let value = value.split(';').next().unwrap_or_default().split("//").next().unwrap_or_default();
        Some(value.trim().trim_matches('"').to_owned())
    };
    lines.rev().find_map(of_line)
}
