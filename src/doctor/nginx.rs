//! nginx: `proxy_read_timeout` (60 s unless written) ends a held Ping with 504.

use std::collections::HashMap;
use std::time::Duration;

use super::times::{Bare, parse};
use super::{Finding, Kind, Limit, Needs, Side, includes, look, port};

/// Blocks within blocks; deeper ones are somebody's joke.
const DEPTH_MAX: usize = 32;
/// Settings that blocks inherit.
const INHERITED: &[&str] = &["proxy_read_timeout", "fastcgi_read_timeout", "uwsgi_read_timeout", "proxy_timeout", "client_max_body_size"];
/// Below this, mail with attachments is refused.
const BODY_BYTES: u64 = 20 << 20;

#[derive(Debug)]
struct Directive {
    words: Vec<String>,
    line: usize,
    block: Vec<Directive>,
}

/// What is in force in a block.
#[derive(Debug, Clone, Default)]
struct Scope {
    values: HashMap<&'static str, String>,
    is_stream: bool,
}

pub(super) fn examine(text: &str, needs: &Needs) -> Vec<Finding> {
    let tree = read(text);
    let mut findings = Vec::new();
    let mut upstreams = HashMap::new();
    collect_upstreams(&tree, &mut upstreams);
    visit(&tree, &Scope::default(), &Around { needs, upstreams }, &mut findings);
    let mut included = Vec::new();
    collect_includes(&tree, &mut included);
    if findings.is_empty() && included.is_empty() {
        findings.push(look("nginx", "proxy_pass", "none", "-", "nothing in this file passes requests on"));
    }
    findings.extend(includes(Kind::Nginx, included.into_iter()));
    findings
}

/// What is the same for the whole file.
struct Around<'a> {
    needs: &'a Needs,
    /// Name → first server.
    upstreams: HashMap<&'a str, &'a str>,
}

impl Around<'_> {
    /// Where a target is, by its port or that of the upstream it names.
    fn side(&self, target: &str) -> Side {
        let name = target.split_once("://").map_or(target, |(_, rest)| rest).split('/').next().unwrap_or_default();
        let known = self.upstreams.get(name).copied();
        // A bare word is most likely an upstream of another file.
        let is_elsewhere = known.is_none() && name != "localhost" && !name.contains(['.', ':', '[']);
        self.needs.side(if is_elsewhere { None } else { port(known.unwrap_or(target)) })
    }
}

fn visit(block: &[Directive], outer: &Scope, around: &Around<'_>, findings: &mut Vec<Finding>) {
    let mut scope = outer.clone();
    for directive in block {
        if let ([name, value, ..], true) = (&directive.words[..], directive.block.is_empty())
            && let Some(known) = INHERITED.iter().copied().find(|known| known == name)
        {
            scope.values.insert(known, value.clone());
        }
    }
    for directive in block.iter().filter(|directive| directive.block.is_empty()) {
        let [name, target, ..] = &directive.words[..] else { continue };
        let setting = match (name.as_str(), scope.is_stream) {
            ("proxy_pass", true) => "proxy_timeout",
            ("proxy_pass", false) => "proxy_read_timeout",
            ("fastcgi_pass", _) => "fastcgi_read_timeout",
            ("uwsgi_pass", _) => "uwsgi_read_timeout",
            _ => continue,
        };
        let hop = format!("nginx line {}: {name} {target}", directive.line);
        // PHP and Python are where mail lives, never in front of a gateway.
        let side = if name == "proxy_pass" { around.side(target) } else { Side::Behind };
        findings.push(timeout(hop.clone(), setting, &scope, around.needs.silence(side)));
        findings.extend(body_size(hop, &scope));
    }
    // Where one location is for ActiveSync, the others are not.
    let is_for_eas = |directive: &Directive| directive.words.iter().any(|word| word.to_ascii_lowercase().contains("activesync"));
    let has_own = block.iter().any(|directive| directive.words[0] == "location" && is_for_eas(directive));
    for directive in block.iter().filter(|directive| !directive.block.is_empty()) {
        if has_own && directive.words[0] == "location" && !is_for_eas(directive) {
            continue;
        }
        let is_stream = scope.is_stream || directive.words[0] == "stream";
        visit(&directive.block, &Scope { is_stream, ..scope.clone() }, around, findings);
    }
}

