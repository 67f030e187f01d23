//! The chain doctor of `pushgate check`: reads this machine and the files given with `--with`, and shows what the doctor finds.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::table::table;
use super::{Failure, Outcome, say};
use crate::config::Config;
use crate::doctor::host::{self, Facts};
use crate::doctor::{FILE_BYTES_MAX, Finding, Needs, Verdict, examine};
use crate::gateway::open_files;

/// What the process takes to end beyond the times of `[drain]`.
const LEAVE: Duration = Duration::from_secs(15);

/// A finding, and in which file.
#[derive(Serialize)]
struct Row {
    /// `None`: this machine.
    file: Option<String>,
    #[serde(flatten)]
    finding: Finding,
}

/// Shows all findings. A hop that cuts ends it with exit code 1, if its file was given: only then somebody asked.
pub(super) fn run(config: &Config, with: &[PathBuf], is_json: bool) -> Outcome {
    let needs = needs(config);
    let mut rows: Vec<Row> = host::examine(&facts(), &needs).into_iter().map(|finding| Row { file: None, finding }).collect();
    for path in with {
        rows.extend(of_file(path, &needs)?);
    }
    let cutting = rows.iter().filter(|row| row.file.is_some() && row.finding.verdict == Verdict::Cuts).count();
    say(&if is_json { format!("{}\n", json!({ "cuts": cutting > 0, "findings": rows })) } else { shown(&rows) })?;
    match cutting {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 setting would cut what this gateway holds: see above".to_owned())),
        count => Err(Failure::Failed(format!("{count} settings would cut what this gateway holds: see above"))),
    }
}

fn of_file(path: &Path, needs: &Needs) -> Result<Vec<Row>, Failure> {
    let file = path.display().to_string();
    let bad = |message: String| Failure::Usage(format!("--with {file}: {message}"));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| bad(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(bad(format!("is longer than {FILE_BYTES_MAX} bytes, which no configuration is")));
    }
    // Comments may be in any encoding.
    let text = String::from_utf8_lossy(&bytes);
    let findings = examine(&text, needs).ok_or_else(|| bad("is no configuration of nginx, HAProxy, Apache, SOGo or systemd".to_owned()))?;
    Ok(findings.into_iter().map(|finding| Row { file: Some(file.clone()), finding }).collect())
}

fn needs(config: &Config) -> Needs {
    let listen = &config.listen;
    Needs {
        heartbeat_max: Duration::from_secs(config.ping.heartbeat_max_s.into()),
        check_heartbeat: Duration::from_secs(config.backend.check_heartbeat_s.into()),
        checks_max: config.backend.checks_max,
        backend_connections_max: config.backend.connections_max,
        connections_max: config.limits.connections_max + config.limits.parked_max,
        backlog: u32::try_from(listen.backlog).unwrap_or_default(),
        leaves_within: config.drain.total() + LEAVE,
        own_ports: listen.address.iter().chain(&listen.plain_address).map(|address| address.port()).collect(),
    }
}

/// What can be read here. In a container some of it is not there.
fn facts() -> Facts {
    let numbers = |path: &str| -> Option<Vec<u64>> {
        let text = std::fs::read_to_string(Path::new("/proc/sys").join(path)).ok()?;
        text.split_whitespace().map(|word| word.parse().ok()).collect()
    };
    let number = |path| numbers(path).and_then(|numbers| numbers.first().copied());
    let ports = numbers("net/ipv4/ip_local_port_range")
        .and_then(|ports| Some((u16::try_from(*ports.first()?).ok()?, u16::try_from(*ports.get(1)?).ok()?)));
    Facts {
        open_files: open_files::most().ok(),
        somaxconn: number("net/core/somaxconn"),
        tcp_mem_pages: numbers("net/ipv4/tcp_mem").and_then(|pages| pages.get(2).copied()),
        local_ports: ports,
        keepalive_s: number("net/ipv4/tcp_keepalive_time"),
        conntrack_s: number("net/netfilter/nf_conntrack_tcp_timeout_established"),
        conntrack_max: number("net/netfilter/nf_conntrack_max"),
    }
}

fn shown(rows: &[Row]) -> String {
    let cells: Vec<[String; 5]> = rows
        .iter()
        .map(|Row { finding: Finding { hop, setting, value, needed, verdict, .. }, .. }| {
            let verdict = match verdict {
                Verdict::Cuts => "CUTS",
                Verdict::Look => "look",
                Verdict::Fine => "fine",
            };
            [hop.clone(), setting.clone(), value.clone(), needed.clone(), verdict.to_owned()]
        })
        .collect();
    let mut text = format!("\nThe way from device to mailbox:\n{}", table(["HOP", "SETTING", "VALUE", "NEEDED", "VERDICT"], &cells));
    for Row { file, finding } in rows.iter().filter(|row| !row.finding.advice.is_empty()) {
        let place = file.as_deref().unwrap_or("this machine");
        text += &format!("{place}: {}: {}.\n", finding.setting, finding.advice);
    }
    text
}
