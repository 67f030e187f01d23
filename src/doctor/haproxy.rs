//! HAProxy: `timeout server` ends a held Ping with 504, in tcp mode without a word; numbers without a unit are milliseconds.
//!
//! Tried with 2.6: while a server has not answered, a shorter `timeout client` ends nothing, in neither mode; `timeout tunnel` takes the
//! place of both in tcp mode.

use std::collections::HashMap;

use super::times::{Bare, parse};
use super::{Finding, Limit, Needs, Verdict, look, port};

const SECTIONS: &[&str] = &["defaults", "frontend", "backend", "listen"];
/// Sections that are no proxies.
const OTHERS: &[&str] = &[
    "global",
    "userlist",
    "peers",
    "mailers",
    "program",
    "http-errors",
    "ring",
    "cache",
    "resolvers",
    "fcgi-app",
    "crt-list",
    "crt-store",
    "log-forward",
    "traces",
    "acme",
];

#[derive(Debug, Clone, Default)]
struct Section {
    kind: String,
    name: String,
    line: usize,
    /// `timeout NAME` → as written.
    timeouts: HashMap<String, String>,
    is_tcp: bool,
    /// Where servers are.
    targets: Vec<String>,
}

pub(super) fn is_section(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    (SECTIONS.contains(&first) || OTHERS.contains(&first)) && !line.contains(['{', ';', '<'])
}

pub(super) fn examine(text: &str, needs: &Needs) -> Vec<Finding> {
    let sections = read(text);
    let mut findings = Vec::new();
    for section in sections.iter().filter(|section| !section.targets.is_empty()) {
        let hop = format!("HAProxy line {}: {} {}", section.line, section.kind, section.name);
        let ports: Vec<Option<u16>> = section.targets.iter().map(|target| port(target)).collect();
        // A balancer of other things as well is judged by what it is for.
        let side = needs.side(ports.iter().flatten().find(|port| needs.own_ports.contains(port)).copied().or(ports[0]));
        let needed = needs.silence(side);
        let setting = if section.is_tcp && section.timeouts.contains_key("tunnel") { "tunnel" } else { "server" };
        findings.push(limit(&hop, section, setting, needed));
        if setting == "server" && section.is_tcp {
            findings.extend(client(&hop, section, needed.as_secs()));
        }
    }
    for section in sections.iter().filter(|section| section.kind == "frontend" && section.is_tcp) {
        let hop = format!("HAProxy line {}: frontend {}", section.line, section.name);
        findings.extend(client(&hop, section, needs.silence(super::Side::Front).as_secs()));
    }
    if findings.is_empty() {
        findings.push(look("HAProxy", "server", "none", "-", "nothing in this file passes requests on"));
    }
    findings
}

fn limit(hop: &str, section: &Section, setting: &str, needed: std::time::Duration) -> Finding {
    let name = format!("timeout {setting}");
    let Some(written) = section.timeouts.get(setting) else {
        // HAProxy warns of it at start, and waits for ever.
        let advice = "nothing ends connections whose peer has vanished: write a time";
        return look(hop, &name, "none", format!("{} s", needed.as_secs()), advice);
    };
    let finding = Limit { hop: hop.to_owned(), setting: &name, written: Some(written), time: parse(written, Bare::Milliseconds) };
    let is_bare = written.bytes().all(|byte| byte.is_ascii_digit());
    let mut finding = finding.at_least(needed, |seconds| format!("write {name} {seconds}s"));
    if is_bare {
        finding.value = format!("{written} (ms)");
    }
    finding
}

/// The documentation asks for the same on both sides.
fn client(hop: &str, section: &Section, needed_s: u64) -> Option<Finding> {
    let written = section.timeouts.get("client")?;
    let time = parse(written, Bare::Milliseconds)?;
    let is_short = time.as_secs() < needed_s;
    let advice = format!("in tcp mode it should not be shorter than timeout server: write timeout client {needed_s}s");
    is_short.then(|| Finding { verdict: Verdict::Look, ..look(hop, "timeout client", written, format!("{needed_s} s"), advice) })
}

fn read(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut is_proxy = false;
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        let Some(first) = words.first() else { continue };
        if OTHERS.contains(first) {
            is_proxy = false;
            continue;
        }
        if SECTIONS.contains(first) {
            is_proxy = true;
            sections.push(begin(&words, index + 1, &sections));
            continue;
        }
        let Some(section) = sections.last_mut().filter(|_| is_proxy) else { continue };
        match words[..] {
            ["timeout", name, value, ..] => drop(section.timeouts.insert(name.to_owned(), value.to_owned())),
            // The names of old.
            ["srvtimeout", value, ..] => drop(section.timeouts.insert("server".to_owned(), value.to_owned())),
            ["clitimeout", value, ..] => drop(section.timeouts.insert("client".to_owned(), value.to_owned())),
            ["mode", mode, ..] => section.is_tcp = mode == "tcp",
            ["server", _, target, ..] | ["server-template", _, _, target, ..] => section.targets.push(target.to_owned()),
            _ => {}
        }
    }
    sections
}

/// A section inherits from the defaults it names, or else from the last before it.
fn begin(words: &[&str], line: usize, before: &[Section]) -> Section {
    let kind = words[0];
    let from = words.iter().position(|word| *word == "from").and_then(|place| words.get(place + 1));
    let mut defaults = before.iter().rev().filter(|section| section.kind == "defaults");
    let inherited = match from {
        Some(name) => defaults.find(|section| section.name == *name),
        None if kind == "defaults" => None,
        None => defaults.next(),
    };
    let name = words.get(1).filter(|name| **name != "from").unwrap_or(&"").to_string();
    // Without a word HAProxy speaks tcp.
    let (timeouts, is_tcp) = inherited.map_or((HashMap::new(), true), |defaults| (defaults.timeouts.clone(), defaults.is_tcp));
    Section { kind: kind.to_owned(), name, line, timeouts, is_tcp, targets: Vec::new() }
}
