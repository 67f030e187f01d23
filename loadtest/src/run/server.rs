//! What the server under test says of itself: its metrics, and its process if that runs here.

use std::fs;
use std::net::ToSocketAddrs as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pushgate::standin::webhook::Webhook;

use crate::results;
use crate::scenario::Server;

/// Somebody who asks it.
pub struct Probe {
    /// One for each process of the server, with the path.
    metrics: Vec<(Webhook, String)>,
    pid: Option<u32>,
}

/// A server that is busy answers later; then this sample does without.
const PATIENCE: Duration = Duration::from_millis(500);

impl Probe {
    /// For `[server]`.
    ///
    /// # Errors
    /// The address of the metrics is none.
    pub fn new(server: &Server) -> anyhow::Result<Self> {
        let metrics = server.metrics.iter().map(|url| {
            let rest = url.strip_prefix("http://").unwrap_or(url);
            let (authority, path) = rest.split_once('/').unwrap_or((rest, "metrics"));
            let address = authority.to_socket_addrs().with_context(|| url.clone())?.next().context("server.metrics: no address")?;
            anyhow::Ok((Webhook::new(address, server.token.clone().unwrap_or_default()), format!("/{path}")))
        });
        Ok(Probe { metrics: metrics.collect::<anyhow::Result<_>>()?, pid: server.pid })
    }

    /// Now; what it does not say is absent.
    pub async fn ask(&mut self) -> results::Server {
        let mut found = results::Server::default();
        if let Ok(text) = tokio::time::timeout(PATIENCE, self.metrics()).await.unwrap_or_else(|late| Err(late.into())) {
            found.rss_bytes = value(&text, "process_resident_memory_bytes").map(|bytes| bytes as u64);
            found.cpu_s = value(&text, "process_cpu_seconds_total");
            found.held = value(&text, "pushgate_pings_held").map(|held| held as u64);
            found.backend_requests = value(&text, "pushgate_backend_requests_total").map(|requests| requests as u64);
        }
        if let Some(pid) = self.pid {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            found.rss_bytes = kilobytes(&rollup, "Rss:").or(found.rss_bytes);
            found.pss_bytes = kilobytes(&rollup, "Pss:");
            found.cpu_s = cpu_s(pid).or(found.cpu_s);
        }
        found
    }

    /// Of all processes, one after the other; all or nothing, or a sum would jump.
    async fn metrics(&mut self) -> anyhow::Result<String> {
        let mut text = String::new();
        for (link, path) in &mut self.metrics {
            let answer = link.call("GET", path, String::new()).await?;
            ensure!(answer.status == 200, "the metrics were answered {}", answer.status);
            text += std::str::from_utf8(&answer.body)?;
        }
        Ok(text)
    }
}

/// A metric in Prometheus's form, added up over its labels.
fn value(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let after_labels = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once('}')?.1,
            None => rest,
        };
        after_labels.strip_prefix(' ')?.split(' ').next()?.parse::<f64>().ok()
    });
    values.fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or(0.0) + value))
}

fn kilobytes(rollup: &str, name: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

/// Processor time of all threads, from the scheduler: in nanoseconds, not in ticks.
fn cpu_s(pid: u32) -> Option<f64> {
    let mut ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        ns += text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Some(ns as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_added_up_over_their_labels() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"a b\"} 2\na{x=\"2\"} 3.5\na_more 7\nb 4\n";
        assert_eq!((value(text, "a"), value(text, "b"), value(text, "c")), (Some(5.5), Some(4.0), None));
    }

    #[test]
    fn this_process_has_used_a_processor_and_memory() {
        let pid = std::process::id();
        assert!(cpu_s(pid).is_some_and(|seconds| seconds > 0.0));
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        assert!(kilobytes(&rollup, "Pss:").is_some_and(|bytes| bytes > 100_000));
    }
}