fn timeout(hop: String, setting: &'static str, scope: &Scope, needed: Duration) -> Finding {
    let written = scope.values.get(setting).map(String::as_str);
    let default = Duration::from_secs(if setting == "proxy_timeout" { 600 } else { 60 });
    let time = written.map_or(Some(default), |text| parse(text, Bare::Seconds));
    Limit { hop, setting, written, time }.at_least(needed, |seconds| format!("write {setting} {seconds}s;"))
}

fn body_size(hop: String, scope: &Scope) -> Option<Finding> {
    if scope.is_stream {
        return None;
    }
    let written = scope.values.get("client_max_body_size").map_or("1m", String::as_str);
    let bytes = size(written)?;
    let is_small = bytes != 0 && bytes < BODY_BYTES;
    is_small.then(|| look(hop, "client_max_body_size", written, "20m", "mail with larger attachments is refused with 413"))
}

fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let each = match text[digits..].to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(each)
}

fn collect_upstreams<'a>(block: &'a [Directive], upstreams: &mut HashMap<&'a str, &'a str>) {
    for directive in block {
        if let [kind, name, ..] = &directive.words[..]
            && kind == "upstream"
        {
            let server = directive.block.iter().find(|inner| inner.words[0] == "server").and_then(|inner| inner.words.get(1));
            upstreams.extend(server.map(|server| (name.as_str(), server.as_str())));
        }
        collect_upstreams(&directive.block, upstreams);
    }
}

fn collect_includes<'a>(block: &'a [Directive], included: &mut Vec<&'a str>) {
    for directive in block {
        if let [name, file, ..] = &directive.words[..]
            && name == "include"
            && !file.ends_with("mime.types")
            && !file.ends_with("_params")
        {
            included.push(file);
        }
        collect_includes(&directive.block, included);
    }
}

/// Words, `;`, `{`, `}` → a tree. Never fails: what is not understood is passed over.
fn read(text: &str) -> Vec<Directive> {
    let mut stack: Vec<Directive> = vec![Directive { words: Vec::new(), line: 0, block: Vec::new() }];
    let (mut words, mut word, mut line) = (Vec::new(), None::<String>, 1);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '#' if word.is_none() => {
                while characters.peek().is_some_and(|c| *c != '\n') {
                    characters.next();
                }
            }
            '"' | '\'' if word.is_none() => {
                let mut quoted = String::new();
                while let Some(inner) = characters.next() {
                    match inner {
                        '\\' => quoted.extend(characters.next()),
                        _ if inner == c => break,
                        _ => quoted.push(inner),
                    }
                    line += usize::from(inner == '\n');
                }
                words.push(quoted);
            }
            // A variable in braces is part of its word.
            '{' if word.as_ref().is_some_and(|word| word.ends_with('$')) => {
                let word = word.get_or_insert_default();
                word.push(c);
                for inner in characters.by_ref() {
                    word.push(inner);
                    if inner == '}' {
                        break;
                    }
                }
            }
            ';' | '{' | '}' => {
                words.extend(word.take());
                end(c, std::mem::take(&mut words), line, &mut stack);
            }
            _ if c.is_whitespace() => {
                words.extend(word.take());
                line += usize::from(c == '\n');
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    while stack.len() > 1 {
        close(&mut stack);
    }
    stack.pop().map(|top| top.block).unwrap_or_default()
}

fn end(c: char, words: Vec<String>, line: usize, stack: &mut Vec<Directive>) {
    match c {
        '{' if stack.len() < DEPTH_MAX => {
            let words = if words.is_empty() { vec![String::new()] } else { words };
            stack.push(Directive { words, line, block: Vec::new() });
        }
        '}' => close(stack),
        _ => {
            if let (false, Some(top)) = (words.is_empty(), stack.last_mut()) {
                top.block.push(Directive { words, line, block: Vec::new() });
            }
        }
    }
}

/// The innermost block ends. One that is empty says nothing.
fn close(stack: &mut Vec<Directive>) {
    if stack.len() < 2 {
        return;
    }
    if let (Some(done), Some(outer)) = (stack.pop(), stack.last_mut())
        && !done.block.is_empty()
    {
        outer.block.push(done);
    }
}
