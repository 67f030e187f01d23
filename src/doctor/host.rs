//! This machine: what the kernel and the limits of the process allow.

use super::{Finding, Needs, Verdict, look};

/// Files beside connections: the store, listeners, pollers, logs.
const OTHER_FILES: usize = 256;
/// Bytes the kernel keeps for one connection that is being answered.
const BYTES_A_CONNECTION: u64 = 4_096;

/// Most machines have these; where pages are larger, so is the kernel's room.
const PAGE_BYTES: u64 = 4_096;

/// What was found; `None` where it could not be read.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// `RLIMIT_NOFILE`, hard.
    pub open_files: Option<u64>,
    /// `net.core.somaxconn`
    pub somaxconn: Option<u64>,
    /// `net.ipv4.tcp_mem`, the third value, pages.
    pub tcp_mem_pages: Option<u64>,
    /// `net.ipv4.ip_local_port_range`
    pub local_ports: Option<(u16, u16)>,
    /// `net.ipv4.tcp_keepalive_time`, seconds.
    pub keepalive_s: Option<u64>,
    /// `net.netfilter.nf_conntrack_tcp_timeout_established`, seconds; only with connection tracking.
    pub conntrack_s: Option<u64>,
    /// `net.netfilter.nf_conntrack_max`; only with connection tracking.
    pub conntrack_max: Option<u64>,
}

impl Needs {
    /// Descriptors for all that is configured.
    pub(super) fn files(&self) -> usize {
        self.connections_max + self.backend_connections_max + OTHER_FILES
    }
}

/// What of it is too little.
pub fn examine(facts: &Facts, needs: &Needs) -> Vec<Finding> {
    let connections = needs.connections_max as u64;
    let pages = (connections * BYTES_A_CONNECTION).div_ceil(PAGE_BYTES);
    let ports = facts.local_ports.map(|(first, last)| u64::from(last.saturating_sub(first)) + 1);
    let heartbeat_s = needs.silence(super::Side::Front).as_secs();
    let rows = [
        (
            "open files (hard limit)",
            facts.open_files,
            needs.files() as u64,
            "raise LimitNOFILE, or set limits.parked_max to the devices you expect: the rest is not accepted",
        ),
        (
            "net.core.somaxconn",
            facts.somaxconn,
            u64::from(needs.backlog),
            "it caps listen.backlog: after a restart devices come faster than they are accepted",
        ),
        (
            "net.ipv4.tcp_mem (pages)",
            facts.tcp_mem_pages,
            pages,
            "raise its third value: when everybody is woken at once, the kernel would drop answers",
        ),
        (
            "net.ipv4.ip_local_port_range",
            ports,
            needs.backend_connections_max as u64 * 2,
            "too few ports for backend.connections_max connections to one backend",
        ),
        (
            "nf_conntrack_tcp_timeout_established (s)",
            facts.conntrack_s,
            heartbeat_s,
            "the firewall of this machine forgets held connections",
        ),
        (
            "nf_conntrack_max",
            facts.conntrack_max,
            connections,
            "the firewall of this machine has no room for them: raise it, or set limits.parked_max to the devices you expect",
        ),
    ];
    let mut findings: Vec<Finding> =
        rows.into_iter().filter_map(|(setting, found, needed, advice)| Some(row(setting, found?, needed, advice))).collect();
    if let Some(keepalive_s) = facts.keepalive_s {
        // Said, because people ask: it plays no part.
        let shown = look("this machine", "net.ipv4.tcp_keepalive_time", format!("{keepalive_s} s"), "any", "");
        findings.push(Finding { verdict: Verdict::Fine, ..shown });
    }
    findings
}

fn row(setting: &str, found: u64, needed: u64, advice: &str) -> Finding {
    let is_fine = found >= needed;
    let is_timeout = setting.contains("timeout");
    let verdict = match (is_fine, is_timeout) {
        (true, _) => Verdict::Fine,
        (false, true) => Verdict::Cuts,
        (false, false) => Verdict::Look,
    };
    let advice = if is_fine { "" } else { advice };
    Finding { verdict, ..look("this machine", setting, found.to_string(), needed.to_string(), advice) }
}
