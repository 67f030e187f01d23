//! What the system says of a process.

use std::path::PathBuf;
use std::time::Duration;

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

/// Processor time of the calling thread, to the nanosecond (schedstat lags by up to a tick).
#[expect(unsafe_code, reason = "clock_gettime has no safe wrapper in the standard library")]
pub fn thread_ran() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live, exclusively borrowed timespec, which is all that clock_gettime writes to.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "every thread has this clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
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
