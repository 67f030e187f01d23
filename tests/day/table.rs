//! The table as people read it.

use std::fmt::Write as _;

use crate::cost::{Backend, Cost, Setting};
use crate::{alone, world};

const BEGIN: &str = "<!-- begin: counted by tests/day -->\n";
const END: &str = "<!-- end -->\n";
/// Longest Ping of a SOGo as it is shipped, and of one that is set for push.
const SOGO_SHIPPED_S: u32 = 10;
const LONGEST_S: u32 = 3_540;
/// Poll interval, one heartbeat of doubt, and what a check or Sync takes.
const POLLED_WITHIN_S: u64 = 300 + 900 + 60;

/// Both tables, in Markdown.
pub fn render() -> String {
    let mut text = String::new();
    for (title, has_more) in [("Email only", false), ("Email, Calendar and Contacts; a source for Email only", true)] {
        let polled = if has_more { " polled every (longest) |" } else { "" };
        let rule = if has_more { "--:|" } else { "" };
        let _ = writeln!(text, "### {title}\n");
        let _ = writeln!(text, "| backend | | Ping | Sync | OPTIONS | other | all | held, worker-seconds |{polled}");
        let _ = writeln!(text, "|---|---|--:|--:|--:|--:|--:|--:|{rule}");
        for backend in Backend::ALL {
            rows(backend, has_more, &mut text);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn rows(backend: Backend, has_more: bool, text: &mut String) {
    if backend == Backend::Sogo {
        row(text, backend, "without pushgate, as shipped", &alone::day(backend, SOGO_SHIPPED_S), has_more);
        row(text, backend, "without pushgate, set for push", &alone::day(backend, LONGEST_S), has_more);
    } else {
        row(text, backend, "without pushgate", &alone::day(backend, LONGEST_S), has_more);
    }
    for (how, setting) in [("with pushgate", Setting::Default), ("with pushgate, canary, verdicts for a day", Setting::Lasting)] {
        let cost = world::day(backend, has_more, setting);
        assert_eq!(cost.late, 0, "{backend:?} {how}: nothing may be late for being cheap");
        let longest_s = cost.polled_every_s.map_or(0, |(_, longest_s)| longest_s);
        assert!(longest_s <= POLLED_WITHIN_S, "{backend:?} {how}: a class without a source was not looked at for {longest_s} s");
        row(text, backend, how, &cost, has_more);
    }
}

fn row(text: &mut String, backend: Backend, how: &str, cost: &Cost, has_more: bool) {
    let Cost { pings, syncs, options, other, held_s, .. } = cost;
    let all = cost.requests();
    let _ = write!(text, "| {} | {how} | {pings:.1} | {syncs:.1} | {options:.1} | {other:.1} | {all:.1} | {held_s:.0} |", backend.name());
    let _ = match cost.polled_every_s {
        Some((mean_s, longest_s)) => writeln!(text, " {mean_s:.0} s ({longest_s} s) |"),
        None if has_more => writeln!(text, " |"),
        None => writeln!(text),
    };
}

/// A document with this table in the place of the one it has.
pub fn replace(document: &str, table: &str) -> String {
    let (before, rest) = document.split_once(BEGIN).expect("the document marks where the table begins");
    let (_, after) = rest.split_once(END).expect("the document marks where the table ends");
    format!("{before}{BEGIN}\n{table}\n{END}{after}")
}
