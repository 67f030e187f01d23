//! The chain doctor: which hop between device and mailbox would cut a held Ping, and what to set there.
//!
//! In: the text of a configuration file of nginx, HAProxy, Apache, SOGo or systemd, and what the kernel allows; what this gateway needs
//! of them ([`Needs`]). Out: [`Finding`]s. Pure: whoever calls reads the files. Included files are not followed, but named.
//!
//! A proxy stands in front of the gateway or behind it. In front, it must bear the longest heartbeat in silence; behind, only a check.

mod apache;
mod haproxy;
pub mod host;
mod nginx;
mod sogo;
#[cfg(test)]
mod tests;
mod times;
mod unit;

use std::time::Duration;

use serde::Serialize;

/// Beyond a heartbeat, a hop must wait this long: clocks, and answers on their way.
const MARGIN: Duration = Duration::from_secs(30);
/// Findings about one file: a file that has more is not somebody's proxy.
const FINDINGS_MAX: usize = 200;
/// Longest file that is read, bytes.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// What this gateway needs of its surroundings.
#[derive(Debug, Clone)]
pub struct Needs {
    /// `ping.heartbeat_max_s`.
    pub heartbeat_max: Duration,
    /// `backend.check_heartbeat_s`.
    pub check_heartbeat: Duration,
    /// `backend.checks_max`.
    pub checks_max: usize,
    /// `backend.connections_max`.
    pub backend_connections_max: usize,
    /// Connections of devices, active and parked: `limits.connections_max` and `limits.parked_max`.
    pub connections_max: usize,
    /// `listen.backlog`.
    pub backlog: u32,
    /// `[drain]`, all of it, with what the process takes to end.
    pub leaves_within: Duration,
    /// Ports devices (or proxies) reach this gateway at.
    pub own_ports: Vec<u16>,
}

/// Where a proxy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Front,
    Behind,
}

impl Needs {
    /// Where a proxy stands that passes requests on to that port.
    fn side(&self, target_port: Option<u16>) -> Side {
        match target_port {
            Some(port) if self.own_ports.contains(&port) => Side::Front,
            Some(_) => Side::Behind,
            // A name that only the proxy knows: the stricter of the two.
            None => Side::Front,
        }
    }

    /// How long a hop must bear silence.
    fn silence(&self, side: Side) -> Duration {
        MARGIN + if side == Side::Front { self.heartbeat_max } else { self.check_heartbeat }
    }
}

/// What a setting means for held Pings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It cuts a held Ping, or keeps the gateway from what it is configured for.
    Cuts,
    /// Somebody should look: it hurts in another way, or cannot be told from here.
    Look,
    /// Nothing to do.
    Fine,
}

/// One setting of one hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which hop: the program, and the place in its file.
    pub hop: String,
    /// The setting's name there.
    pub setting: String,
    /// Its value, and whether that is only the default.
    pub value: String,
    /// The least that would do.
    pub needed: String,
    /// What that means.
    pub verdict: Verdict,
    /// What to write there, or why it is worth a look; empty when it is fine.
    pub advice: String,
}

/// What a file is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Apache httpd.
    Apache,
    /// SOGo's property list, or its arguments one a line.
    Sogo,
    /// A systemd service.
    Unit,
}

impl Kind {
    /// Looks for what only one of them writes.
    pub fn of(text: &str) -> Option<Kind> {
        let mut lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']) && !line.starts_with("//"));
        let is_line = |wanted: &str| text.lines().any(|line| line.trim().eq_ignore_ascii_case(wanted));
        if is_line("[service]") {
            return Some(Kind::Unit);
        }
        if sogo::is_sogo(text) {
            return Some(Kind::Sogo);
        }
        if lines.clone().any(|line| line.starts_with('<') && line.ends_with('>')) || lines.clone().any(apache::is_directive) {
            return Some(Kind::Apache);
        }
        if lines.clone().any(haproxy::is_section) {
            return Some(Kind::Haproxy);
        }
        (text.contains(';') && lines.any(|line| line.ends_with([';', '{', '}']))).then_some(Kind::Nginx)
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Haproxy => "HAProxy",
            Kind::Apache => "Apache",
            Kind::Sogo => "SOGo",
            Kind::Unit => "systemd",
        }
    }
}

/// Looks at one file. `None`: it is none of the kinds that are known.
pub fn examine(text: &str, needs: &Needs) -> Option<Vec<Finding>> {
    let mut findings = match Kind::of(text)? {
        Kind::Nginx => nginx::examine(text, needs),
        Kind::Haproxy => haproxy::examine(text, needs),
        Kind::Apache => apache::examine(text, needs),
        Kind::Sogo => sogo::examine(text, needs),
        Kind::Unit => unit::examine(text, needs),
    };
    findings.truncate(FINDINGS_MAX);
    Some(findings)
}

/// A time-out as it is in force.
struct Limit<'a> {
    hop: String,
    setting: &'a str,
    /// As written; `None`: the default.
    written: Option<&'a str>,
    /// `None`: it could not be read.
    time: Option<Duration>,
}

impl Limit<'_> {
    /// The finding if at least `needed` must pass in silence; `what` to write otherwise.
    fn at_least(self, needed: Duration, what: impl FnOnce(u64) -> String) -> Finding {
        let needed_s = needed.as_secs();
        let (verdict, advice) = match self.time {
            None => (Verdict::Look, "this value could not be read".to_owned()),
            Some(time) if time >= needed => (Verdict::Fine, String::new()),
            Some(_) => (Verdict::Cuts, what(needed_s)),
        };
        let value = match (self.written, self.time) {
            (Some(written), _) => written.to_owned(),
            (None, Some(time)) => format!("{} s (default)", time.as_secs()),
            (None, None) => "none".to_owned(),
        };
        Finding { hop: self.hop, setting: self.setting.to_owned(), value, needed: format!("{needed_s} s"), verdict, advice }
    }
}

/// Something worth a look that is no time-out.
fn look(hop: impl Into<String>, setting: &str, value: impl Into<String>, needed: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding {
        hop: hop.into(),
        setting: setting.to_owned(),
        value: value.into(),
        needed: needed.into(),
        verdict: Verdict::Look,
        advice: advice.into(),
    }
}

/// Files that were included and not read.
fn includes<'a>(kind: Kind, included: impl Iterator<Item = &'a str>) -> Option<Finding> {
    let mut included: Vec<&str> = included.collect();
    included.dedup();
    if included.is_empty() {
        return None;
    }
    let files = included.join(" ");
    Some(look(kind.name(), "include", files, "-", "not followed: give these files with --with as well"))
}

/// The port in `host:port`, `http://host:port/path` or a bare port; 80 or 443 where the scheme says so.
fn port(target: &str) -> Option<u16> {
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    // What follows a variable is not known here.
    let authority = rest.split(['/', '?', ' ', '$']).next().filter(|authority| !authority.is_empty())?;
    let last = authority.rsplit(':').next()?;
    match last.parse() {
        Ok(port) => Some(port),
        Err(_) => match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        },
    }
}
