//! `pushgate check --limits`: every bound, its value, where that comes from, and why it is there.
//!
//! Fixed ones are read out of the source of `config/limits.rs` itself, so that the table cannot drift from it.

use std::path::Path;

use super::table::table;
use super::{Failure, load};
use crate::config::definition::{KEYS, Key};

const SOURCE: &str = include_str!("../config/limits.rs");

/// The table; the configuration must be in order.
pub(super) fn report(path: &Path) -> Result<String, Failure> {
    load(path)?;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    Ok(render(&text, |variable| std::env::var(variable).ok()))
}

fn render(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let written: toml::Table = text.parse().unwrap_or_default();
    let moved = KEYS.iter().filter(|key| is_limit(key)).map(|key| {
        let (value, from) = value_of(key, &written, &variable);
        [format!("{}.{}", key.section, key.name), value, from.to_owned(), key.doc.to_owned()]
    });
    let fixed = constants(SOURCE).map(|(name, value, reason)| [name.to_lowercase(), value, "fixed".to_owned(), reason]);
    table(["LIMIT", "VALUE", "FROM", "REASON"], &moved.chain(fixed).collect::<Vec<_>>())
}

/// Settings that bound something, wherever they stand.
fn is_limit(key: &Key) -> bool {
    let endings = ["_max", "_max_s", "_per_s", "_timeout_s", "_min_s"];
    key.section == "limits" || key.name == "backlog" || endings.iter().any(|ending| key.name.ends_with(ending))
}

fn value_of(key: &Key, written: &toml::Table, variable: impl Fn(&str) -> Option<String>) -> (String, &'static str) {
    let name = format!("PUSHGATE_{}__{}", key.section.replace('.', "__"), key.name).to_uppercase();
    if let Some(value) = variable(&name) {
        return (value, "environment");
    }
    let mut table = Some(written);
    for part in key.section.split('.') {
        table = table.and_then(|table| table.get(part)).and_then(toml::Value::as_table);
    }
    // Also `limits.parked_max = 1` without a table in brackets, which TOML reads as the same.
    match table.and_then(|table| table.get(key.name)) {
        Some(value) => (value.to_string(), "configuration"),
        None => (key.default.to_owned(), "default"),
    }
}

/// Name, value and reason of each `pub const` with its comment.
fn constants(source: &'static str) -> impl Iterator<Item = (&'static str, String, String)> {
    source.split("\npub const ").zip(source.split("\npub const ").skip(1)).filter_map(|(before, constant)| {
        let comment: Vec<&str> = before.lines().rev().map_while(|line| line.strip_prefix("/// ")).collect();
        let reason = comment.into_iter().rev().collect::<Vec<_>>().join(" ");
        let (declared, _) = constant.split_once(";\n")?;
        let (name, rest) = declared.split_once(": ")?;
        let (_, value) = rest.split_once(" = ")?;
        let items = value.trim_matches(['[', ']']).split(',').map(str::trim).filter(|item| !item.is_empty());
        Some((name, items.map(value_in_words).collect::<Vec<_>>().join(", "), reason))
    })
}

/// `Duration::from_secs(30)` → `30 s`, `4 << 20` → `4194304`.
fn value_in_words(value: &str) -> String {
    for (call, unit) in [("Duration::from_secs(", "s"), ("Duration::from_millis(", "ms")] {
        if let Some(number) = value.strip_prefix(call) {
            return format!("{} {unit}", number.trim_end_matches(')').replace('_', ""));
        }
    }
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
    let parts = |sign| value.split_once(sign).and_then(|(left, right)| Some((number(left)?, number(right)?)));
    let shifted = parts("<<").map(|(left, right)| left << right);
    let sum = || parts("+").map(|(left, right)| left + right);
    shifted.or_else(sum).or_else(|| number(value)).map_or_else(|| value.to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_there_with_a_value_and_a_reason() {
        let shown = render("", |_| None);
        let count = SOURCE.lines().filter(|line| line.starts_with("pub const ")).count();
        assert!(count > 60);
        assert_eq!(constants(SOURCE).count(), count);
        for (name, value, reason) in constants(SOURCE) {
            assert!(value.starts_with(|first: char| first.is_ascii_digit()), "{name}: {value}");
            assert!(reason.len() > 20, "{name} has no reason");
            assert!(shown.contains(&name.to_lowercase()), "{name}");
        }
        for key in KEYS.iter().filter(|key| key.section == "limits") {
            assert!(shown.contains(&format!("limits.{}", key.name)), "{}", key.name);
        }
        for line in ["backend.connections_max", "limits.parked_max", "notification_body_bytes_max", "4194304", "backend_idle "] {
            assert!(shown.contains(line), "{line} is missing in {shown}");
        }
    }

    #[test]
    fn a_value_says_where_it_comes_from() {
        let text = "limits.parked_max = 5\n[backend]\nconnections_max = 7\n";
        let shown = render(text, |name| (name == "PUSHGATE_LIMITS__IDLE_S").then(|| "9".to_owned()));
        let line = |name: &str| {
            shown.lines().find(|line| line.starts_with(name)).unwrap_or_default().split_whitespace().take(3).collect::<Vec<_>>()
        };
        assert_eq!(line("limits.parked_max "), ["limits.parked_max", "5", "configuration"]);
        assert_eq!(line("backend.connections_max "), ["backend.connections_max", "7", "configuration"]);
        assert_eq!(line("limits.idle_s "), ["limits.idle_s", "9", "environment"]);
        assert_eq!(line("limits.head_s "), ["limits.head_s", "15", "default"]);
        assert_eq!(line("log_window "), ["log_window", "10", "s"]);
    }
}
