//! Apache: `timeout=` of a ProxyPass, else `ProxyTimeout`, else `Timeout` (60 s unless written) ends a held Ping with 502 or 504.

use std::time::Duration;

use super::times::{Bare, parse};
use super::{Finding, Kind, Limit, Needs, Side, includes, look, port};

/// Words that begin lines in no other of the files.
const DIRECTIVES: &[&str] = &[
    "proxypass",
    "proxypassmatch",
    "proxytimeout",
    "servername",
    "serverroot",
    "documentroot",
    "loadmodule",
    "keepalivetimeout",
    "requestreadtimeout",
    "includeoptional",
    "sslcertificatefile",
];

pub(super) fn is_directive(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    !line.ends_with([';', '{']) && DIRECTIVES.iter().any(|known| first.eq_ignore_ascii_case(known))
}

#[derive(Debug, Clone, Default)]
struct Scope {
    /// Of the section; `None` for the file itself.
    opens: Option<String>,
    /// Its first argument: of a Location the path.
    path: String,
    timeout: Option<String>,
    proxy_timeout: Option<String>,
}

/// A line that passes requests on.
struct Pass {
    line: usize,
    path: String,
    target: String,
    own: Option<String>,
    /// The sections around it, outermost first.
    within: Vec<usize>,
}

/// `Timeout` has no units: Apache reads the digits it begins with, so that `1h` is one second.
fn leading(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok().map(Duration::from_secs)
}

pub(super) fn examine(text: &str, needs: &Needs) -> Vec<Finding> {
    let (scopes, passes, included, slow_bodies) = read(text);
    let is_for_eas = |pass: &&Pass| pass.path.to_ascii_lowercase().contains("activesync");
    let has_own = passes.iter().any(|pass| is_for_eas(&pass));
    let mut findings = Vec::new();
    for pass in passes.iter().filter(|pass| !has_own || is_for_eas(pass)) {
        let hop = format!("Apache line {}: {} → {}", pass.line, pass.path, pass.target);
        let is_fcgi = pass.target.starts_with("fcgi") || pass.target.starts_with("unix:") || pass.target.starts_with("ajp");
        let side = if is_fcgi { Side::Behind } else { needs.side(port(&pass.target)) };
        let innermost = |of: fn(&Scope) -> &Option<String>| pass.within.iter().rev().find_map(|index| of(&scopes[*index]).as_deref());
        let (setting, written) = match (&pass.own, innermost(|s| &s.proxy_timeout), innermost(|s| &s.timeout)) {
            (Some(own), ..) => ("timeout=", Some(own.as_str())),
            (None, Some(written), _) => ("ProxyTimeout", Some(written)),
            (None, None, written) => ("Timeout", written),
        };
        let time = written
            .map_or(Some(Duration::from_secs(60)), |text| if setting == "Timeout" { leading(text) } else { parse(text, Bare::Seconds) });
        let limit = Limit { hop, setting, written, time };
        findings.push(
            limit.at_least(needs.silence(side), |seconds| format!("add timeout={seconds} to this line, or write ProxyTimeout {seconds}")),
        );
    }
    if findings.is_empty() && included.is_empty() {
        findings.push(look("Apache", "ProxyPass", "none", "-", "nothing in this file passes requests on"));
    }
    findings.extend(slow_bodies.map(|written| {
        look(
            "Apache",
            "RequestReadTimeout",
            written,
            "-",
            "it ends slow uploads of large attachments, not held Pings: body=60,MinRate=100 is kinder",
        )
    }));
    findings.extend(includes(Kind::Apache, included.iter().map(String::as_str)));
    findings
}

type Read = (Vec<Scope>, Vec<Pass>, Vec<String>, Option<String>);

fn read(text: &str) -> Read {
    let mut scopes = vec![Scope::default()];
    let mut within = vec![0];
    let (mut passes, mut included, mut slow_bodies) = (Vec::new(), Vec::new(), None);
    for (number, line) in logical_lines(text) {
        if let Some(closed) = line.strip_prefix("</") {
            let name = closed.trim_end_matches('>').trim();
            if within.len() > 1
                && within.last().is_some_and(|index| scopes[*index].opens.as_deref().is_some_and(|o| o.eq_ignore_ascii_case(name)))
            {
                within.pop();
            }
            continue;
        }
        let words = words(line.trim_matches(['<', '>']));
        let Some(first) = words.first().map(|word| word.to_ascii_lowercase()) else { continue };
        if line.starts_with('<') {
            within.push(scopes.len());
            scopes.push(Scope { opens: Some(first), path: words.get(1).cloned().unwrap_or_default(), ..Scope::default() });
            continue;
        }
        let scope = &mut scopes[*within.last().unwrap_or(&0)];
        match (first.as_str(), &words[1..]) {
            ("timeout", [value, ..]) => scope.timeout = Some(value.clone()),
            ("proxytimeout", [value, ..]) => scope.proxy_timeout = Some(value.clone()),
            ("include" | "includeoptional", [file, ..]) => included.push(file.clone()),
            ("requestreadtimeout", rest) => slow_bodies = Some(rest.join(" ")).filter(|written| written.contains("body")),
            ("proxypass" | "proxypassmatch", rest) => passes.extend(pass(number, rest, &scopes, &within)),
            ("sethandler", [target, ..]) if target.starts_with("proxy:") => {
                passes.push(Pass {
                    line: number,
                    path: String::new(),
                    target: target["proxy:".len()..].to_owned(),
                    own: None,
                    within: within.clone(),
                });
            }
            _ => {}
        }
    }
    (scopes, passes, included, slow_bodies)
}

/// `[path] target [key=value …]`; inside a Location the path is that of the section.
fn pass(line: usize, rest: &[String], scopes: &[Scope], within: &[usize]) -> Option<Pass> {
    let at = rest.iter().position(|word| word.contains("://") || word.starts_with("unix:"))?;
    let path = match at {
        0 => scopes[*within.last()?].path.clone(),
        _ => rest[at - 1].clone(),
    };
    let own = rest[at + 1..].iter().find_map(|word| word.to_ascii_lowercase().strip_prefix("timeout=").map(str::to_owned));
    Some(Pass { line, path, target: rest[at].clone(), own, within: within.to_vec() })
}

/// Lines without comments, those that end in a backslash joined with the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let (part, continues) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, joined)) => joined.push_str(&format!(" {part}")),
            None => lines.push((index + 1, part.to_owned())),
        }
        goes_on = continues;
    }
    lines.retain(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' => rest[1..].split_once('"').unwrap_or((&rest[1..], "")),
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}
