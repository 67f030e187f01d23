//! What the system says of a process.

use std::path::PathBuf;

use anyhow::Context as _;

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Pages of its own, and its share of those it has in common with others.
    pub pss: u64,
    /// All its pages that are in RAM.
    pub rss: u64,
}

/// Memory now.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).context(path)?;
    let bytes = |name: &str| -> anyhow::Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).context("smaps_rollup has no such line")?;
        let kb: u64 = line.split_whitespace().next().context("smaps_rollup has no number")?.parse()?;
        Ok(kb * 1_024)
    };
    Ok(Memory { pss: bytes("Pss:")?, rss: bytes("Rss:")? })
}

/// Nanoseconds that all threads of a process have run.
pub fn ran_ns(pid: u32) -> anyhow::Result<u64> {
    let mut ns = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread that has just ended is gone from here.
        ns += scheduled_ns(task?.path().join("schedstat")).unwrap_or_default();
    }
    Ok(ns)
}

/// Nanoseconds that the calling thread has run.
pub fn thread_ran_ns() -> anyhow::Result<u64> {
    scheduled_ns("/proc/thread-self/schedstat".into())
}

fn scheduled_ns(path: PathBuf) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.split_whitespace().next().context("schedstat is empty")?.parse()?)
}

/// Microseconds of the clock that all processes share.
pub fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}
